// SPDX-License-Identifier: MIT
// The CUDA backend as the rest of the program sees it. Nothing here knows CUDA: this header and
// Backend are all that the program shares with the plugin libbarcodemae_cuda.so.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "communication/communicator.h"
#include "tensor/backend.h"

namespace barcodemae {

/// A GPU that the driver shows to this process.
struct CudaDevice {
  std::string name;          ///< "NVIDIA H200"
  int major = 0, minor = 0;  ///< compute capability
  std::size_t memory_bytes = 0;
};

/// What the plugin offers. Its functions throw UserError when there is no driver or too old a one.
class CudaPlugin {
 public:
  virtual ~CudaPlugin() = default;
  virtual std::string library() const = 0;  ///< what it was built with: "CUDA 13.0"
  /// In the driver's order. Throws UserError when there is none.
  virtual std::vector<CudaDevice> devices() const = 0;
  /// Of one of those. Throws UserError when the kernels are not for it.
  virtual std::unique_ptr<Backend> make_backend(int device) const = 0;
  /// `job` as it is, but background sums go from GPU to GPU, by NCCL, in the order of the backend's
  /// work: start_sum() takes what the backend was told to compute, and what it is told after
  /// finish_sums() finds the sums; the host waits for neither. Collective, of processes each with a
  /// backend of make_backend(), which must outlive the result as `job` must. Throws UserError
  /// without NCCL, and when two of them have the same GPU.
  virtual std::unique_ptr<Communicator> join_gpus(Backend& backend, Communicator& job) const = 0;
};

/// What the plugin exports as `extern "C"` under kCudaPluginFactory: the one object it has, or null
/// and in `error` why not. `interface` is the caller's kCudaPluginInterface with its version; a
/// plugin of another build refuses.
using CudaPluginFactory = const CudaPlugin*(const char* interface, std::string& error);
inline constexpr const char* kCudaPluginFactory = "barcodemae_cuda_plugin";
/// To be raised with every change of the classes above or of Backend.
inline constexpr const char* kCudaPluginInterface = "barcodemae cuda 1, version ";

/// The plugin beside the program, or the one that $BARCODEMAE_CUDA_PLUGIN names; null when there is
/// none: this program was built without CUDA. Throws UserError when it cannot be used.
const CudaPlugin* find_cuda_plugin();

/// The GPU that a device name means to this process.
struct CudaChoice {
  const CudaPlugin* plugin = nullptr;
  int number = 0;
  CudaDevice device;
};
/// `number`, or without one: the first GPU, or in a job of several processes the one of this
/// process's turn on its machine. Throws UserError when there is no such GPU, and no way to one.
CudaChoice choose_cuda_device(std::optional<int> number);

/// The backend of that GPU. Throws UserError when it cannot be had.
std::unique_ptr<Backend> make_cuda_backend(std::optional<int> number);

/// The communicator for trainings on `backend`: CudaPlugin::join_gpus() for a GPU in a job of
/// several processes; null where `job` itself will do.
std::unique_ptr<Communicator> join_gpus(Backend& backend, Communicator& job);

}  // namespace barcodemae
