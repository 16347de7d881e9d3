// SPDX-License-Identifier: MIT
// The devices there are.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/cpu/cpu.h"
#include "backend/cuda/cuda.h"
#include "backend/reference/reference_backend.h"
#include "tensor/backend.h"

namespace barcodemae {

/// A device as options name it: "cpu", "reference", "cuda" (the GPU of this process's turn, see
/// make_cuda_backend()) or "cuda:N".
struct DeviceName {
  enum class Kind { kCpu, kReference, kCuda } kind = Kind::kCpu;
  std::optional<int> number;  ///< N
};
inline constexpr const char* kDeviceNames = "cpu, reference, cuda or cuda:N (N = 0, 1, …)";
std::optional<DeviceName> parse_device(std::string_view name);  ///< nullopt: not one of them
/// "cpu", "reference" or "cuda".
const char* to_string(DeviceName::Kind kind);
/// Whether a device of this kind computes in `precision`: of the CPU, on this machine.
bool has_precision(DeviceName::Kind kind, DType precision);

/// The faster of float32 and bfloat16 on this machine for the CPU backend, measured once per
/// machine in a few milliseconds and remembered for the process.
DType preferred_cpu_precision();

/// The library behind the CPU backend's matrix products, with the version that runs:
/// "oneDNN 2.6.3".
std::string cpu_matrix_library();

/// Throws UserError naming the choices when it is no device, and when the device cannot be had.
std::unique_ptr<Backend> make_backend(const std::string& name);

}  // namespace barcodemae
