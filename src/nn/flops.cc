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

double training_flops(const ModelConfig& config, const TrainingTokens& tokens) {
  const double projection = 2.0 * config.encoder.width * config.decoder.width;
  const double logits = config.head == HeadKind::kKmer ? config.kmers() : 4 * config.k;
  const double head = 2.0 * config.decoder.width * logits;
  const double forward =
      static_cast<double>(tokens.encoder) * (stack_flops(config.encoder) + projection) +
      static_cast<double>(tokens.decoder) * stack_flops(config.decoder) +
      static_cast<double>(tokens.head) * head;
  return 3 * forward;
}

}  // namespace barcodemae
