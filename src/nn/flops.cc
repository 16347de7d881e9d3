// SPDX-License-Identifier: MIT
#include "nn/flops.h"

#include <cmath>

namespace barcodemae {
namespace {

// Per token: query, key, value and output.
double attention_flops(const TransformerConfig& config) {
  return 2.0 * 4 * config.width * config.width;
}

double feed_forward_flops(const TransformerConfig& config) {
  return 2.0 * 2 * config.width * config.feed_forward;
}

double stack_flops(const TransformerConfig& config) {
  return config.layers * (attention_flops(config) + feed_forward_flops(config));
}

}  // namespace

double embedding_flops(const ModelConfig& config, std::int64_t tokens) {
  return static_cast<double>(tokens) * stack_flops(config.encoder);
}

TrainingTokens training_tokens(const ModelConfig& config, std::int64_t tokens, std::int64_t masked,
                               std::int64_t left_out, bool visible_scored, double predict_share) {
  if (config.causal()) return {.encoder = tokens, .decoder = 0, .head = tokens};
  const bool leaves = config.objective == ObjectiveKind::kMaskedAutoencoder;
  const auto not_predicted = [&](std::int64_t chosen) {
    return std::llround((1 - predict_share) * static_cast<double>(chosen));
  };
  const std::int64_t decoder = leaves ? tokens - not_predicted(left_out) : tokens;
  return {.encoder = leaves ? tokens - left_out : tokens,
          .decoder = config.has_decoder() ? decoder : 0,
          .head = (visible_scored ? tokens : masked) - not_predicted(masked)};
}

TrainingTokens training_tokens(const ModelConfig& config, const PackedBatch& batch,
                               const MaskingPlan& plan, bool visible_scored) {
  const auto count = [](const std::vector<std::int32_t>& rows) {
    return static_cast<std::int64_t>(rows.size());
  };
  const std::int64_t decoder = plan.decoder_rows ? count(*plan.decoder_rows) : batch.tokens();
  return {.encoder = count(plan.encoder_rows),
          .decoder = config.has_decoder() ? decoder : 0,
          .head = count(plan.masked_rows) + (visible_scored ? count(plan.visible_rows) : 0)};
}

double training_flops(const ModelConfig& config, const TrainingTokens& tokens) {
  const bool decodes = config.has_decoder();
  const double projection = decodes ? 2.0 * config.encoder.width * config.decoder.width : 0;
  const double decoder = decodes ? stack_flops(config.decoder) : 0;
  const double last_block = decodes ? feed_forward_flops(config.decoder) : 0;
  const double logits = config.head == HeadKind::kKmer ? config.predicted_kmers() : 4 * config.k;
  const double head = 2.0 * config.head_width() * logits;
  const double forward =
      static_cast<double>(tokens.encoder) * (stack_flops(config.encoder) + projection) +
      static_cast<double>(tokens.decoder) * (decoder - last_block) +
      static_cast<double>(tokens.head) * (last_block + head);
  return 3 * forward;
}

}  // namespace barcodemae
