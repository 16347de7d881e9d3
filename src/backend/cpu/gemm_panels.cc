// SPDX-License-Identifier: MIT
#include "backend/cpu/gemm_panels.h"

#include <algorithm>

#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/memory.h"
#include "backend/cpu/row_blocks.h"

namespace barcodemae::cpu::panels {
namespace {

std::int64_t round_up(std::int64_t count, std::int64_t multiple) {
  return (count + multiple - 1) / multiple * multiple;
}

// Sides of one step along the inner dimension, until this thread asks again.
struct Sides {
  float *left, *right;
};
Sides sides(std::int64_t rows, std::int64_t cols) {
  static thread_local Buffer buffer;
  const PanelKernels& panels = kernels().panels;
  const std::int64_t left = round_up(rows, panels.left_rows) * kPanelInner;
  const std::int64_t right = round_up(cols, panels.right_cols) * kPanelInner;
  const auto bytes = static_cast<std::size_t>(left + right) * sizeof(float) + kAlignment;
  auto* memory = static_cast<float*>(buffer.grow(bytes));
  return {memory, memory + round_up(left, kAlignment / sizeof(float))};
}

}  // namespace

std::int64_t right_floats(std::int64_t inner, std::int64_t cols) {
  return round_up(inner, kPanelChunk) * round_up(cols, kernels().panels.right_cols);
}

void pack_right(float* right, const float* b, std::int64_t inner, std::int64_t cols,
                bool transposed) {
  const PanelKernels& panels = kernels().panels;
  for (std::int64_t k = 0; k < inner; k += kPanelInner) {
    const std::int64_t count = std::min(kPanelInner, inner - k);
    float* step = right + right_floats(k, cols);
    if (transposed) {
      panels.pack_right_transposed(step, b + k, inner, count, cols);
    } else {
      panels.pack_right(step, b + k * cols, cols, count, cols);
    }
  }
}

void multiply(float* c, const float* a, std::int64_t rows, std::int64_t inner, std::int64_t cols,
              const float* right, const float* bias) {
  const PanelKernels& panels = kernels().panels;
  PanelProduct product;
  product.cols = cols;
  product.c_stride = cols;
  for (std::int64_t row = 0; row < rows; row += kBlockRows) {
    product.rows = std::min(kBlockRows, rows - row);
    product.c = c + row * cols;
    float* left = sides(product.rows, 0).left;
    product.left = left;
    for (std::int64_t k = 0; k < inner; k += kPanelInner) {
      product.inner = std::min(kPanelInner, inner - k);
      panels.pack_left(left, a + row * inner + k, inner, product.rows, product.inner);
      product.right = right + right_floats(k, cols);
      product.accumulate = k > 0;
      product.bias = k > 0 ? nullptr : bias;
      panels.multiply(product);
    }
  }
}

void add_transposed(float* c, std::int64_t c_stride, const TransposedProduct& of) {
  const PanelKernels& panels = kernels().panels;
  const Sides packed = sides(of.dy_cols, of.x_cols);
  PanelProduct product;
  product.rows = of.dy_cols;
  product.cols = of.x_cols;
  product.left = packed.left;
  product.left_transposed = true;
  product.right = packed.right;
  product.c = c;
  product.c_stride = c_stride;
  product.accumulate = true;
  for (std::int64_t row = 0; row < of.rows; row += kPanelInner) {
    product.inner = std::min(kPanelInner, of.rows - row);
    panels.pack_left_transposed(packed.left, of.dy + row * of.dy_stride, of.dy_stride, of.dy_cols,
                                product.inner);
    panels.pack_right(packed.right, of.x + row * of.x_stride, of.x_stride, product.inner,
                      of.x_cols);
    panels.multiply(product);
  }
}

}  // namespace barcodemae::cpu::panels
