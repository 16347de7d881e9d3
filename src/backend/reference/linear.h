// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "backend/reference/matrix.h"
#include "tensor/quantisation.h"

namespace barcodemae::reference {

/// The numbers nearest to a row's among the multiples, −127 to 127, of `scale`.
template <typename T>
void round_to_multiples(T* rounded, const T* row, std::int64_t cols, double scale) {
  for (std::int64_t col = 0; col < cols; ++col) {
    rounded[col] =
        scale > 0 ? static_cast<T>(scale * std::nearbyint(row[col] / scale)) : static_cast<T>(0);
  }
}

/// The values that int8 gives to an activation's row.
template <typename T>
void round_to_int8(Matrix<T> rounded, Input<T> x) {
  for (std::int64_t row = 0; row < x.rows; ++row) {
    double largest = 0;
    for (std::int64_t col = 0; col < x.cols; ++col) {
      largest = std::max(largest, std::abs(static_cast<double>(x[row][col])));
    }
    round_to_multiples(rounded[row], x[row], x.cols, largest / 127);
  }
}

/// The values that int8 gives to a weight (tensor/quantisation.h).
template <typename T>
void round_weight_to_int8(Matrix<T> rounded, Input<T> weight) {
  for (std::int64_t row = 0; row < weight.rows; ++row) {
    const std::vector<float> values(weight[row], weight[row] + weight.cols);
    round_to_multiples(rounded[row], weight[row], weight.cols, int8_scale(values));
  }
}

/// y = x · Wᵀ + b. `int8`: of x and W as int8 holds them.
template <typename T>
void linear_forward(Matrix<T> y, Input<T> x, Input<T> weight, Input<T> bias, bool int8 = false) {
  if (int8) {
    std::vector<T> memory(static_cast<std::size_t>(x.size() + weight.size()));
    const Matrix<T> x8{memory.data(), x.rows, x.cols};
    const Matrix<T> weight8{memory.data() + x.size(), weight.rows, weight.cols};
    round_to_int8(x8, x);
    round_weight_to_int8(weight8, weight);
    return linear_forward(y, Input<T>(x8), Input<T>(weight8), bias);
  }
  for (std::int64_t row = 0; row < y.rows; ++row) {
    for (std::int64_t out = 0; out < y.cols; ++out) {
      double sum = bias.data[out];
      for (std::int64_t in = 0; in < x.cols; ++in) {
        sum += static_cast<double>(x[row][in]) * weight[out][in];
      }
      y[row][out] = static_cast<T>(sum);
    }
  }
}

/// dx = dy · W, or dx += dy · W.
template <typename T>
void linear_backward_input(Matrix<T> dx, bool accumulate, Input<T> dy, Input<T> weight) {
  std::vector<double> sums(static_cast<std::size_t>(dx.cols));
  for (std::int64_t row = 0; row < dx.rows; ++row) {
    std::fill(sums.begin(), sums.end(), 0.0);
    for (std::int64_t out = 0; out < dy.cols; ++out) {
      const double gradient = dy[row][out];
      const T* weights = weight[out];
      for (std::size_t in = 0; in < sums.size(); ++in) sums[in] += gradient * weights[in];
    }
    for (std::size_t in = 0; in < sums.size(); ++in) {
      dx[row][in] = static_cast<T>(sums[in] + (accumulate ? dx[row][in] : T{0}));
    }
  }
}

/// dW += dyᵀ · x
template <typename T>
void linear_backward_weight(Matrix<T> dweight, Input<T> dy, Input<T> x) {
  std::vector<double> sums(static_cast<std::size_t>(dweight.cols));
  for (std::int64_t out = 0; out < dweight.rows; ++out) {
    std::fill(sums.begin(), sums.end(), 0.0);
    for (std::int64_t row = 0; row < dy.rows; ++row) {
      const double gradient = dy[row][out];
      const T* inputs = x[row];
      for (std::size_t in = 0; in < sums.size(); ++in) sums[in] += gradient * inputs[in];
    }
    for (std::size_t in = 0; in < sums.size(); ++in) {
      dweight[out][in] = static_cast<T>(dweight[out][in] + sums[in]);
    }
  }
}

/// sum += Σ over the rows of x; `sum` has one row. The gradient of a bias, or of a repeated row.
template <typename T>
void add_column_sums(T* sum, Matrix<const T> x) {
  for (std::int64_t column = 0; column < x.cols; ++column) {
    double total = 0;
    for (std::int64_t row = 0; row < x.rows; ++row) total += x[row][column];
    sum[column] = static_cast<T>(sum[column] + total);
  }
}

/// The gradients of both parameters; those without data are not wanted.
template <typename T>
void linear_backward_parameters(Matrix<T> dweight, Matrix<T> dbias, Input<T> dy, Input<T> x) {
  if (dweight.data != nullptr) linear_backward_weight(dweight, dy, x);
  if (dbias.data != nullptr) add_column_sums(dbias.data, dy);
}

}  // namespace barcodemae::reference
