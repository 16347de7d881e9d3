// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace barcodemae {

/// Logits come in multiples of this.
inline constexpr std::int64_t kSoftmaxPadding = 16;

/// Softmax of `logits` [count] times `factor`, in place; −∞ becomes 0, so that rows can be padded.
/// Returns log Σ exp. In float32, but sums of 256 are added up in double.
double scaled_softmax(float* logits, std::int64_t count, double factor);

}  // namespace barcodemae
