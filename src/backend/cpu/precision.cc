// SPDX-License-Identifier: MIT
#include <algorithm>
#include <chrono>

#include "backend/cpu/cpu.h"
#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/memory.h"
#include "base/error.h"
#include "base/machine.h"

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

bool has_precision(DType precision) {
  switch (precision) {
    case DType::kFloat32:
      return true;
    case DType::kBFloat16:
      return bfloat16_products();
    case DType::kInt8:
      return int8_products();
    default:
      return false;
  }
}

void require_precision(DType precision) {
  if (has_precision(precision)) return;
  throw UserError(
      "--precision {} needs a CPU with {}; this one has {}\n"
      "Use --precision f32, or auto, which takes the faster of those that keep all digits.",
      precision_name(precision), precision == DType::kInt8 ? "AVX-512 BF16 and VNNI" : "AVX-512",
      to_string(machine().simd));
}

DType faster_precision() {
  initialise_gemm();
  if (!bfloat16_products()) return DType::kFloat32;
  return time_product(DType::kBFloat16) < time_product(DType::kFloat32) ? DType::kBFloat16
                                                                        : DType::kFloat32;
}

}  // namespace barcodemae::cpu
