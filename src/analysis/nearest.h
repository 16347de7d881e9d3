// SPDX-License-Identifier: MIT
// Exact nearest neighbours by cosine, in float32 blocks by GEMM.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "formats/npy.h"

namespace barcodemae {

/// The products of blocks round differently from the final scores: that many runners-up of each
/// query are scored again.
inline constexpr int kSpareCandidates = 16;

struct Neighbour {
  std::int64_t key = -1;
  float similarity = 0;  ///< cosine; 0 when either vector is zero
};

/// Rows of a matrix that need not exist as a whole: fill(first, rows) writes rows first … of it,
/// row-major, as many as fit `rows`.
struct RowSource {
  std::int64_t rows = 0, cols = 0;
  std::function<void(std::int64_t first, std::span<float> rows)> fill;

  static RowSource of(const Matrix& matrix);
};

/// The `neighbours` most similar keys of each query, best first: [queries × neighbours]; −1 where
/// there are fewer keys. The GEMM finds candidates; those are scored again in double precision in a
/// fixed order, so that equal keys tie exactly, and ties go to the lowest key. Progress is shown
/// under `title` unless it is empty.
std::vector<Neighbour> nearest_by_cosine(const RowSource& keys, const RowSource& queries,
                                         int neighbours, const std::string& title = {});

/// Subtracts `mean` from every row.
void subtract_mean(Matrix& matrix, std::span<const double> mean);
std::vector<double> column_means(const Matrix& matrix);

}  // namespace barcodemae
