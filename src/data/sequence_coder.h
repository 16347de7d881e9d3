// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "marker/marker_profile.h"
#include "tokenizer/bpe_tokenizer.h"
#include "tokenizer/kmer_tokenizer.h"

namespace barcodemae {

/// How a model reads a sequence: tokenizer, and marker coordinates when it was trained in them.
struct SequenceCoder {
  KmerTokenizer tokenizer;
  std::optional<MarkerProfile> profile;
  /// Byte pairs instead of k-mers (and then no profile); `tokenizer` has no say but in the number
  /// of frame offsets, its k.
  std::shared_ptr<const BpeTokenizer> bpe = nullptr;

  /// Smaller ids are special tokens.
  std::int32_t first_token() const {
    return bpe ? bpe->vocabulary().specials : tokenizer.vocabulary().first_kmer();
  }
  /// Most tokens a sequence can have where it is not anchored.
  int max_tokens() const { return bpe ? bpe->max_tokens() : tokenizer.max_tokens(); }

  /// Tokens of a sequence. Explained by the profile: oriented, in marker coordinates from the first
  /// codon, tokens with missing bases left out. Else as the paper does it, with the frame offset.
  TokenSequence encode(std::string_view sequence, const Placement& placement, int offset = 0) const;
  /// Places it first, when there is a profile.
  TokenSequence encode(std::string_view sequence) const;
};

}  // namespace barcodemae
