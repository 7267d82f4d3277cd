// The few calls that tch does not have: Adam in one pass, opening CUDA's library, precision switches.
#include <ATen/Context.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/_fused_adam.h>
#include <dlfcn.h>

#include <cstdlib>
#include <cstring>

namespace {

const at::Tensor& tensor(const void* pointer) { return *static_cast<const at::Tensor*>(pointer); }

std::vector<at::Tensor> gather(void* const* tensors, size_t count) {
  std::vector<at::Tensor> out;
  for (size_t i = 0; i < count; ++i) out.push_back(tensor(tensors[i]));
  return out;
}

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
