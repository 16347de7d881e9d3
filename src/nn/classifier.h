// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "nn/objective.h"

namespace barcodemae {

/// Fine-tuning: a softmax over classes, by one linear layer on the mean over a barcode's tokens;
/// the encoder learns with it. The one loss term is the cross entropy of config.auxiliary's one
/// loss, whose targets are the plan's labels; nothing is masked.
class Classifier final : public Objective {
 public:
  /// Names of the head's parameters: weight [classes, H] and bias [1, classes].
  static constexpr const char* kWeight = "auxiliary.0.weight";
  static constexpr const char* kBias = "auxiliary.0.bias";

  /// Declares the encoder of `config` and a head for so many classes of a rank.
  Classifier(Parameters& parameters, const ModelConfig& config, Rank rank, int classes)
      : Objective(parameters, with_head(config, rank, classes)) {}

  /// What the encoder learns with: its learning rates, as a factor of the head's; 0: it is frozen,
  /// without dropout or a backward pass, and does not decay.
  void set_encoder_rate(Parameters& parameters, double factor);

  /// The encoder's configuration with the head as its only loss, and pooled by the mean.
  static ModelConfig with_head(ModelConfig config, Rank rank, int classes);

 private:
  Tensor encode_seen(Context& context, const PackedBatch& batch, const MaskingPlan& plan,
                     const Segments& seen) const override;
  std::vector<LossTerm> predict(Context& context, Tensor hidden, const PackedBatch& batch,
                                const MaskingPlan& plan, const GlobalCounts& counts,
                                const LossWeights& weights) const override;
  const KmerHead* head() const override { return nullptr; }
  Pooling label_pooling() const override { return Pooling::kMean; }

  bool frozen_ = false;
};

/// The plan of a batch whose encoder sees every token and predicts none.
MaskingPlan plan_without_masks(const PackedBatch& batch);

}  // namespace barcodemae
