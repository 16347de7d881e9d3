// SPDX-License-Identifier: MIT
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <cstdint>

namespace barcodemae {

/// AdamW (Loshchilov and Hutter, 2019) as PyTorch has it, for weights of the analyses: models have
/// their own, of the backends.
struct AdamW {
  using Array = Eigen::Map<Eigen::ArrayXf>;

  float rate = 0, decay = 0;
  float beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-8f;

  /// Moves `weights` and their moments; `step` counts from 1.
  void move(std::int64_t step, Array weights, const Array& gradient, Array first,
            Array second) const {
    const auto corrected = [&](float beta) {
      return static_cast<float>(1 / (1 - std::pow(double{beta}, static_cast<double>(step))));
    };
    first = beta1 * first + (1 - beta1) * gradient;
    second = beta2 * second + (1 - beta2) * gradient.square();
    weights -= rate * (corrected(beta1) * first / ((corrected(beta2) * second).sqrt() + epsilon) +
                       decay * weights);
  }
};

}  // namespace barcodemae
