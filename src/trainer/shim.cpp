// The few calls that tch does not have: Adam in one pass, a cheaper gradient, opening CUDA's library, precision switches.
#include <ATen/Context.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/convolution_backward.h>
#include <dlfcn.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cstdlib>
#include <cstring>
#include <numeric>

namespace {

const at::Tensor& tensor(const void* pointer) { return *static_cast<const at::Tensor*>(pointer); }

std::vector<at::Tensor> gather(void* const* tensors, size_t count) {
  std::vector<at::Tensor> out;
  for (size_t i = 0; i < count; ++i) out.push_back(tensor(tensors[i]));
  return out;
}

// A convolution of a single channel, kernel 3, padding 1, stride 1. libtorch would spend most of a training step on the
// gradient of its input, which is but another convolution: of the output's gradient, with the kernel turned round.
struct ThinConvolution : torch::autograd::Function<ThinConvolution> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias) {
    context->save_for_backward({x, weight});
    const std::vector<int64_t> one(x.dim() - 2, 1), zero(x.dim() - 2, 0);
    return at::convolution(x, weight, bias, one, one, one, false, zero, 1);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &gradient = gradients[0];
    std::vector<int64_t> one(x.dim() - 2, 1), zero(x.dim() - 2, 0), axes(x.dim() - 2);
    std::iota(axes.begin(), axes.end(), 2);
    const auto of_weights = at::convolution_backward(gradient, x, weight, weight.sizes().slice(0, 1), one, one, one, false, zero,
                                                     1, {false, true, true});
    at::Tensor of_input;
    if (context->needs_input_grad(0)) {
      const auto turned = weight.flip(axes).transpose(0, 1).contiguous();
      of_input = at::convolution(gradient, turned, {}, one, one, one, false, zero, 1);
    }
    return {of_input, std::get<1>(of_weights), std::get<2>(of_weights)};
  }
};

}  // namespace

// Texts that these return are null for success, or what went wrong, to be given back to neurosearch_free_text.
extern "C" {

void neurosearch_free_text(char* message) { free(message); }

// One Adam step over `count` parameters, in place.
char* neurosearch_adam_step(void* const* parameters, void* const* gradients, void* const* means, void* const* squares,
                            void* const* steps, size_t count, double learning_rate, double beta1, double beta2,
                            double weight_decay, double epsilon) try {
  at::_fused_adam_(gather(parameters, count), gather(gradients, count), gather(means, count), gather(squares, count), {},
                   gather(steps, count), learning_rate, beta1, beta2, weight_decay, epsilon, /*amsgrad=*/false, /*maximize=*/false);
  return nullptr;
} catch (const std::exception& error) {
  return strdup(error.what());
}

// Frees a parameter's gradient, so that the next one is taken over instead of added to zeros.
void neurosearch_drop_gradient(const void* parameter) { tensor(parameter).mutable_grad().reset(); }

// `*output` becomes a new tensor of the caller's.
char* neurosearch_thin_convolution(const void* x, const void* weight, const void* bias, at::Tensor** output) try {
  *output = new at::Tensor(ThinConvolution::apply(tensor(x), tensor(weight), tensor(bias)));
  return nullptr;
} catch (const std::exception& error) {
  return strdup(error.what());
}

// The file that libtorch's CPU part was loaded from; null where the loader does not say.
char* neurosearch_library_path() {
  Dl_info info{};
  dladdr(reinterpret_cast<const void*>(&at::globalContext), &info);
  return info.dli_fname == nullptr ? nullptr : strdup(info.dli_fname);
}

// Opens a library for everybody in the process, for good.
char* neurosearch_open_library(const char* path) {
  return dlopen(path, RTLD_NOW | RTLD_GLOBAL) == nullptr ? strdup(dlerror()) : nullptr;
}

// CUDA's version as its runtime, which libtorch brings, numbers it (13000); 0 where there is none.
int neurosearch_cuda_version() {
  const auto ask = reinterpret_cast<int (*)(int*)>(dlsym(RTLD_DEFAULT, "cudaRuntimeGetVersion"));
  int version = 0;
  return ask != nullptr && ask(&version) == 0 ? version : 0;
}

// UUID (16 bytes) and name (terminated) of the GPU that CUDA, and so libtorch, numbers 0 in this process; false where the
// driver knows of none.
bool neurosearch_first_gpu(unsigned char* uuid, char* name, int length) {
  void* driver = dlopen("libcuda.so.1", RTLD_NOW);
  if (driver == nullptr) return false;
  const auto start = reinterpret_cast<int (*)(unsigned)>(dlsym(driver, "cuInit"));
  const auto get = reinterpret_cast<int (*)(int*, int)>(dlsym(driver, "cuDeviceGet"));
  const auto identify = reinterpret_cast<int (*)(unsigned char*, int)>(dlsym(driver, "cuDeviceGetUuid"));
  const auto call = reinterpret_cast<int (*)(char*, int, int)>(dlsym(driver, "cuDeviceGetName"));
  int device = 0;
  return start != nullptr && get != nullptr && identify != nullptr && call != nullptr && start(0) == 0 && get(&device, 0) == 0 &&
         identify(uuid, device) == 0 && call(name, length, device) == 0;
}

// Whether CUDA's convolutions and products may round their inputs to TF32.
void neurosearch_allow_tf32(bool allow) {
  at::globalContext().setAllowTF32CuDNN(allow);
  at::globalContext().setAllowTF32CuBLAS(allow);
}

}  // extern "C"
