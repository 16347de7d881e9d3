// SPDX-License-Identifier: MIT
// gelu(z) = z Φ(z), Φ the standard normal distribution (Hendrycks and Gimpel, 2016), by erf.
#pragma once

#include <cmath>
#include <numbers>

#include "backend/reference/matrix.h"

namespace barcodemae::reference {

inline double normal_distribution(double z) { return 0.5 * std::erfc(-z / std::numbers::sqrt2); }

inline double normal_density(double z) {
  return std::exp(-0.5 * z * z) * std::numbers::inv_sqrtpi / std::numbers::sqrt2;
}

inline double gelu(double z) { return z * normal_distribution(z); }

inline double gelu_derivative(double z) { return normal_distribution(z) + z * normal_density(z); }

template <typename T>
void gelu_forward(Matrix<T> y, Input<T> x) {
  for (std::int64_t i = 0; i < y.size(); ++i) y.data[i] = static_cast<T>(gelu(x.data[i]));
}

/// dx = dy · gelu'(x); dx may be dy.
template <typename T>
void gelu_backward(Matrix<T> dx, Input<T> dy, Input<T> x) {
  for (std::int64_t i = 0; i < dx.size(); ++i) {
    dx.data[i] = static_cast<T>(dy.data[i] * gelu_derivative(x.data[i]));
  }
}

}  // namespace barcodemae::reference
