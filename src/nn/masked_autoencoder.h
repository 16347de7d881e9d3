// SPDX-License-Identifier: MIT
// BarcodeMAE (arXiv 2502.18405): the encoder sees the visible tokens only, the decoder
// reconstructs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/batch.h"
#include "nn/encoder.h"
#include "ops/ops.h"

namespace barcodemae {

/// One named term of the loss, on the device; the trainer downloads all of them once a step.
struct LossTerm {
  std::string name;        ///< "masked", "visible"
  double weight = 1;       ///< in the total loss
  ops::Loss loss;          ///< {mean over the global batch (this part's share), hits}
  std::int64_t count = 0;  ///< tokens scored in this micro-batch
};

/// Counts over the whole global batch (all micro-batches, all ranks): the denominators of the
/// means.
struct GlobalCounts {
  std::int64_t masked = 0;
  std::int64_t visible = 0;
};

/// The encoder's parameters have BertModel's names. The others, which pretraining.safetensors
/// holds: projection.{weight,bias}, decoder.mask_vector, decoder.embeddings.…,
/// decoder.encoder.layer.<n>.…, head.{weight,bias}, head.site_bias.
class MaskedAutoencoder {
 public:
  /// Declares encoder, projection, mask vector, decoder and head. Throws UserError as validate().
  MaskedAutoencoder(Parameters& parameters, const ModelConfig& config);

  /// Values that are not plain random numbers: k-mer rows as sums of base embeddings, the site
  /// biases of a per-base head. `site_log_frequencies` [max_positions × 4k], empty: zeros. To be
  /// called after Parameters::initialise.
  void initialise(Parameters& parameters, std::uint64_t seed,
                  const std::vector<float>& site_log_frequencies) const;

  /// Forward pass of one micro-batch; with a tape it can then be run backward. masked_weight w:
  /// loss = w · mean over masked + (1 − w) · mean over visible k-mers; with w = 1 the visible term
  /// is not computed.
  std::vector<LossTerm> operator()(Context& context, const PackedBatch& batch,
                                   const MaskingPlan& plan, const GlobalCounts& counts,
                                   double masked_weight) const;

  /// Its first half: last hidden states of the tokens that the encoder sees, [visible, H].
  Tensor encode(Context& context, const PackedBatch& batch, const MaskingPlan& plan) const;
  /// Its second half, up to the head: the decoder's hidden states of all tokens, [T, decoder's H].
  /// `segments` are the whole sequences. With a subset, only its rows' states, [N, decoder's H].
  /// The caller has no more use for `hidden`.
  Tensor decode(Context& context, Tensor hidden, const MaskingPlan& plan, const Segments& segments,
                const RowSubset* subset = nullptr) const;

  const Encoder& encoder() const { return encoder_; }
  const ModelConfig& config() const { return config_; }

 private:
  CrossEntropyHead head() const;
  std::vector<std::int32_t> targets(const PackedBatch& batch,
                                    const std::vector<std::int32_t>& rows) const;

  ModelConfig config_;
  const Parameters* parameters_;
  Encoder encoder_;
  int projection_weight_, projection_bias_;
  int mask_vector_;
  EmbeddingLayer decoder_embedding_;
  std::vector<TransformerLayer> decoder_;
  int head_weight_, head_bias_, head_site_ = -1;
};

}  // namespace barcodemae
