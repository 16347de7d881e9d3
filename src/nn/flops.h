// SPDX-License-Identifier: MIT
// The arithmetic that a batch cannot do without: the matrix products with weights.
#pragma once

#include <cstdint>

#include "nn/config.h"

namespace barcodemae {

// Floating-point operations (a multiplication and an addition are two) of the products with weight
// matrices, for the batch's real tokens. Attention's own products, element-wise work and embeddings
// are not counted, nor what an implementation does twice.

/// Of embedding `tokens` tokens: the encoder's forward pass.
double embedding_flops(const ModelConfig& config, std::int64_t tokens);

/// The tokens of a training batch, by what they go through.
struct TrainingTokens {
  std::int64_t encoder = 0;  ///< encoder and projection: the visible ones
  std::int64_t decoder = 0;  ///< all
  /// Head, and feed-forward block of the decoder's last layer: the masked ones; all k-mers when
  /// visible ones are scored too.
  std::int64_t head = 0;
};
/// Of one training step: the forward pass, and twice as much backward (gradients of inputs and of
/// weights).
double training_flops(const ModelConfig& config, const TrainingTokens& tokens);

}  // namespace barcodemae
