// Convolutions, kernel 3 and padding 1, whose gradients are computed in the cheapest of libtorch's ways.
#include <ATen/Context.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/convolution_backward.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cstring>
#include <numeric>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using Sizes = std::vector<int64_t>;

// Voxels of an item's output from which on a few more small kernels of the GPU are cheap beside the convolution.
constexpr int64_t LARGE = 1 << 18;

int64_t voxels(const at::Tensor& output) { return output.numel() / (output.size(0) * output.size(1)); }

int64_t axes(const at::Tensor& x) { return x.dim() - 2; }

at::Tensor plain(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const Sizes& stride) {
  const Sizes one(axes(x), 1), zero(axes(x), 0);
  return at::convolution(x, weight, bias, stride, one, one, false, zero, 1);
}

at::Tensor transposed(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const Sizes& stride,
                      const Sizes& output_padding) {
  const Sizes one(axes(x), 1);
  return at::convolution(x, weight, bias, stride, one, one, true, output_padding, 1);
}

// Of a plain convolution: those of `mask` among the gradients of its input, its weight and its bias.
std::tuple<at::Tensor, at::Tensor, at::Tensor> backward(const at::Tensor& gradient, const at::Tensor& x, const at::Tensor& weight,
                                                        const Sizes& stride, std::array<bool, 3> mask) {
  const Sizes one(axes(x), 1), zero(axes(x), 0);
  return at::convolution_backward(gradient, x, weight, weight.sizes().slice(0, 1), stride, one, one, false, zero, 1, mask);
}

// The gradient of the input of a convolution of stride 1 is but another one: of the output's gradient, the kernel turned round.
at::Tensor turned(const at::Tensor& gradient, const at::Tensor& weight) {
  Sizes all(axes(weight));
  std::iota(all.begin(), all.end(), 2);
  return plain(gradient, weight.flip(all).transpose(0, 1).contiguous(), {}, Sizes(axes(weight), 1));
}

at::Tensor of_bias(const at::Tensor& gradient) {
  Sizes all(gradient.dim() - 1, 0);
  std::iota(all.begin() + 1, all.end(), 2);
  return gradient.sum(all);
}

// On the CPU, of a single channel and stride 1: libtorch would spend most of a training step on the gradient of the input.
struct ThinConvolution : torch::autograd::Function<ThinConvolution> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
    context->save_for_backward({x, weight});
    return plain(x, weight, bias, Sizes(axes(x), 1));
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &gradient = gradients[0];
    const auto of_weights = ::backward(gradient, x, weight, Sizes(axes(x), 1), {false, true, true});
    const auto of_input = context->needs_input_grad(0) ? turned(gradient, weight) : at::Tensor();
    return {of_input, std::get<1>(of_weights), std::get<2>(of_weights)};
  }
};

struct WithoutCudnn {
  WithoutCudnn() { at::globalContext().setUserEnabledCuDNN(false); }
  ~WithoutCudnn() { at::globalContext().setUserEnabledCuDNN(before); }
  bool before = at::globalContext().userEnabledCuDNN();
};

// Whether what is multiplied is rounded, so that cuDNN's kernels for a GPU's matrix units serve.
bool rounds(const at::Tensor& x) {
  return x.scalar_type() == at::kBFloat16 || (x.scalar_type() == at::kFloat && at::globalContext().allowTF32CuDNN());
}

