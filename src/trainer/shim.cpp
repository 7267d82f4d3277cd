// The few calls that tch does not have: Adam in one pass, opening CUDA's library, and the precision switches.
#include <ATen/Context.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/_fused_adam.h>
#include <dlfcn.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <vector>

namespace {

std::vector<at::Tensor> gather(void* const* tensors, size_t count) {
  std::vector<at::Tensor> out;
  out.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    out.push_back(*static_cast<const at::Tensor*>(tensors[i]));
  }
  return out;
}

// A copy for the caller, who gives it back to neurosearch_free_text.
char* text(const char* message) { return strdup(message); }

}  // namespace

extern "C" {

void neurosearch_free_text(char* message) { free(message); }

// One Adam step over `count` parameters, in place; null, or what went wrong.
char* neurosearch_adam_step(void* const* parameters, void* const* gradients, void* const* means,
                            void* const* squares, void* const* steps, size_t count, double learning_rate,
                            double beta1, double beta2, double weight_decay, double epsilon) {
  try {
    const bool amsgrad = false, maximize = false;
    at::_fused_adam_(gather(parameters, count), gather(gradients, count), gather(means, count),
                     gather(squares, count), {}, gather(steps, count), learning_rate, beta1, beta2,
                     weight_decay, epsilon, amsgrad, maximize);
    return nullptr;
  } catch (const std::exception& error) {
    return text(error.what());
  }
}

// Frees a parameter's gradient, so that the next one is taken over instead of added to zeros.
void neurosearch_drop_gradient(const void* parameter) {
  static_cast<const at::Tensor*>(parameter)->mutable_grad().reset();
}

// The file that libtorch's CPU part was loaded from; null where the loader does not say.
char* neurosearch_library_path() {
  Dl_info info;
  if (dladdr(reinterpret_cast<const void*>(&at::globalContext), &info) == 0 || info.dli_fname == nullptr) {
    return nullptr;
  }
  return text(info.dli_fname);
}

// Opens a library for everybody in the process, for good; null, or what went wrong.
char* neurosearch_open_library(const char* path) {
  if (dlopen(path, RTLD_NOW | RTLD_GLOBAL) != nullptr) {
    return nullptr;
  }
  const char* error = dlerror();
  return text(error == nullptr ? "no reason given" : error);
}

// Whether CUDA's convolutions and products may round their inputs to TF32.
void neurosearch_allow_tf32(bool allow) {
  at::globalContext().setAllowTF32CuDNN(allow);
  at::globalContext().setAllowTF32CuBLAS(allow);
}

}  // extern "C"
