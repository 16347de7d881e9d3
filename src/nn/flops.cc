// SPDX-License-Identifier: MIT
#include "nn/flops.h"

namespace barcodemae {
namespace {

// Per token and layer: query, key, value and output, then the two of the feed-forward block.
double stack_flops(const TransformerConfig& config) {
  const double width = config.width, inner = config.feed_forward;
  return 2.0 * config.layers * (4 * width * width + 2 * width * inner);
}

}  // namespace

double embedding_flops(const ModelConfig& config, std::int64_t tokens) {
  return static_cast<double>(tokens) * stack_flops(config.encoder);
}

TrainingTokens training_tokens(const ModelConfig& config, std::int64_t tokens, std::int64_t masked,
                               std::int64_t left_out, bool visible_scored) {
  if (config.causal()) return {.encoder = tokens, .decoder = 0, .head = tokens};
  const bool leaves = config.objective == ObjectiveKind::kMaskedAutoencoder;
  return {.encoder = leaves ? tokens - left_out : tokens,
          .decoder = config.has_decoder() ? tokens : 0,
          .head = visible_scored ? tokens : masked};
}

double training_flops(const ModelConfig& config, const TrainingTokens& tokens) {
  const bool decodes = config.has_decoder();
  const double projection = decodes ? 2.0 * config.encoder.width * config.decoder.width : 0;
  const double decoder = decodes ? stack_flops(config.decoder) : 0;
  const double logits = config.head == HeadKind::kKmer ? config.predicted_kmers() : 4 * config.k;
  const double head = 2.0 * config.head_width() * logits;
  const double forward =
      static_cast<double>(tokens.encoder) * (stack_flops(config.encoder) + projection) +
      static_cast<double>(tokens.decoder) * decoder + static_cast<double>(tokens.head) * head;
  return 3 * forward;
}

}  // namespace barcodemae
