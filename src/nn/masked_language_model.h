// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

#include "nn/objective.h"

namespace barcodemae {

/// BarcodeBERT (arXiv 2311.02401), the encoder-only baseline of the paper: the encoder sees all
/// tokens with [MASK] among them; a head on its last hidden states (transformers'
/// BertForTokenClassification).
class MaskedLanguageModel final : public Objective {
 public:
  /// Declares encoder and head.
  MaskedLanguageModel(Parameters& parameters, const ModelConfig& config)
      : Objective(parameters, config), head_(parameters, config) {}

 private:
  std::vector<LossTerm> predict(Context& context, Tensor hidden, const PackedBatch& batch,
                                const MaskingPlan& plan, const GlobalCounts& counts,
                                const LossWeights& weights) const override;
  const KmerHead* head() const override { return &head_; }

  KmerHead head_;
};

}  // namespace barcodemae
