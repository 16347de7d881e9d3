// SPDX-License-Identifier: MIT
// How much memory the activations of a step can need: the model, run dry on the worst batch.
#pragma once

#include <cstddef>
#include <cstdint>

#include "nn/objective.h"

namespace barcodemae {

/// The largest micro-batch that can come.
struct WorstBatch {
  std::int64_t sequences = 0;
  std::int64_t tokens = 0;  ///< of each sequence, at most
};

/// How much is masked in the course of a training, as shares of the k-mers.
struct MaskedShares {
  double fewest = 0.5, most = 0.5;  ///< chosen to be predicted
  double left_out = 1;              ///< of the chosen: left out of a masked autoencoder's encoder
  double predicted = 1;             ///< of the chosen: MaskingRules::predict_share
};

/// Bytes for Arena::reserve() that suffice for forward and backward of any micro-batch within
/// `batch`. Independent draws mask more or fewer tokens than `shares` say: six standard deviations
/// of either are covered. Throws UserError when tokens could not be counted in 32 bits. The model's
/// parameters must be allocated for training.
std::size_t plan_training_memory(Backend& backend, const Objective& model, DType activation,
                                 const WorstBatch& batch, const MaskedShares& shares,
                                 const LossWeights& weights);

/// The same for Encoder::embed, where nothing is kept.
std::size_t plan_embedding_memory(Backend& backend, const Encoder& encoder, DType activation,
                                  const WorstBatch& batch);

}  // namespace barcodemae
