// SPDX-License-Identifier: MIT
// The arithmetic that a batch cannot do without: the matrix products with weights.
#pragma once

#include <cstdint>

#include "data/batch.h"
#include "nn/config.h"

namespace barcodemae {

// Floating-point operations (a multiplication and an addition are two) of the products with weight
// matrices, for the batch's real tokens. Attention's own products, element-wise work and embeddings
// are not counted, nor what an implementation does twice.

/// Of embedding `tokens` tokens: the encoder's forward pass.
double embedding_flops(const ModelConfig& config, std::int64_t tokens);

/// The tokens of a training batch, by what they go through.
struct TrainingTokens {
  std::int64_t encoder = 0;  ///< encoder and projection: what the encoder sees
  std::int64_t decoder = 0;  ///< what the decoder sees
  /// Head, and feed-forward block of the decoder's last layer: those to predict; all k-mers when
  /// visible ones are scored too.
  std::int64_t head = 0;
};
/// Of `tokens` k-mers by the objective, `masked` of them chosen. `left_out`: of these, how many the
/// encoder of a masked autoencoder does not see; of the others it sees all. `predict_share`:
/// MaskingRules.
TrainingTokens training_tokens(const ModelConfig& config, std::int64_t tokens, std::int64_t masked,
                               std::int64_t left_out, bool visible_scored,
                               double predict_share = 1);
/// Of a batch as it is planned.
TrainingTokens training_tokens(const ModelConfig& config, const PackedBatch& batch,
                               const MaskingPlan& plan, bool visible_scored);
/// Of one training step: the forward pass, and twice as much backward (gradients of inputs and of
/// weights).
double training_flops(const ModelConfig& config, const TrainingTokens& tokens);

}  // namespace barcodemae
