// SPDX-License-Identifier: MIT
#include "nn/objective.h"

#include <numeric>

#include "base/error.h"
#include "nn/causal_language_model.h"
#include "nn/masked_autoencoder.h"
#include "nn/masked_language_model.h"

namespace barcodemae {

std::vector<std::int32_t> take(const std::vector<std::int32_t>& values,
                               const std::vector<std::int32_t>& rows) {
  std::vector<std::int32_t> taken;
  taken.reserve(rows.size());
  for (const std::int32_t row : rows) taken.push_back(values.at(static_cast<std::size_t>(row)));
  return taken;
}

std::vector<std::int32_t> first_rows(std::int64_t count) {
  std::vector<std::int32_t> rows(static_cast<std::size_t>(count));
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

void Objective::initialise(Parameters& parameters, std::uint64_t seed,
                           const std::vector<float>& site_log_frequencies) const {
  encoder_.initialise(parameters, seed);
  if (head() != nullptr) head()->initialise(parameters, site_log_frequencies);
}

std::vector<LossTerm> Objective::operator()(Context& context, const PackedBatch& batch,
                                            const MaskingPlan& plan, const GlobalCounts& counts,
                                            const LossWeights& weights) const {
  BARCODEMAE_CHECK(weights.masked >= 0 && weights.masked <= 1, "masked weight {}", weights.masked);
  const Segments seen = seen_segments(context, batch, plan);
  const Tensor hidden = encode_seen(context, batch, plan, seen);
  std::vector<LossTerm> auxiliary;
  if (!auxiliary_.empty() && weights.auxiliary > 0) {
    const Tensor features = encoder_.pool(context, hidden, seen, label_pooling());
    auxiliary = auxiliary_.score(context, features, batch.records, plan.labels, counts.auxiliary,
                                 weights.auxiliary);
  }
  std::vector<LossTerm> terms = predict(context, hidden, batch, plan, counts, weights);
  terms.insert(terms.end(), auxiliary.begin(), auxiliary.end());
  return terms;
}

Segments Objective::seen_segments(Context& context, const PackedBatch& batch,
                                  const MaskingPlan& plan) const {
  // Tokens that the plan leaves out are not there at all; the others keep their positions in the
  // whole sequence.
  return make_segments(context, plan.encoder_begins, batch.records,
                       take(batch.positions, plan.encoder_rows));
}

Tensor Objective::encode(Context& context, const PackedBatch& batch,
                         const MaskingPlan& plan) const {
  return encode_seen(context, batch, plan, seen_segments(context, batch, plan));
}

Tensor Objective::encode_seen(Context& context, const PackedBatch& batch, const MaskingPlan& plan,
                              const Segments& seen) const {
  return encoder_(context, context.upload(take(plan.seen_ids(batch), plan.encoder_rows)), seen);
}

std::vector<LossTerm> Objective::score_masked_and_visible(
    Context& context, Tensor x, const PackedBatch& batch, const MaskingPlan& plan,
    const GlobalCounts& counts, const LossWeights& weights, const Segments& segments) const {
  const auto score = [&](const char* name, double weight, const std::vector<std::int32_t>& rows,
                         std::int64_t count) {
    return head()->score(context, name, weight, x, rows, take(batch.ids, rows), count, segments);
  };
  std::vector<LossTerm> terms{score("masked", weights.masked, plan.masked_rows, counts.masked)};
  if (weights.masked < 1) {
    terms.push_back(score("visible", 1 - weights.masked, plan.visible_rows, counts.visible));
  }
  return terms;
}

const char* task_name(const ModelConfig& config) {
  return config.causal() ? "next_token" : "masked";
}

std::unique_ptr<Objective> make_objective(Parameters& parameters, const ModelConfig& config) {
  if (config.has_decoder()) return std::make_unique<MaskedAutoencoder>(parameters, config);
  if (config.causal()) return std::make_unique<CausalLanguageModel>(parameters, config);
  return std::make_unique<MaskedLanguageModel>(parameters, config);
}

}  // namespace barcodemae
