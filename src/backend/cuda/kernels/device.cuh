// SPDX-License-Identifier: MIT
// What the kernels share: launching, sums over a warp, vectors of eight, and dropout.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "backend/cuda/check.h"
#include "backend/cuda/kernels/names.h"
#include "base/random.h"
#include "tensor/view.h"

namespace barcodemae::cuda {

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

/// A block's shared memory, cut into arrays by each kernel; garbage when the block begins.
extern __shared__ __align__(128) std::byte dynamic_shared[];

// Launching ------------------------------------------------------------------------------------

/// kernel(arguments…) on `grid` blocks of `block` threads. A grid without blocks is no launch. What
/// grows with the batch goes along x: y and z have no more than 65,535 blocks.
template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared_bytes,
            cudaStream_t stream, const Arguments&... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  constexpr std::size_t kWithoutAsking = 48 * 1024;
  if (shared_bytes > kWithoutAsking) {
    check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                               cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(shared_bytes)));
  }
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  check(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...));
}

inline unsigned blocks_for(std::int64_t count, std::int64_t per_block) {
  return static_cast<unsigned>((count + per_block - 1) / per_block);
}

/// Calls `body` with a value of the device type that `dtype` names: float32 or bfloat16.
template <typename Body>
void with_type(DType dtype, Body&& body) {
  if (dtype == DType::kBFloat16) {
    body(__nv_bfloat16{});
  } else {
    body(float{});
  }
}

// Numbers --------------------------------------------------------------------------------------

__device__ __forceinline__ float to_float(float value) { return value; }
__device__ __forceinline__ float to_float(__nv_bfloat16 value) { return __bfloat162float(value); }

template <typename T>
__device__ __forceinline__ T from_float(float value) {
  if constexpr (std::is_same_v<T, float>) {
    return value;
  } else {
    return __float2bfloat16(value);
  }
}

/// As stored and read again.
template <typename T>
__device__ __forceinline__ float rounded(float value) {
  return to_float(from_float<T>(value));
}

template <typename T>
struct alignas(16) Eight {
  T values[8];
};

/// Eight neighbours, 16-byte aligned.
template <typename T>
__device__ __forceinline__ void load8(float (&v)[8], const T* p) {
  const Eight<T> eight = *reinterpret_cast<const Eight<T>*>(p);
#pragma unroll
  for (int i = 0; i < 8; ++i) v[i] = to_float(eight.values[i]);
}

template <typename T>
__device__ __forceinline__ void store8(T* p, const float (&v)[8]) {
  Eight<T> eight;
#pragma unroll
  for (int i = 0; i < 8; ++i) eight.values[i] = from_float<T>(v[i]);
  *reinterpret_cast<Eight<T>*>(p) = eight;
}

// Sums over a warp: every lane gets the same bits -----------------------------------------------

__device__ __forceinline__ float warp_sum(float value) {
#pragma unroll
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, distance);
  }
  return value;
}

__device__ __forceinline__ double warp_sum(double value) {
#pragma unroll
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, distance);
  }
  return value;
}

__device__ __forceinline__ float warp_max(float value) {
#pragma unroll
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, distance));
  }
  return value;
}

// Names of rows, and dropout --------------------------------------------------------------------

/// The last sequence that begins at or before `row`: not an empty one.
__device__ __forceinline__ int sequence_of_row(const RowNames& names, int row) {
  int low = 0, high = names.sequences - 1;
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (names.offsets[middle] <= row) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

/// Bit i: channel 8 · block + i of a row is kept (tensor/backend.h, Dropout).
__device__ __forceinline__ unsigned keep_bits(const DropoutStream& dropout, std::uint32_t record,
                                              std::uint32_t position, std::uint32_t block) {
  const auto words =
      philox4x32({dropout.stream, dropout.step, record, position << 16 | block}, dropout.seed);
  unsigned bits = 0;
#pragma unroll
  for (unsigned i = 0; i < 8; ++i) {
    const std::uint32_t random = words[i / 2] >> (i % 2 * 16) & 0xFFFF;
    bits |= random < dropout.threshold ? 0u : 1u << i;
  }
  return bits;
}

/// Drops or scales channels 8 · block … 8 · block + 7 of a row.
__device__ __forceinline__ void drop8(float (&v)[8], const DropoutStream& dropout,
                                      std::uint32_t record, std::uint32_t position,
                                      std::uint32_t block) {
  if (dropout.threshold == 0) return;
  const unsigned bits = keep_bits(dropout, record, position, block);
#pragma unroll
  for (unsigned i = 0; i < 8; ++i) v[i] = (bits >> i & 1) != 0 ? v[i] * dropout.scale : 0.0f;
}

}  // namespace barcodemae::cuda
