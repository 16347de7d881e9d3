// SPDX-License-Identifier: MIT
// How much memory the activations of a step can need: the model, run dry on the worst batch.
#pragma once

#include <cstddef>
#include <cstdint>

#include "nn/masked_autoencoder.h"

namespace barcodemae {

/// The largest micro-batch that can come.
struct WorstBatch {
  std::int64_t sequences = 0;
  std::int64_t tokens = 0;  ///< of each sequence, at most
};

/// Bytes for Arena::reserve() that suffice for forward and backward of any micro-batch within
/// `batch`. Independent draws mask more or fewer tokens than `mask_ratio` says: six standard
/// deviations of either are covered. Throws UserError when tokens could not be counted in 32 bits.
/// The model's parameters must be allocated for training.
std::size_t plan_training_memory(Backend& backend, const MaskedAutoencoder& model, DType activation,
                                 const WorstBatch& batch, double mask_ratio, double masked_weight);

/// The same for Encoder::embed, where nothing is kept.
std::size_t plan_embedding_memory(Backend& backend, const Encoder& encoder, DType activation,
                                  const WorstBatch& batch);

}  // namespace barcodemae
