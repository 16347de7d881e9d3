// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>

#include "backend/reference/matrix.h"
#include "tensor/backend.h"
#include "tensor/parameters.h"

namespace barcodemae::reference {

/// One step on `count` elements: torch.optim.AdamW with its weight decay in front of the update and
/// ε added to the corrected denominator.
template <typename T>
void adamw(T* value, const T* gradient, T* first_moment, T* second_moment, std::int64_t count,
           const AdamWStep& step, const ParameterOptions& options) {
  const double learning_rate = step.learning_rate * options.learning_rate_factor;
  const double decay = options.weight_decay ? learning_rate * step.weight_decay : 0.0;
  for (std::int64_t i = 0; i < count; ++i) {
    const double g = gradient[i] * step.gradient_scale;
    const double m = first_moment[i] + (1 - step.beta1) * (g - first_moment[i]);
    const double v = step.beta2 * second_moment[i] + (1 - step.beta2) * g * g;
    const double denominator = std::sqrt(v) / std::sqrt(step.bias_correction2) + step.epsilon;
    value[i] = static_cast<T>(value[i] * (1 - decay) -
                              learning_rate / step.bias_correction1 * m / denominator);
    first_moment[i] = static_cast<T>(m);
    second_moment[i] = static_cast<T>(v);
  }
}

}  // namespace barcodemae::reference
