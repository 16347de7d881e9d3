// SPDX-License-Identifier: MIT
// The shape of a model: what config.json says, and nothing about its training.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sequence/record.h"

namespace barcodemae {

/// A BERT stack. Defaults are the paper's.
struct TransformerConfig {
  int width = 768;
  int layers = 6;
  int heads = 6;
  int feed_forward = 3072;
  float norm_epsilon = 1e-12f;
};

/// What a model is pretrained to do (docs/objectives.md).
enum class ObjectiveKind {
  kMaskedAutoencoder,        ///< mae: the encoder sees the visible tokens alone (the paper)
  kMaskedAutoencoderSeeing,  ///< mae-masked: the same, but the encoder sees [MASK] (its control)
  kMaskedLanguageModel,      ///< mlm: an encoder that sees [MASK], and a head (BarcodeBERT)
  kCausalLanguageModel,      ///< causal: the next token from those before it
};

enum class HeadKind {
  kKmer,  ///< one softmax over the 4^k k-mers (the paper)
  kBase,  ///< k softmaxes over the 4 bases, with a bias per site
};
enum class KmerInitialisation {
  kRandom,  ///< N(0, 0.02) per k-mer (the paper)
  kBases,   ///< sums of k base embeddings, one set per place in the k-mer
};

/// What the vector of a barcode is made of.
struct Pooling {
  enum Kind {
    kMean,  ///< the mean over its tokens (the paper), [CLS] not among them
    kCls,   ///< the hidden state of [CLS]
    kBoth,  ///< the two after one another
    /// Means over the tokens of equal ranges of places, one range after the other, zeros where a
    /// range has no token: what is said about a place stays apart from the others.
    kSegments,
  };
  static constexpr int kFewestSegments = 2, kMostSegments = 64;

  constexpr Pooling(Kind of_kind = kMean, int of_segments = 0)
      : kind(of_kind), segments(of_segments) {}
  Kind kind;
  int segments;  ///< of kSegments: ranges
  /// After it, what the tokens say about each site (data/site_features.h), past the encoder.
  bool sites = false;

  /// Without the sites: what is made of hidden states.
  constexpr Pooling of_states() const { return {kind, segments}; }
  /// Vectors of the encoder's width, side by side, the sites not counted.
  int parts() const { return kind == kSegments ? segments : kind == kBoth ? 2 : 1; }
  bool needs_cls() const { return kind == kCls || kind == kBoth; }
  bool operator==(const Pooling&) const = default;
};
/// "mean", "cls", "both", "segments:8", "mean+sites".
std::string to_string(const Pooling& pooling);
/// nullopt for another word.
std::optional<Pooling> parse_pooling(const std::string& name);
/// What parse_pooling takes, for --help and messages.
inline constexpr const char* kPoolingNames =
    "mean, cls, both, segments:N (N from 2 to 64), each of them with +sites";

/// Targets spread over similar k-mers: the share of a k-mer at distance d falls with exp(−d).
enum class SoftTargets {
  kNone,
  kHamming,      ///< differing bases (what the reference code calls Levenshtein)
  kLevenshtein,  ///< edit distance
};

enum class AuxiliaryKind {
  kCrossEntropy,       ///< a linear classifier of the labels
  kContrastive,        ///< supervised contrastive
  kContrastiveOthers,  ///< the same, the anchor's own species left out
  kTriplet,            ///< batch-hard triplet
  kPair,               ///< do two barcodes have the same label?
};
/// A loss of the pooled hidden states and the barcodes' labels at a rank (BarcodeMAE+).
struct AuxiliaryLoss {
  Rank rank = Rank::kGenus;
  AuxiliaryKind kind = AuxiliaryKind::kCrossEntropy;
  double weight = 0.1;       ///< in the total loss
  double temperature = 0.1;  ///< of the contrastive ones
  double margin = 0.3;       ///< of the triplet loss
  int classes = 0;           ///< of cross entropy: labels in the training data
};
/// "cross-entropy", "contrastive", "contrastive-others", "triplet", "pair".
const char* to_string(AuxiliaryKind kind);
/// "genus_cross-entropy" and the like.
std::string auxiliary_name(const AuxiliaryLoss& loss);

struct ModelConfig {
  ObjectiveKind objective = ObjectiveKind::kMaskedAutoencoder;
  TransformerConfig encoder;
  TransformerConfig decoder;  ///< without meaning when !has_decoder()
  int vocabulary = 4098;      ///< special tokens and k-mers
  int k = 6;
  int max_positions = 512;
  float dropout = 0.1f;
  HeadKind head = HeadKind::kKmer;
  KmerInitialisation kmer_initialisation = KmerInitialisation::kRandom;
  bool cls = false;  ///< sequences begin with [CLS]
  Pooling pooling = Pooling::kMean;
  bool n_kmers = false;    ///< k-mers with N are tokens too, after the others
  bool predict_n = false;  ///< … and are predicted
  // Of training alone:
  bool freeze_mask_row = false;  ///< the encoder's embedding of [MASK] stays 0
  SoftTargets soft_targets = SoftTargets::kNone;
  double soft_sharpness = 1;  ///< β of exp(−β d)
  std::vector<AuxiliaryLoss> auxiliary;

  bool has_decoder() const {
    return objective == ObjectiveKind::kMaskedAutoencoder ||
           objective == ObjectiveKind::kMaskedAutoencoderSeeing;
  }
  /// Tokens attend to those before them only: in training and in use.
  bool causal() const { return objective == ObjectiveKind::kCausalLanguageModel; }
  /// Of the hidden states from which tokens are predicted.
  int head_width() const { return has_decoder() ? decoder.width : encoder.width; }

  /// Byte pairs instead of k-mers: the number of special tokens, whose ids come first. 0: k-mers.
  int bpe_specials = 0;

  /// Tokens without N: the 4^k k-mers, or the byte pairs.
  int kmers() const { return bpe_specials > 0 ? vocabulary - bpe_specials : 1 << (2 * k); }
  int all_kmers() const;  ///< with those with N, where these are tokens
  int first_kmer() const { return vocabulary - all_kmers(); }
  int predicted_kmers() const { return predict_n ? all_kmers() : kmers(); }
  /// Of what is made of hidden states: the vector that stands for a barcode, but for sites.
  int embedding_width() const { return encoder.width * pooling.parts(); }
  /// A 0, C 1, G 2, T 3 at a place of a k-mer; the first base is the most significant.
  int base_of_kmer(int kmer, int place) const { return kmer >> (2 * (k - 1 - place)) & 3; }
};

/// "mae", "mae-masked", "mlm", "causal".
const char* to_string(ObjectiveKind objective);

/// Throws UserError naming the option when a value is out of range (width not divisible by heads,
/// head size not a multiple of 8 or above 256, …).
void validate(const ModelConfig& config);

}  // namespace barcodemae
