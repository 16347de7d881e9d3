// SPDX-License-Identifier: MIT
#include "nn/config.h"

#include "base/error.h"
#include "nn/dropout_sites.h"

namespace barcodemae {
namespace {

constexpr int kMostWidth = 1 << 14;
constexpr int kMostPositions = 2048;  // attention's longest sequence

void require(bool ok, const std::string& option, double value, const std::string& expected) {
  if (!ok) throw UserError("{} is {}, but must be {}.", option, value, expected);
}

void validate(const TransformerConfig& config, const std::string& part) {
  require(config.width >= 8 && config.width <= kMostWidth, part + " width", config.width,
          fmt::format("from 8 to {}", kMostWidth));
  require(config.layers >= 1 && config.layers <= dropout_sites::kMostLayers, part + " layers",
          config.layers, fmt::format("from 1 to {}", dropout_sites::kMostLayers));
  require(config.feed_forward >= 8 && config.feed_forward <= 4 * kMostWidth,
          part + " feed-forward width", config.feed_forward,
          fmt::format("from 8 to {}", 4 * kMostWidth));
  require(config.heads >= 1 && config.width % config.heads == 0, part + " heads", config.heads,
          fmt::format("a divisor of the width, {}", config.width));
  const int head_size = config.width / config.heads;
  require(head_size % 8 == 0 && head_size <= 256, part + " head size (width / heads)", head_size,
          "a multiple of 8, at most 256");
  require(config.norm_epsilon > 0 && config.norm_epsilon < 1, part + " norm epsilon",
          config.norm_epsilon, "above 0 and below 1");
}

}  // namespace

const char* to_string(ObjectiveKind objective) {
  switch (objective) {
    case ObjectiveKind::kMaskedAutoencoder:
      return "mae";
    case ObjectiveKind::kMaskedAutoencoderSeeing:
      return "mae-masked";
    case ObjectiveKind::kMaskedLanguageModel:
      return "mlm";
    case ObjectiveKind::kCausalLanguageModel:
      return "causal";
  }
  return "";
}

void validate(const ModelConfig& config) {
  validate(config.encoder, "encoder");
  if (config.has_decoder()) validate(config.decoder, "decoder");
  require(config.k >= 1 && config.k <= 10, "k", config.k, "from 1 to 10");
  if (config.bpe_specials > 0) {
    require(config.kmers() >= 1, "vocabulary", config.vocabulary,
            fmt::format("more than its {} special tokens", config.bpe_specials));
    if (config.head == HeadKind::kBase ||
        config.kmer_initialisation == KmerInitialisation::kBases) {
      throw UserError(
          "A head or an initialisation by bases needs k-mers, and the tokens are byte pairs\n"
          "Choose --head kmer --kmer-init random.");
    }
  }
  require(config.first_kmer() >= 2 && config.first_kmer() <= 1024, "vocabulary", config.vocabulary,
          fmt::format("{} k-mers and 2 to 1024 special tokens", config.kmers()));
  require(config.max_positions >= 1 && config.max_positions <= kMostPositions, "max positions",
          config.max_positions, fmt::format("from 1 to {}", kMostPositions));
  require(config.dropout >= 0 && config.dropout < 1, "dropout", config.dropout,
          "at least 0 and below 1");
}

}  // namespace barcodemae
