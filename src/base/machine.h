// SPDX-License-Identifier: MIT
// What this process may use: cores, memory, instruction sets.
#pragma once

#include <cstddef>
#include <string>

namespace barcodemae {

/// Instruction-set levels that kernels are compiled for, each including the ones before it.
enum class SimdLevel { kScalar, kAvx2, kAvx512, kAvx512Bf16, kAmx };

struct Machine {
  std::string cpu_model;
  int cores = 1;  ///< cores this process may use: affinity and cgroup quotas respected
  std::size_t memory_bytes = 0;  ///< memory this process may use: physical or cgroup limits
  SimdLevel simd = SimdLevel::kScalar;
};

/// Looked up once. AMX counts only when the kernel grants the tile state to this process.
/// `BARCODEMAE_SIMD=scalar|avx2|avx512|avx512bf16|amx` lowers the level (tests, bug reports);
/// throws UserError when it names another word or a level this machine lacks. ONEDNN_MAX_CPU_ISA
/// limits the level too.
const Machine& machine();

const char* to_string(SimdLevel level);

/// The highest level within a value of oneDNN's ONEDNN_MAX_CPU_ISA.
SimdLevel simd_within_isa(std::string isa);

/// Bytes of memory that are free for this process right now.
std::size_t available_memory_bytes();

/// Logs that `task` ("Clustering") takes about `needed` bytes of `free` ones. `account` begins with
/// the bytes and says what they are for. Throws UserError when there are too few, with `advice`.
void require_memory(const std::string& task, const std::string& account, double needed, double free,
                    const std::string& advice);

/// Peak resident memory of this process so far, in bytes.
std::size_t peak_memory_bytes();

}  // namespace barcodemae
