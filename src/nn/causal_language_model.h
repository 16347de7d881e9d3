// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

#include "nn/objective.h"

namespace barcodemae {

/// The autoregressive baseline: each token from those before it, by an encoder whose attention is
/// causal. The first token of a sequence is predicted by nobody.
class CausalLanguageModel final : public Objective {
 public:
  /// Declares encoder and head.
  CausalLanguageModel(Parameters& parameters, const ModelConfig& config)
      : Objective(parameters, config), head_(parameters, config) {}

 private:
  std::vector<LossTerm> predict(Context& context, Tensor hidden, const PackedBatch& batch,
                                const MaskingPlan& plan, const GlobalCounts& counts,
                                const LossWeights& weights) const override;
  const KmerHead* head() const override { return &head_; }

  KmerHead head_;
};

}  // namespace barcodemae
