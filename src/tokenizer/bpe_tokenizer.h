// SPDX-License-Identifier: MIT
// Byte-pair encoding as Hugging Face's `tokenizers` does it, of sequences of upper-case letters.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tokenizer/kmer_tokenizer.h"

namespace barcodemae {

/// What tokenizer.json says of a model of type BPE. As with k-mers, special tokens come first, and
/// [MASK] is 0, [UNK] 1.
struct BpeVocabulary {
  std::vector<std::string> tokens;  ///< by id
  int specials = 0;                 ///< ids below it are special
  /// Pairs of ids in order of rank: the pair of the lowest rank is merged first, of equal ones the
  /// leftmost.
  std::vector<std::pair<std::int32_t, std::int32_t>> merges;
  bool fuse_unknown = false;                 ///< neighbouring unknown letters are one [UNK]
  bool ignore_merges = false;                ///< a sequence that is itself a token is that token
  std::vector<std::int32_t> prefix, suffix;  ///< around every sequence: [CLS] …, … [SEP]
};

class BpeTokenizer {
 public:
  /// Throws UserError unless special tokens come first, [MASK] and [UNK] leading, and every merge
  /// makes a token. `max_tokens`: what a sequence's tokens, prefix and suffix are cut at.
  BpeTokenizer(BpeVocabulary vocabulary, int max_tokens);
  BpeTokenizer(const BpeTokenizer&) = delete;  // ids are found by views of the vocabulary
  BpeTokenizer& operator=(const BpeTokenizer&) = delete;

  /// Tokens of a normalised sequence (upper case, gaps dropped, U as T) without its first `offset`
  /// bases; trailing N stripped. positions = 0, 1, 2, … None when nothing is left of the sequence.
  TokenSequence tokenize(std::string_view sequence, int offset = 0) const;

  const BpeVocabulary& vocabulary() const { return vocabulary_; }
  int max_tokens() const { return max_tokens_; }

 private:
  struct Merge {
    std::uint32_t rank;
    std::int32_t token;  ///< what the pair becomes
  };
  const Merge* find_merge(std::int32_t left, std::int32_t right) const;
  void append_tokens(std::string_view sequence, std::vector<std::int32_t>& ids) const;

  BpeVocabulary vocabulary_;
  int max_tokens_;
  std::unordered_map<std::string_view, std::int32_t> ids_;
  std::unordered_map<std::uint64_t, Merge> merges_;
};

}  // namespace barcodemae
