// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace barcodemae::reference {

/// values = exp(values) / Σ exp(values); returns log Σ exp(values). count ≥ 1.
inline double softmax(double* values, std::int64_t count) {
  const double largest = *std::max_element(values, values + count);
  double sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += values[i] = std::exp(values[i] - largest);
  for (std::int64_t i = 0; i < count; ++i) values[i] /= sum;
  return largest + std::log(sum);
}

/// Turns the gradient of the probabilities into that of the scores, in place.
inline void softmax_backward(double* gradient, const double* probabilities, std::int64_t count) {
  double mean = 0;
  for (std::int64_t i = 0; i < count; ++i) mean += probabilities[i] * gradient[i];
  for (std::int64_t i = 0; i < count; ++i) {
    gradient[i] = probabilities[i] * (gradient[i] - mean);
  }
}

}  // namespace barcodemae::reference
