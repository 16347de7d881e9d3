// SPDX-License-Identifier: MIT
// k-mers as tokens, exactly as the paper's reference code makes them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace barcodemae {

/// Vocabulary: special tokens first, then the 4^k k-mers in base-4 order A < C < G < T, first base
/// most significant. Stored with every model (tokenizer.json), never derived from k alone.
struct KmerVocabulary {
  int k = 6;
  std::vector<std::string> specials = {"[MASK]", "[UNK]"};
  /// k-mers with N are tokens too, in the order A < C < G < T < N after all those without.
  bool n_kmers = false;

  static constexpr std::int32_t kMask = 0;
  static constexpr std::int32_t kUnknown = 1;
  static constexpr int kMaxK = 10;      ///< 4^10 = 1,048,576 k-mers
  static constexpr int kMaxKWithN = 8;  ///< 5^8 = 390,625
  static constexpr const char* kCls = "[CLS]";

  std::int32_t first_kmer() const { return static_cast<std::int32_t>(specials.size()); }
  std::int32_t kmers() const { return std::int32_t{1} << (2 * k); }
  /// With those with N, where these are tokens.
  std::int32_t all_kmers() const;
  std::int32_t size() const { return first_kmer() + all_kmers(); }
  /// Id of [CLS], with which every sequence then begins; −1: none.
  std::int32_t cls() const;
  /// The text of a token; `id` in 0 … size() − 1.
  std::string token(std::int32_t id) const;
};

/// The tokens of one sequence. `positions[i]` is the token's place in the sequence or, anchored, in
/// the marker; ascending, not always consecutive. With [CLS], that is at 0 and all others one
/// further; a sequence without k-mers has no [CLS] either.
struct TokenSequence {
  std::vector<std::int32_t> ids;
  std::vector<std::int32_t> positions;
};

/// Cuts sequences into k-mers. With a stride below k they overlap; above k, bases between them are
/// skipped.
class KmerTokenizer {
 public:
  /// Throws UserError unless 1 ≤ k ≤ 10, stride ≥ 1, max_bases ≥ k and the special tokens begin
  /// with [MASK], [UNK].
  KmerTokenizer(KmerVocabulary vocabulary, int stride, int max_bases = 660);
  /// k-mers side by side, stride = k, as the paper has them.
  explicit KmerTokenizer(const KmerVocabulary& vocabulary)
      : KmerTokenizer(vocabulary, vocabulary.k) {}

  /// The paper's tokens of a normalised sequence (upper case, gaps dropped, U as T): drop `offset`
  /// bases, cut at max_bases, strip trailing N, then a token every `stride` bases; a k-mer with
  /// anything but ACGT is [UNK]; a trailing partial k-mer is dropped. positions = 0, 1, 2, …
  TokenSequence tokenize(std::string_view sequence, int offset = 0) const;

  /// Tokens in marker coordinates: base i of the sequence lies at coordinate begin + i, token p
  /// covers coordinates first_site + p · stride … + k − 1, and only tokens within [0,
  /// marker_length) all of whose bases are present and unambiguous exist; others are left out, and
  /// so are positions from max_tokens() on.
  TokenSequence tokenize_anchored(std::string_view sequence, int begin, int first_site,
                                  int marker_length) const;

  const KmerVocabulary& vocabulary() const { return vocabulary_; }
  int stride() const { return stride_; }
  int max_bases() const { return max_bases_; }
  /// Most tokens a sequence can have; positions are below it.
  int max_tokens() const { return max_kmers() + (cls_ >= 0 ? 1 : 0); }

 private:
  int max_kmers() const { return (max_bases_ - vocabulary_.k) / stride_ + 1; }
  /// Id of the k-mer that begins at `bases`; [UNK] when a base is not one of ACGT (or N).
  std::int32_t kmer_id(const char* bases) const;
  std::int32_t n_kmer_id(const char* bases) const;
  TokenSequence with_cls(TokenSequence tokens) const;

  KmerVocabulary vocabulary_;
  int stride_, max_bases_;
  std::int32_t cls_;
};

}  // namespace barcodemae
