// SPDX-License-Identifier: MIT
// What a fine-tuned head says of vectors.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "formats/classifier_files.h"
#include "formats/npy.h"

namespace barcodemae {

struct SoftmaxAnswers {
  std::vector<std::int32_t> classes;  ///< of each vector, the first of those with the largest logit
  std::vector<double> losses;         ///< cross entropy of its target, nats; 0 without a target
};

/// `vectors` [N, width]; `targets` [N], the class that is right or −1. Logits in float32, sums over
/// classes in double; the same for any number of threads.
SoftmaxAnswers answer(const ClassifierHead& head, const Matrix& vectors,
                      std::span<const std::int32_t> targets);

}  // namespace barcodemae
