// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <vector>

#include "backend/reference/matrix.h"

namespace barcodemae::reference {

/// y = x · Wᵀ + b
template <typename T>
void linear_forward(Matrix<T> y, Input<T> x, Input<T> weight, Input<T> bias) {
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
