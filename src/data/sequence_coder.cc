// SPDX-License-Identifier: MIT
#include "data/sequence_coder.h"

namespace barcodemae {

TokenSequence SequenceCoder::encode(std::string_view sequence, const Placement& placement,
                                    int offset) const {
  if (bpe) return bpe->tokenize(sequence, offset);
  if (!profile || !placement.explained) return tokenizer.tokenize(sequence, offset);
  const auto in_marker = [&](std::string_view oriented) {
    return tokenizer.tokenize_anchored(oriented, placement.begin, profile->codon_start(),
                                       profile->length());
  };
  return placement.reverse_complement ? in_marker(reverse_complement(sequence))
                                      : in_marker(sequence);
}

TokenSequence SequenceCoder::encode(std::string_view sequence) const {
  return encode(sequence, profile ? profile->place(sequence) : Placement{});
}

}  // namespace barcodemae
