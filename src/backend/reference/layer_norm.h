// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <vector>

#include "backend/reference/matrix.h"

namespace barcodemae::reference {

struct Moments {
  double mean = 0;
  double inverse_deviation = 0;  ///< 1 / √(variance + ε), the variance being divided by n
};

template <typename T>
Moments row_moments(const T* x, std::int64_t count, double epsilon) {
  double sum = 0, squares = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += x[i];
  const double mean = sum / static_cast<double>(count);
  for (std::int64_t i = 0; i < count; ++i) squares += (x[i] - mean) * (x[i] - mean);
  return {mean, 1.0 / std::sqrt(squares / static_cast<double>(count) + epsilon)};
}

/// y = (x − mean) / √(variance + ε) · weight + bias, each row by its own mean and variance.
template <typename T>
void layer_norm_forward(Matrix<T> y, Input<T> x, Input<T> weight, Input<T> bias, double epsilon) {
  for (std::int64_t row = 0; row < x.rows; ++row) {
    const Moments moments = row_moments(x[row], x.cols, epsilon);
    for (std::int64_t i = 0; i < x.cols; ++i) {
      const double normal = (x[row][i] - moments.mean) * moments.inverse_deviation;
      y[row][i] = static_cast<T>(normal * weight.data[i] + bias.data[i]);
    }
  }
}

/// dx overwritten; dweight and dbias added to, unless without data. With n = the normalised x and
/// g = dy · weight: dx = (g − mean(g) − n · mean(g · n)) / √(variance + ε).
template <typename T>
void layer_norm_backward(Matrix<T> dx, Matrix<T> dweight, Matrix<T> dbias, Input<T> dy, Input<T> x,
                         Input<T> weight, double epsilon) {
  std::vector<double> weight_sums(static_cast<std::size_t>(x.cols)), bias_sums(weight_sums.size());
  std::vector<double> normal(weight_sums.size());
  for (std::int64_t row = 0; row < x.rows; ++row) {
    const Moments moments = row_moments(x[row], x.cols, epsilon);
    double mean_g = 0, mean_gn = 0;
    for (std::size_t i = 0; i < normal.size(); ++i) {
      normal[i] = (x[row][i] - moments.mean) * moments.inverse_deviation;
      const double g = static_cast<double>(dy[row][i]) * weight.data[i];
      mean_g += g / static_cast<double>(x.cols);
      mean_gn += g * normal[i] / static_cast<double>(x.cols);
      weight_sums[i] += dy[row][i] * normal[i];
      bias_sums[i] += dy[row][i];
    }
    for (std::size_t i = 0; i < normal.size(); ++i) {
      const double g = static_cast<double>(dy[row][i]) * weight.data[i];
      dx[row][i] = static_cast<T>((g - mean_g - normal[i] * mean_gn) * moments.inverse_deviation);
    }
  }
  for (std::size_t i = 0; i < normal.size(); ++i) {
    if (dweight.data != nullptr) dweight.data[i] = static_cast<T>(dweight.data[i] + weight_sums[i]);
    if (dbias.data != nullptr) dbias.data[i] = static_cast<T>(dbias.data[i] + bias_sums[i]);
  }
}

}  // namespace barcodemae::reference
