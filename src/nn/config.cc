// SPDX-License-Identifier: MIT
#include "nn/config.h"

#include <string_view>

#include "base/error.h"
#include "nn/dropout_sites.h"
#include "tokenizer/kmer_tokenizer.h"

namespace barcodemae {
namespace {

constexpr std::string_view kSites = "+sites";
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

std::string to_string(const Pooling& pooling) {
  if (pooling.sites) return to_string(pooling.of_states()) + std::string(kSites);
  switch (pooling.kind) {
    case Pooling::kMean:
      return "mean";
    case Pooling::kCls:
      return "cls";
    case Pooling::kBoth:
      return "both";
    case Pooling::kSegments:
      return fmt::format("segments:{}", pooling.segments);
  }
  return "";
}

std::optional<Pooling> parse_pooling(const std::string& name) {
  if (name.ends_with(kSites)) {
    std::optional<Pooling> pooling = parse_pooling(name.substr(0, name.size() - kSites.size()));
    if (!pooling || pooling->sites) return std::nullopt;
    pooling->sites = true;
    return pooling;
  }
  for (const Pooling pooling : {Pooling::kMean, Pooling::kCls, Pooling::kBoth}) {
    if (name == to_string(pooling)) return pooling;
  }
  for (int n = Pooling::kFewestSegments; n <= Pooling::kMostSegments; ++n) {
    const Pooling pooling(Pooling::kSegments, n);
    if (name == to_string(pooling)) return pooling;
  }
  return std::nullopt;
}

const char* to_string(AuxiliaryKind kind) {
  switch (kind) {
    case AuxiliaryKind::kCrossEntropy:
      return "cross-entropy";
    case AuxiliaryKind::kContrastive:
      return "contrastive";
    case AuxiliaryKind::kContrastiveOthers:
      return "contrastive-others";
    case AuxiliaryKind::kTriplet:
      return "triplet";
    case AuxiliaryKind::kPair:
      return "pair";
  }
  return "";
}

std::string auxiliary_name(const AuxiliaryLoss& loss) {
  return fmt::format("{}_{}", to_string(loss.rank), to_string(loss.kind));
}

int ModelConfig::all_kmers() const {
  if (bpe_specials > 0) return kmers();
  KmerVocabulary vocabulary_of_k;
  vocabulary_of_k.k = k;
  vocabulary_of_k.n_kmers = n_kmers;
  return vocabulary_of_k.all_kmers();
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
    if (config.cls || config.n_kmers || config.soft_targets != SoftTargets::kNone) {
      throw UserError(
          "--cls, --tokenize-n and --soft-targets are for k-mers, and the tokens are byte pairs\n"
          "Leave them out, or leave out --tokenizer.");
    }
  }
  require(!config.n_kmers || config.k <= KmerVocabulary::kMaxKWithN, "k", config.k,
          fmt::format("at most {} with --tokenize-n", KmerVocabulary::kMaxKWithN));
  if (config.predict_n && (!config.n_kmers || config.head == HeadKind::kBase)) {
    throw UserError("--predict-n needs --tokenize-n and --head kmer\nGive both, or leave it out.");
  }
  if (config.pooling.needs_cls() && !config.cls) {
    throw UserError("pooling \"{}\" needs a model with [CLS]\nPretrain one with --cls.",
                    to_string(config.pooling));
  }
  if (config.cls && config.causal()) {
    throw UserError(
        "--cls: a causal model's first token sees nothing but itself\nLeave the option out.");
  }
  const bool sees_mask = config.objective == ObjectiveKind::kMaskedAutoencoderSeeing ||
                         config.objective == ObjectiveKind::kMaskedLanguageModel;
  if (config.freeze_mask_row && !sees_mask) {
    throw UserError(
        "--freeze-mask-row: with --objective {} the encoder never meets [MASK]\n"
        "Leave the option out.",
        to_string(config.objective));
  }
  if (config.soft_targets != SoftTargets::kNone && config.head == HeadKind::kKmer) {
    require(config.k <= 6 && !config.predict_n, "k", config.k,
            "at most 6 with --soft-targets, and without --predict-n");
  }
  if (config.soft_targets == SoftTargets::kLevenshtein && config.head == HeadKind::kBase) {
    throw UserError(
        "--soft-targets levenshtein: edits are of whole k-mers, not of bases\n"
        "Give --head kmer, or --soft-targets hamming.");
  }
  require(config.first_kmer() >= 2 && config.first_kmer() <= 1024, "vocabulary", config.vocabulary,
          fmt::format("{} k-mers and 2 to 1024 special tokens", config.kmers()));
  require(config.max_positions >= 1 && config.max_positions <= kMostPositions, "max positions",
          config.max_positions, fmt::format("from 1 to {}", kMostPositions));
  require(config.dropout >= 0 && config.dropout < 1, "dropout", config.dropout,
          "at least 0 and below 1");
}

}  // namespace barcodemae
