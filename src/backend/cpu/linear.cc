// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/memory.h"
#include "backend/cpu/row_blocks.h"
#include "base/threads.h"

namespace barcodemae {

using namespace cpu;

void CpuBackend::linear_forward(View y, View x, const LinearLayer& layer) {
  const WeightMatrix& weight = forward_weight(layer.weight, x.dtype);
  parallel_for((x.rows + kBlockRows - 1) / kBlockRows, [&](std::int64_t block, int) {
    const std::int64_t row = block * kBlockRows, rows = std::min(kBlockRows, x.rows - row);
    multiply_any(at(y.data, y.dtype, row * y.cols), y.dtype, at(x.data, x.dtype, row * x.cols),
                 rows, weight, values(layer.bias));
  });
}

void CpuBackend::linear_backward(View dx, bool accumulate, View dy, View x,
                                 const LinearLayer& layer) {
  const std::int64_t blocks = (x.rows + kBlockRows - 1) / kBlockRows;
  const bool want_bias = layer.bias.gradient.data != nullptr;
  Buffer partial_sums(want_bias ? static_cast<std::size_t>(blocks * dy.cols) * sizeof(float) : 0);
  auto* partial = static_cast<float*>(partial_sums.data());
  const WeightMatrix* weight =
      dx.data == nullptr ? nullptr : &backward_weight(layer.weight, x.dtype);
  const bool packed = GradientOperand::packed(x.dtype);
  if (packed) {
    packed_dy_.grow(GradientOperand::bytes(dy.rows, dy.cols, dy.dtype));
    packed_x_.grow(GradientOperand::bytes(x.rows, x.cols, x.dtype));
  }
  const GradientOperand dy_operand(packed ? packed_dy_.data() : dy.data,
                                   GradientOperand::Side::kLeft, dy.rows, dy.cols, dy.dtype);
  const GradientOperand x_operand(packed ? packed_x_.data() : x.data, GradientOperand::Side::kRight,
                                  x.rows, x.cols, x.dtype);
  parallel_for(blocks, [&](std::int64_t block, int) {
    const std::int64_t row = block * kBlockRows, rows = std::min(kBlockRows, x.rows - row);
    dy_operand.store(row, at(dy.data, dy.dtype, row * dy.cols), rows, rows);
    x_operand.store(row, at(x.data, x.dtype, row * x.cols), rows, rows);
    const void* dy_rows = at(dy.data, dy.dtype, row * dy.cols);
    if (want_bias) {
      kernels_.column_sums(partial + block * dy.cols, false, 1, dy_rows, dy.dtype, rows, dy.cols,
                           dy.cols);
    }
    if (weight == nullptr) return;
    void* dx_rows = at(dx.data, dx.dtype, row * dx.cols);
    if (accumulate) {
      static thread_local Buffer product;
      const auto bytes = static_cast<std::size_t>(kBlockRows * dx.cols) * size_of(dx.dtype);
      multiply_any(product.grow(bytes), dx.dtype, dy_rows, rows, *weight, nullptr);
      kernels_.add(dx_rows, dx_rows, product.data(), dx.dtype, rows * dx.cols);
    } else {
      multiply_any(dx_rows, dx.dtype, dy_rows, rows, *weight, nullptr);
    }
  });
  if (want_bias) {
    kernels_.column_sums(gradient(layer.bias), true, 1, partial, DType::kFloat32, blocks, dy.cols,
                         dy.cols);
  }
  add_weight_gradients(std::array{WeightGradient{gradient(layer.weight), dy_operand, x_operand}});
}

}  // namespace barcodemae
