// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/random.h"
#include "formats/npy.h"

namespace barcodemae {

/// Standard normal numbers.
inline Matrix random_matrix(std::int64_t rows, std::int64_t cols, std::uint64_t seed) {
  Matrix matrix{rows, cols, {}};
  RandomSequence random(seed, Stream::kInitialisation);
  for (std::int64_t i = 0; i < rows * cols; ++i) {
    matrix.values.push_back(static_cast<float>(random.normal()));
  }
  return matrix;
}

inline double cosine(std::span<const float> a, std::span<const float> b) {
  double dot = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    dot += double{a[i]} * b[i];
    aa += double{a[i]} * a[i];
    bb += double{b[i]} * b[i];
  }
  return dot / std::sqrt(aa * bb);
}

}  // namespace barcodemae
