// SPDX-License-Identifier: MIT
#include "nn/memory_plan.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace barcodemae {
namespace {

// In smaller batches, blocks may fit into holes less neatly than in the dry run.
std::size_t with_margin(std::size_t bytes) { return bytes + bytes / 32 + 4096; }

// `total` tokens in sequences as long as possible: what attention keeps may grow with the square.
std::vector<std::int32_t> fill_sequences(const WorstBatch& batch, std::int64_t total) {
  std::vector<std::int32_t> begins{0};
  for (std::int64_t i = 1; i <= batch.sequences; ++i) {
    begins.push_back(static_cast<std::int32_t>(std::min(i * batch.tokens, total)));
  }
  return begins;
}

PackedBatch full_batch(const WorstBatch& batch, std::int32_t id) {
  BARCODEMAE_CHECK(batch.sequences > 0 && batch.tokens > 0, "{} sequences of {} tokens",
                   batch.sequences, batch.tokens);
  constexpr std::int64_t kMostTokens = std::numeric_limits<std::int32_t>::max();
  if (batch.sequences > kMostTokens / batch.tokens) {
    throw UserError(
        "{} barcodes of up to {} tokens at a time are too many\nGive --micro-batch {} or less.",
        batch.sequences, batch.tokens, kMostTokens / batch.tokens);
  }
  const std::int64_t total = batch.sequences * batch.tokens;
  PackedBatch packed;
  packed.begins = fill_sequences(batch, total);
  packed.ids.assign(static_cast<std::size_t>(total), id);
  packed.positions.assign(static_cast<std::size_t>(total), 0);
  packed.records.assign(static_cast<std::size_t>(batch.sequences), 0);
  return packed;
}

// A bound for all plans rather than a plan: many masked and many visible tokens at once.
MaskingPlan largest_plan(const ModelConfig& config, const PackedBatch& packed,
                         const WorstBatch& batch, const MaskedShares& shares) {
  const auto total = static_cast<double>(packed.tokens());
  const auto at_most = [&](double share) {
    const double spread = 6 * std::sqrt(total * share * (1 - share)) + 1;
    return static_cast<std::int64_t>(std::min(total, std::ceil(total * share + spread)));
  };
  MaskingPlan plan;
  for (const AuxiliaryLoss& loss : config.auxiliary) {
    LabelTargets& targets = plan.labels.emplace_back();
    targets.labels.assign(packed.records.size(), 0);
    if (loss.kind == AuxiliaryKind::kContrastiveOthers) targets.groups = targets.labels;
    targets.pairs.assign(3 * static_cast<std::size_t>(kMostPairs), 0);
    targets.count = packed.sequences();
  }
  plan.encoder_rows = first_rows(packed.tokens());
  if (config.causal()) {
    plan.encoder_begins = packed.begins;
    plan.masked_rows.assign(plan.encoder_rows.begin() + 1, plan.encoder_rows.end());
    return plan;
  }
  plan.masked_rows = first_rows(at_most(shares.most * shares.predicted));
  plan.visible_rows = first_rows(at_most(1 - shares.fewest));
  if (config.objective == ObjectiveKind::kMaskedAutoencoder) {
    const double left_out = shares.fewest * shares.left_out;
    plan.encoder_rows = first_rows(at_most(1 - left_out));
    if (shares.predicted < 1) {
      plan.decoder_rows = first_rows(at_most(1 - left_out * (1 - shares.predicted)));
    }
  }
  plan.encoder_begins = fill_sequences(batch, static_cast<std::int64_t>(plan.encoder_rows.size()));
  return plan;
}

}  // namespace

std::size_t plan_training_memory(Backend& backend, const Objective& model, DType activation,
                                 const WorstBatch& batch, const MaskedShares& shares,
                                 const LossWeights& weights) {
  const PackedBatch packed = full_batch(batch, model.config().first_kmer());
  const MaskingPlan plan = largest_plan(model.config(), packed, batch, shares);
  Arena arena(backend);
  Tape tape(arena);
  Context context{backend, arena, &tape, activation};
  arena.begin_measuring();
  GlobalCounts counts{packed.tokens(), packed.tokens()};
  counts.auxiliary.assign(plan.labels.size(), packed.sequences());
  model(context, packed, plan, counts, weights);
  tape.backward();
  return with_margin(arena.end_measuring());
}

std::size_t plan_embedding_memory(Backend& backend, const Encoder& encoder, DType activation,
                                  const WorstBatch& batch) {
  const PackedBatch packed = full_batch(batch, encoder.config().first_kmer());
  Arena arena(backend);
  Context context{backend, arena, nullptr, activation};
  arena.begin_measuring();
  const Segments segments = make_segments(context, packed.begins, packed.records, packed.positions);
  encoder.embed(context, context.upload(packed.ids), segments, encoder.config().pooling.of_states(),
                {packed.positions, encoder.config().max_positions});
  return with_margin(arena.end_measuring());
}

}  // namespace barcodemae
