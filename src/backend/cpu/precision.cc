// SPDX-License-Identifier: MIT
#include <algorithm>
#include <chrono>

#include "backend/cpu/cpu.h"
#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/memory.h"

namespace barcodemae::cpu {
namespace {

// Seconds of one product of a feed-forward layer's shape, best of a few.
double time_product(DType type) {
  constexpr std::int64_t kRows = 128, kInner = 768, kCols = 768;
  const WeightMatrix weights(kInner, kCols, type);
  const Buffer a(static_cast<std::size_t>(kRows * kInner) * size_of(type));
  const Buffer c(static_cast<std::size_t>(kRows * kCols) * size_of(type));
  double best = 1e9;
  for (int repeat = 0; repeat < 4; ++repeat) {
    const auto start = std::chrono::steady_clock::now();
    multiply(c.data(), type, a.data(), kRows, weights, nullptr);
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    best = std::min(best, time.count());
  }
  return best;
}

}  // namespace

DType faster_precision() {
  initialise_gemm();
  if (!bfloat16_products()) return DType::kFloat32;
  return time_product(DType::kBFloat16) < time_product(DType::kFloat32) ? DType::kBFloat16
                                                                        : DType::kFloat32;
}

}  // namespace barcodemae::cpu