// The gradient of a convolution's weight. In fp32, cuDNN's kernel takes up to a hundred times as long as libtorch's own. That
// one multiplies with the columns of the input, and is nearer the exact value. In rounded precisions this is true only for a
// large single channel. The columns (27 numbers a voxel and channel of one item) are made for as many channels at once as fit
// into `most` bytes.
at::Tensor of_weight(const at::Tensor& gradient, const at::Tensor& x, const at::Tensor& weight, const Sizes& stride, int64_t most) {
  const std::array<bool, 3> mask{false, true, false};
  const int64_t channels = x.size(1);
  if (rounds(x) && (channels > 1 || voxels(gradient) < LARGE)) return std::get<1>(backward(gradient, x, weight, stride, mask));
  const WithoutCudnn guard;
  const int64_t columns = weight.numel() / (weight.size(0) * channels) * voxels(gradient) * x.element_size();
  const int64_t group = std::clamp<int64_t>(most / std::max<int64_t>(columns, 1), 1, channels);
  std::vector<at::Tensor> parts;
  for (int64_t first = 0; first < channels; first += group) {
    const int64_t count = std::min(group, channels - first);
    parts.push_back(std::get<1>(
        backward(gradient, x.narrow(1, first, count), weight.narrow(1, first, count), stride, mask)));
  }
  return parts.size() == 1 ? parts[0] : at::cat(parts, 1);
}

// The gradient of a convolution's input: cuDNN has slow kernels for it where there are few channels, but for a single one in fp32.
at::Tensor of_input(const at::Tensor& gradient, const at::Tensor& x, const at::Tensor& weight, const Sizes& stride) {
  const bool still = std::all_of(stride.begin(), stride.end(), [](int64_t step) { return step == 1; });
  const bool gains = x.size(1) > 1 || (weight.size(0) == 1 && rounds(x));
  if (voxels(gradient) >= LARGE && still && gains) return turned(gradient, weight);
  return std::get<0>(backward(gradient, x, weight, stride, {true, false, false}));
}

// In three dimensions on a GPU.
struct SolidConvolution : torch::autograd::Function<SolidConvolution> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                            const Sizes& stride, const Sizes& output_padding, bool is_transposed, int64_t most) {
    context->save_for_backward({x, weight});
    context->saved_data["stride"] = stride;
    context->saved_data["transposed"] = is_transposed;
    context->saved_data["most"] = most;
    return is_transposed ? transposed(x, weight, bias, stride, output_padding) : plain(x, weight, bias, stride);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &gradient = gradients[0];
    const Sizes stride = context->saved_data["stride"].toIntVector();
    const bool is_transposed = context->saved_data["transposed"].toBool();
    const int64_t most = context->saved_data["most"].toInt();
    at::Tensor input;
    // A transposed convolution gives what the plain one of the same weight takes, and the other way round.
    if (context->needs_input_grad(0)) {
      input = is_transposed ? plain(gradient, weight, {}, stride) : of_input(gradient, x, weight, stride);
    }
    const auto of = is_transposed ? of_weight(x, gradient, weight, stride, most) : of_weight(gradient, x, weight, stride, most);
    return {input, of, of_bias(gradient), {}, {}, {}, {}};
  }
};

const at::Tensor& tensor(const void* pointer) { return *static_cast<const at::Tensor*>(pointer); }

}  // namespace

// Texts that these return are null for success, or what went wrong, to be given back to neurosearch_free_text; `*output`
// becomes a new tensor of the caller's.
extern "C" {

char* neurosearch_thin_convolution(const void* x, const void* weight, const void* bias, at::Tensor** output) try {
  *output = new at::Tensor(ThinConvolution::apply(tensor(x), tensor(weight), tensor(bias)));
  return nullptr;
} catch (const std::exception& error) {
  return strdup(error.what());
}

// `output_padding` is null for a plain convolution, else three numbers for a transposed one.
char* neurosearch_solid_convolution(const void* x, const void* weight, const void* bias, int64_t stride,
                                    const int64_t* output_padding, int64_t most, at::Tensor** output) try {
  const Sizes padding = output_padding == nullptr ? Sizes(3, 0) : Sizes(output_padding, output_padding + 3);
  *output = new at::Tensor(SolidConvolution::apply(tensor(x), tensor(weight), tensor(bias), Sizes(3, stride), padding,
                                                   output_padding != nullptr, most));
  return nullptr;
} catch (const std::exception& error) {
  return strdup(error.what());
}

}  // extern "C"
