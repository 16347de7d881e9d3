// SPDX-License-Identifier: MIT
#include "nn/masked_language_model.h"

namespace barcodemae {

std::vector<LossTerm> MaskedLanguageModel::predict(Context& context, Tensor hidden,
                                                   const PackedBatch& batch,
                                                   const MaskingPlan& plan,
                                                   const GlobalCounts& counts,
                                                   const LossWeights& weights) const {
  const Segments segments = make_segments(context, batch.begins, batch.records, batch.positions);
  std::vector<LossTerm> terms =
      score_masked_and_visible(context, hidden, batch, plan, counts, weights, segments);
  context.discard(hidden);
  return terms;
}

}  // namespace barcodemae
