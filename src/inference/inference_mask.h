// SPDX-License-Identifier: MIT
// Masking at inference, which nobody wants from features but which measures what [MASK] does to
// them: the mismatch that BarcodeMAE is about.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "nn/config.h"
#include "tokenizer/kmer_tokenizer.h"

namespace barcodemae {

struct InferenceMask {
  enum class Kind {
    kNone,
    kDrop,        ///< the encoder sees the other tokens only, at their own positions
    kReplace,     ///< it sees [MASK] in their place; the mean is over all tokens
    kOnlyMasked,  ///< the same, and the mean is over the masked tokens alone
  };
  Kind kind = Kind::kNone;
  double rate = 0;  ///< share of a sequence's k-mers that is masked, 0 … 1
  std::uint64_t seed = 1;

  /// For names of rows and caches: "replace 0.5"; "none".
  std::string name() const;
};

/// "drop", "replace", "only-masked"; "none".
const char* to_string(InferenceMask::Kind kind);

/// Throws UserError when vectors pooled so cannot be had of masked sequences: only-masked is a
/// mean.
void require_pooling(const InferenceMask& mask, const Pooling& pooling);

/// A sequence as the encoder gets it.
struct MaskedSequence {
  TokenSequence tokens;
  std::vector<std::int32_t> pooled;  ///< indices of the tokens in the mean, ascending; no [CLS]
};

/// Masks round(rate · k-mers) of the sequence's k-mers: those whose numbers, from (seed, a hash of
/// the record's id, position), are the smallest, so that a record is masked alike in whatever file
/// or batch it comes, and what a lower rate masks a higher one masks too. Special tokens, whose ids
/// are below `first_kmer`, are never masked. kDrop leaves one k-mer or [UNK] at least; kOnlyMasked
/// masks one k-mer at least, and of a sequence without k-mers the mean is over its [UNK].
MaskedSequence masked(const TokenSequence& sequence, std::int32_t first_kmer,
                      const InferenceMask& mask, std::string_view id);

}  // namespace barcodemae
