// SPDX-License-Identifier: MIT
// What a model is pretrained to do. All objectives share an encoder, which is what remains of them;
// they differ in the tokens it sees (data/batch.h: the plan) and in how tokens are predicted from
// its hidden states.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "data/batch.h"
#include "nn/auxiliary_losses.h"
#include "nn/encoder.h"
#include "nn/kmer_head.h"

namespace barcodemae {

/// Counts over the whole global batch (all micro-batches, all ranks): the denominators of the
/// means.
struct GlobalCounts {
  std::int64_t masked = 0;                   ///< tokens to predict
  std::int64_t visible = 0;                  ///< k-mers that the second term scores
  std::vector<std::int64_t> auxiliary = {};  ///< Σ LabelTargets::count of each auxiliary loss
};

/// The weights of the terms in the total loss.
struct LossWeights {
  double masked = 1;     ///< w of w · masked + (1 − w) · visible; 1: no second term
  double auxiliary = 0;  ///< multiplies those of the auxiliary losses; 0: they are not computed
};

/// What a loss and an accuracy are of: "masked", or "next_token" of a causal model.
const char* task_name(const ModelConfig& config);

/// The decoder's input at masked places: a parameter [1 × decoder width].
inline constexpr const char* kMaskVectorName = "decoder.mask_vector";

/// The encoder's parameters have BertModel's names. The others are what pretraining.safetensors
/// holds: head.{weight,bias}, head.site_bias; with a decoder, projection.{weight,bias},
/// kMaskVectorName, decoder.embeddings.…, decoder.encoder.layer.<n>.….
class Objective {
 public:
  virtual ~Objective() = default;
  Objective(const Objective&) = delete;
  Objective& operator=(const Objective&) = delete;

  /// Values that are not plain random numbers: k-mer rows as sums of base embeddings, the site
  /// biases of a per-base head. `site_log_frequencies` [max_positions × 4k], empty: zeros. To be
  /// called after Parameters::initialise.
  void initialise(Parameters& parameters, std::uint64_t seed,
                  const std::vector<float>& site_log_frequencies) const;

  /// Forward pass of one micro-batch; with a tape it can then be run backward. The first term is
  /// that of the tokens to predict, whose hits are the objective's accuracy; the auxiliary losses
  /// are the last. Those look at the state of [CLS], or at the mean over what the encoder sees.
  std::vector<LossTerm> operator()(Context& context, const PackedBatch& batch,
                                   const MaskingPlan& plan, const GlobalCounts& counts,
                                   const LossWeights& weights) const;

  /// Last hidden states of the tokens that the encoder sees, [encoder rows, H].
  Tensor encode(Context& context, const PackedBatch& batch, const MaskingPlan& plan) const;

  /// Memory that the objective holds beside parameters and activations.
  std::size_t table_bytes() const { return head() == nullptr ? 0 : head()->table_bytes(); }
  /// How many of the terms are of auxiliary losses.
  std::size_t auxiliary_terms(const LossWeights& weights) const {
    return weights.auxiliary > 0 ? config().auxiliary.size() : 0;
  }

  const Encoder& encoder() const { return encoder_; }
  const ModelConfig& config() const { return encoder_.config(); }

 protected:
  Objective(Parameters& parameters, const ModelConfig& config)
      : encoder_(parameters, config), auxiliary_(parameters, config) {}

  /// encode(), given where the seen tokens lie.
  virtual Tensor encode_seen(Context& context, const PackedBatch& batch, const MaskingPlan& plan,
                             const Segments& seen) const;
  /// The loss terms, from the encoder's hidden states. They have no use after it.
  virtual std::vector<LossTerm> predict(Context& context, Tensor hidden, const PackedBatch& batch,
                                        const MaskingPlan& plan, const GlobalCounts& counts,
                                        const LossWeights& weights) const = 0;
  /// Null: no token is predicted.
  virtual const KmerHead* head() const = 0;
  /// Of what the auxiliary losses look at.
  virtual Pooling label_pooling() const { return config().cls ? Pooling::kCls : Pooling::kMean; }

  /// The terms "masked" and, when it has a weight, "visible", from hidden states of all tokens.
  std::vector<LossTerm> score_masked_and_visible(Context& context, Tensor x,
                                                 const PackedBatch& batch, const MaskingPlan& plan,
                                                 const GlobalCounts& counts,
                                                 const LossWeights& weights,
                                                 const Segments& segments) const;

 private:
  Segments seen_segments(Context& context, const PackedBatch& batch, const MaskingPlan& plan) const;

  Encoder encoder_;
  AuxiliaryLosses auxiliary_;
};

/// Declares the parameters of config.objective. Throws UserError as validate() does.
std::unique_ptr<Objective> make_objective(Parameters& parameters, const ModelConfig& config);

/// values[rows[i]]
std::vector<std::int32_t> take(const std::vector<std::int32_t>& values,
                               const std::vector<std::int32_t>& rows);
/// 0, 1, …, count − 1
std::vector<std::int32_t> first_rows(std::int64_t count);

}  // namespace barcodemae
