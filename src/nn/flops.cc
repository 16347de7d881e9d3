// SPDX-License-Identifier: MIT
#include "nn/flops.h"

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

double training_flops(const ModelConfig& config, const TrainingTokens& tokens) {
  const double projection = 2.0 * config.encoder.width * config.decoder.width;
  const double logits = config.head == HeadKind::kKmer ? config.kmers() : 4 * config.k;
  const double head = 2.0 * config.decoder.width * logits;
  const double forward =
      static_cast<double>(tokens.encoder) * (stack_flops(config.encoder) + projection) +
      static_cast<double>(tokens.decoder) *
          (stack_flops(config.decoder) - feed_forward_flops(config.decoder)) +
      static_cast<double>(tokens.head) * (feed_forward_flops(config.decoder) + head);
  return 3 * forward;
}

}  // namespace barcodemae
