// SPDX-License-Identifier: MIT
// CUDA's device side on the CPU: what a kernel sees, and how it is launched.
#pragma once

#include <math.h>

#include <bit>
#include <concepts>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "cuda_runtime_api.h"
#include "emulation.h"

extern uint3 threadIdx;
extern uint3 blockIdx;
extern dim3 blockDim;
extern dim3 gridDim;

// ---- Waiting. The place of the call is kept for messages.

#define BARCODEMAE_CALLER const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(BARCODEMAE_CALLER) {
  barcodemae::cuda_emulation::wait_for_block({"__syncthreads", file, line});
}

inline void __syncwarp(unsigned mask = 0xffffffff, BARCODEMAE_CALLER) {
  const barcodemae::cuda_emulation::Site site{"__syncwarp", file, line};
  barcodemae::cuda_emulation::require_full_mask(mask, site);
  barcodemae::cuda_emulation::exchange(0, site);
}

namespace barcodemae::cuda_emulation {

template <typename T>
concept Shuffled = std::same_as<T, int> || std::same_as<T, unsigned> || std::same_as<T, long> ||
    std::same_as<T, unsigned long> || std::same_as<T, long long> ||
    std::same_as<T, unsigned long long> || std::same_as<T, float> || std::same_as<T, double>;

template <Shuffled T>
using Word = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;

/// The value of lane source(own lane); its own where that is no lane.
template <Shuffled T, typename Source>
T shuffle(unsigned mask, T value, Site site, Source&& source) {
  require_full_mask(mask, site);
  const std::uint64_t* values = exchange(std::bit_cast<Word<T>>(value), site);
  const int from = source(lane());
  if (from < 0 || from >= kWarp) return value;
  return std::bit_cast<T>(static_cast<Word<T>>(values[from]));
}

inline unsigned ballot(unsigned mask, int predicate, Site site) {
  require_full_mask(mask, site);
  const std::uint64_t* values = exchange(predicate != 0, site);
  unsigned votes = 0;
  for (int i = 0; i < kWarp; ++i) votes |= static_cast<unsigned>(values[i]) << i;
  return votes;
}

}  // namespace barcodemae::cuda_emulation

template <barcodemae::cuda_emulation::Shuffled T>
T __shfl_sync(unsigned mask, T value, int source, BARCODEMAE_CALLER) {
  return barcodemae::cuda_emulation::shuffle(mask, value, {"__shfl_sync", file, line},
                                             [=](int) { return source & 31; });
}
template <barcodemae::cuda_emulation::Shuffled T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, BARCODEMAE_CALLER) {
  return barcodemae::cuda_emulation::shuffle(mask, value, {"__shfl_xor_sync", file, line},
                                             [=](int lane) { return lane ^ lanes; });
}
template <barcodemae::cuda_emulation::Shuffled T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, BARCODEMAE_CALLER) {
  return barcodemae::cuda_emulation::shuffle(
      mask, value, {"__shfl_down_sync", file, line},
      [=](int lane) { return delta < 32 ? lane + static_cast<int>(delta) : -1; });
}
template <barcodemae::cuda_emulation::Shuffled T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, BARCODEMAE_CALLER) {
  return barcodemae::cuda_emulation::shuffle(
      mask, value, {"__shfl_up_sync", file, line},
      [=](int lane) { return delta < 32 ? lane - static_cast<int>(delta) : -1; });
}
inline unsigned __ballot_sync(unsigned mask, int predicate, BARCODEMAE_CALLER) {
  return barcodemae::cuda_emulation::ballot(mask, predicate, {"__ballot_sync", file, line});
}
inline int __any_sync(unsigned mask, int predicate, BARCODEMAE_CALLER) {
  return barcodemae::cuda_emulation::ballot(mask, predicate, {"__any_sync", file, line}) != 0;
}
inline int __all_sync(unsigned mask, int predicate, BARCODEMAE_CALLER) {
  return barcodemae::cuda_emulation::ballot(mask, predicate, {"__all_sync", file, line}) ==
         0xffffffff;
}

// ---- Arithmetic that <math.h> lacks

inline float rsqrtf(float x) { return 1.0F / sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }
// As a GPU computes them, by base-2 functions: relative errors grow with |x|. glibc declares both
// names and defines neither.
extern "C" inline float __expf(float x) noexcept { return exp2f(x * 1.44269504F); }
extern "C" inline float __logf(float x) noexcept { return log2f(x) * 0.693147181F; }
inline float __fdividef(float x, float y) { return x / y; }

#define BARCODEMAE_MIN_MAX(T)                         \
  constexpr T min(T a, T b) { return b < a ? b : a; } \
  constexpr T max(T a, T b) { return a < b ? b : a; }
BARCODEMAE_MIN_MAX(int)
BARCODEMAE_MIN_MAX(unsigned)
BARCODEMAE_MIN_MAX(long)
BARCODEMAE_MIN_MAX(unsigned long)
BARCODEMAE_MIN_MAX(long long)
BARCODEMAE_MIN_MAX(unsigned long long)
#undef BARCODEMAE_MIN_MAX
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }

inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline int __popc(unsigned x) { return std::popcount(x); }
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>(std::uint64_t{a} * b >> 32);
}
template <typename T>
T __ldg(const T* p) {
  return *p;
}

// ---- Launching

/// Arguments are converted to the kernel's parameters once; each thread gets copies.
template <typename... Parameters, typename... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
  const auto run = [&](Parameters... parameters) {
    const auto thread = [&] { kernel(parameters...); };
    return barcodemae::cuda_emulation::launch(
        *config, reinterpret_cast<const void*>(kernel),
        [](const void* context) { (*static_cast<decltype(&thread)>(context))(); }, &thread);
  };
  return run(std::forward<Arguments>(arguments)...);
}

template <typename... Parameters>
cudaError_t cudaFuncSetAttribute(void (*kernel)(Parameters...), cudaFuncAttribute attribute,
                                 int value) {
  return cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), attribute, value);
}

template <typename T>
cudaError_t cudaMalloc(T** memory, std::size_t bytes) {
  return cudaMalloc(reinterpret_cast<void**>(memory), bytes);
}
template <typename T>
cudaError_t cudaMallocHost(T** memory, std::size_t bytes) {
  return cudaMallocHost(reinterpret_cast<void**>(memory), bytes);
}
template <typename T>
cudaError_t cudaMallocAsync(T** memory, std::size_t bytes, cudaStream_t stream) {
  return cudaMallocAsync(reinterpret_cast<void**>(memory), bytes, stream);
}
