// SPDX-License-Identifier: MIT
// The shape of a model: what config.json says, and nothing about its training.
#pragma once

#include <string>

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

  /// Tokens that can be masked and predicted: the 4^k k-mers, or the byte pairs.
  int kmers() const { return bpe_specials > 0 ? vocabulary - bpe_specials : 1 << (2 * k); }
  int first_kmer() const { return vocabulary - kmers(); }
  /// A 0, C 1, G 2, T 3 at a place of a k-mer; the first base is the most significant.
  int base_of_kmer(int kmer, int place) const { return kmer >> (2 * (k - 1 - place)) & 3; }
};

/// "mae", "mae-masked", "mlm", "causal".
const char* to_string(ObjectiveKind objective);

/// Throws UserError naming the option when a value is out of range (width not divisible by heads,
/// head size not a multiple of 8 or above 256, …).
void validate(const ModelConfig& config);

}  // namespace barcodemae
