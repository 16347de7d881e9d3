// SPDX-License-Identifier: MIT
// Products of float32 matrices in panels, by kernels of our own (kernels/panel_product.h); for
// machines without AVX-512, where oneDNN packs the right side anew in every call and gives a row
// the same bits only in whole tiles of rows.
#pragma once

#include <cstddef>
#include <cstdint>

namespace barcodemae::cpu::panels {

/// Size of a right-hand side [inner, cols] in panels.
std::int64_t right_floats(std::int64_t inner, std::int64_t cols);

/// From a compact [inner, cols], or from its transpose.
void pack_right(float* right, const float* b, std::int64_t inner, std::int64_t cols,
                bool transposed);

/// c [rows, cols] = a [rows, inner] · right (+ bias), compact, for any number of rows.
void multiply(float* c, const float* a, std::int64_t rows, std::int64_t inner, std::int64_t cols,
              const float* right, const float* bias);

/// A rectangle of columns of dy and of x, both compact of so many rows.
struct TransposedProduct {
  const float *dy = nullptr, *x = nullptr;
  std::int64_t rows = 0, dy_stride = 0, x_stride = 0;
  std::int64_t dy_cols = 0, x_cols = 0;  ///< of the rectangle
};
/// c [dy_cols, x_cols] += dyᵀ · x, the rows in order.
void add_transposed(float* c, std::int64_t c_stride, const TransposedProduct& of);

}  // namespace barcodemae::cpu::panels
