// SPDX-License-Identifier: MIT
// A batch as the model sees it: tokens of several sequences end to end, without padding.
#pragma once

#include <cstdint>
#include <vector>

#include "tokenizer/kmer_tokenizer.h"

namespace barcodemae {

/// Sequences laid end to end.
struct PackedBatch {
  std::vector<std::int32_t> ids;        ///< [tokens]
  std::vector<std::int32_t> positions;  ///< [tokens]
  std::vector<std::int32_t> begins{0};  ///< [sequences + 1]: first token of each sequence
  std::vector<std::int32_t> records;    ///< [sequences]: index in the data set

  std::int64_t tokens() const { return static_cast<std::int64_t>(ids.size()); }
  std::int64_t sequences() const { return static_cast<std::int64_t>(records.size()); }
  void append(const TokenSequence& sequence, std::int32_t record);
};

enum class MaskingScheme { kBernoulli, kExactCount };

/// Which tokens are hidden from the encoder. [UNK] is never masked and counts in no loss.
struct MaskingPlan {
  std::vector<std::int32_t> encoder_rows;       ///< rows of the batch the encoder sees ([UNK] too)
  std::vector<std::int32_t> encoder_begins{0};  ///< [sequences + 1]: first encoder row of each
  std::vector<std::int32_t> masked_rows;        ///< rows to reconstruct
  std::vector<std::int32_t> visible_rows;       ///< k-mers the encoder sees: the second loss term
};

/// Draws the plan for one batch. Token t of a record is masked when its number, from (seed, step,
/// record, position), is below the ratio (paper: independent Bernoulli(0.5) per k-mer); with exact
/// count, the round(ratio · k-mers) tokens with the smallest numbers. `first_kmer_id`: smaller ids
/// are special. All lists ascend. A record is masked alike in whatever batch it comes.
MaskingPlan plan_masking(const PackedBatch& batch, MaskingScheme scheme, double ratio,
                         std::int32_t first_kmer_id, std::uint64_t seed, std::uint32_t step);

}  // namespace barcodemae
