// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

#include "nn/objective.h"

namespace barcodemae {

/// BarcodeMAE (arXiv 2502.18405): the encoder sees the visible tokens only, the decoder
/// reconstructs. And the paper's control, kMaskedAutoencoderSeeing: encoder and decoder alike, but
/// the encoder sees all tokens with [MASK] among them, and the decoder takes all its rows.
class MaskedAutoencoder final : public Objective {
 public:
  /// Declares encoder, projection, mask vector (not of the control), decoder and head.
  MaskedAutoencoder(Parameters& parameters, const ModelConfig& config);

  /// Its second half, up to the head: the decoder's hidden states of all tokens, [T, decoder's H].
  /// `segments` are the whole sequences. With a subset, only its rows' states, [N, decoder's H].
  /// The caller has no more use for `hidden`.
  Tensor decode(Context& context, Tensor hidden, const MaskingPlan& plan, const Segments& segments,
                const RowSubset* subset = nullptr) const;

 private:
  std::vector<LossTerm> predict(Context& context, Tensor hidden, const PackedBatch& batch,
                                const MaskingPlan& plan, const GlobalCounts& counts,
                                const LossWeights& weights) const override;
  const KmerHead* head() const override { return &head_; }

  const Parameters* parameters_;
  int projection_weight_, projection_bias_;
  int mask_vector_ = -1;
  EmbeddingLayer decoder_embedding_;
  std::vector<TransformerLayer> decoder_;
  KmerHead head_;
};

}  // namespace barcodemae
