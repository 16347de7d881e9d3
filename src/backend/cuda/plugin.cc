// SPDX-License-Identifier: MIT
// What libbarcodemae_cuda.so shows to the program.
#include <cuda_runtime_api.h>

#include <cstdlib>

#include "backend/cuda/cuda.h"
#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/nccl_communicator.h"
#include "barcodemae_version.h"
#include "base/error.h"

namespace barcodemae::cuda {
namespace {

constexpr int kOldestCapability = 8;  // A100: the first with bfloat16

/// "13.0" of CUDA's 13000.
std::string version_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

int built_with() {
  int version = 0;
  cudaRuntimeGetVersion(&version);
  return version;
}

/// The oldest driver that runs programs of this CUDA.
const char* oldest_driver() { return built_with() >= 13000 ? "580" : "525"; }

/// At least 1. Throws UserError when there is no driver, too old a driver, or no GPU.
int device_count() {
  int driver = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) {
    throw UserError(
        "there is no NVIDIA driver on this machine (libcuda.so.1)\n"
        "Install version {} or newer, show it to the container (docker run --gpus all), or use\n"
        "--device cpu.",
        oldest_driver());
  }
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaErrorInsufficientDriver) {
    constexpr int kOldestToolkit = 12;
    const int major = driver / 1000;
    throw UserError(
        "the NVIDIA driver is too old: it runs CUDA {}, and this barcodemae was built with {}\n"
        "Install driver {} or newer{}.",
        version_text(driver), version_text(built_with()), oldest_driver(),
        major < kOldestToolkit ? "" : fmt::format(", or build barcodemae with CUDA {}", major));
  }
  if (status == cudaErrorNoDevice || (status == cudaSuccess && count == 0)) {
    const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
    throw UserError("the NVIDIA driver shows no GPU to this process{}\n{}, or use --device cpu.",
                    visible == nullptr ? std::string()
                                       : fmt::format(" (CUDA_VISIBLE_DEVICES is \"{}\")", visible),
                    visible == nullptr ? "Ask nvidia-smi what there is" : "Unset that variable");
  }
  if (status != cudaSuccess) {
    throw UserError("the NVIDIA driver does not start: {} ({})\nAsk nvidia-smi what is wrong.",
                    cudaGetErrorString(status), cudaGetErrorName(status));
  }
  return count;
}

CudaDevice describe(int device) {
  cudaDeviceProp properties{};
  if (const cudaError_t status = cudaGetDeviceProperties(&properties, device);
      status != cudaSuccess) {
    throw UserError("cuda:{} cannot be used: {}\nAsk nvidia-smi what is wrong.", device,
                    cudaGetErrorString(status));
  }
  return {properties.name, properties.major, properties.minor, properties.totalGlobalMem};
}

class Plugin final : public CudaPlugin {
 public:
  std::string library() const override { return "CUDA " + version_text(built_with()); }

  std::vector<CudaDevice> devices() const override {
    std::vector<CudaDevice> all;
    for (int device = 0, count = device_count(); device < count; ++device) {
      all.push_back(describe(device));
    }
    return all;
  }

  std::unique_ptr<Backend> make_backend(int device) const override {
    const CudaDevice found = describe(device);
    if (found.major < kOldestCapability) {
      throw UserError(
          "cuda:{} is too old: {} has compute capability {}.{}, and {}.0 is needed (A100 or newer)"
          "\nUse another GPU, or --device cpu.",
          device, found.name, found.major, found.minor, kOldestCapability);
    }
    return std::make_unique<CudaBackend>(device);
  }

  std::unique_ptr<Communicator> join_gpus(Backend& backend, Communicator& job) const override {
    return make_nccl_communicator(dynamic_cast<CudaBackend&>(backend), job);
  }
};

}  // namespace
}  // namespace barcodemae::cuda

extern "C" [[gnu::visibility("default")]] const barcodemae::CudaPlugin* barcodemae_cuda_plugin(
    const char* interface, std::string& error) {
  const std::string own = std::string(barcodemae::kCudaPluginInterface) + BARCODEMAE_VERSION;
  if (own != interface) {
    error = "it was built as \"" + own + "\", not as \"" + interface + "\"\nBuild both together.";
    return nullptr;
  }
  static const barcodemae::cuda::Plugin plugin;
  return &plugin;
}
