// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string_view>

#include "marker/marker_profile.h"
#include "tokenizer/kmer_tokenizer.h"

namespace barcodemae {

/// How a model reads a sequence: tokenizer, and marker coordinates when it was trained in them.
struct SequenceCoder {
  KmerTokenizer tokenizer;
  std::optional<MarkerProfile> profile;

  /// Tokens of a sequence. Explained by the profile: oriented, in marker coordinates from the first
  /// codon, tokens with missing bases left out. Else as the paper does it, with the frame offset.
  TokenSequence encode(std::string_view sequence, const Placement& placement, int offset = 0) const;
  /// Places it first, when there is a profile.
  TokenSequence encode(std::string_view sequence) const;
};

}  // namespace barcodemae
