// SPDX-License-Identifier: MIT
#include "nn/causal_language_model.h"

#include "base/error.h"

namespace barcodemae {

std::vector<LossTerm> CausalLanguageModel::predict(Context& context, Tensor hidden,
                                                   const PackedBatch& batch,
                                                   const MaskingPlan& plan,
                                                   const GlobalCounts& counts,
                                                   const LossWeights&) const {
  // Row r − 1 predicts the token of row r: the site of a prediction is that of its target.
  std::vector<std::int32_t> sites = batch.positions, rows;
  for (const std::int32_t row : plan.masked_rows) {
    BARCODEMAE_CHECK(row > 0, "nothing comes before row {}", row);
    sites[static_cast<std::size_t>(row - 1)] = batch.positions[static_cast<std::size_t>(row)];
    rows.push_back(row - 1);
  }
  const Segments segments = make_segments(context, batch.begins, batch.records, sites);
  std::vector<LossTerm> terms{head_.score(context, "next", 1, hidden, rows,
                                          take(batch.ids, plan.masked_rows), counts.masked,
                                          segments)};
  context.discard(hidden);
  return terms;
}

}  // namespace barcodemae
