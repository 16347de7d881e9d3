// SPDX-License-Identifier: MIT
#include "nn/classifier.h"

#include <numeric>
#include <utility>

namespace barcodemae {

ModelConfig Classifier::with_head(ModelConfig config, Rank rank, int classes) {
  config.pooling = Pooling::kMean;
  config.freeze_mask_row = false;  // [MASK] does not occur
  AuxiliaryLoss loss;
  loss.rank = rank;
  loss.kind = AuxiliaryKind::kCrossEntropy;
  loss.weight = 1;
  loss.classes = classes;
  config.auxiliary = {loss};
  return config;
}

void Classifier::set_encoder_rate(Parameters& parameters, double factor) {
  frozen_ = factor == 0;
  const std::vector<Parameters::Entry>& entries = parameters.entries();
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].names.front().starts_with("auxiliary.")) continue;
    ParameterOptions options = entries[i].options;
    options.frozen = frozen_;
    options.learning_rate_factor = static_cast<float>(factor);
    parameters.set_options(static_cast<int>(i), options);
  }
}

Tensor Classifier::encode_seen(Context& context, const PackedBatch& batch, const MaskingPlan& plan,
                               const Segments& seen) const {
  if (!frozen_ || context.tape == nullptr) {
    return Objective::encode_seen(context, batch, plan, seen);
  }
  Context inference = context;
  inference.tape = nullptr;
  return Objective::encode_seen(inference, batch, plan, seen);
}

std::vector<LossTerm> Classifier::predict(Context& context, Tensor hidden, const PackedBatch&,
                                          const MaskingPlan&, const GlobalCounts&,
                                          const LossWeights&) const {
  context.discard(hidden);
  return {};
}

MaskingPlan plan_without_masks(const PackedBatch& batch) {
  MaskingPlan plan;
  plan.encoder_rows.resize(batch.ids.size());
  std::iota(plan.encoder_rows.begin(), plan.encoder_rows.end(), 0);
  plan.encoder_begins = batch.begins;
  return plan;
}

}  // namespace barcodemae
