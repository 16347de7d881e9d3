// SPDX-License-Identifier: MIT
// A batch as the model sees it: tokens of several sequences end to end, without padding.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "data/label_targets.h"
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

/// Which tokens are chosen to be predicted, and what the encoder gets in their place.
struct MaskingRules {
  MaskingScheme scheme = MaskingScheme::kBernoulli;
  double ratio = 0.5;  ///< share of the k-mers that is chosen
  /// Shares of the chosen: replaced by another k-mer, left as they are. The others are masked.
  double random_share = 0, keep_share = 0;
  /// This many neighbouring positions, from the first k-mer's on, are chosen together: overlapping
  /// k-mers give each other away.
  int span = 1;
  int first_position = 0;  ///< that a k-mer can have: 1 after [CLS]
  /// Share of the chosen that is predicted. Of the others nothing is asked; where they have left
  /// the encoder's input, the decoder does not meet them either.
  double predict_share = 1;
  bool leave_out = true;  ///< the masked leave the encoder's input; false: they are [MASK] there
  std::int32_t first_kmer = 2;  ///< ids from it on can be chosen, …
  std::int32_t kmers = 4096;    ///< … this many of them
};

/// What is predicted from what. [UNK] is never chosen and counts in no loss.
struct MaskingPlan {
  std::vector<std::int32_t> encoder_rows;       ///< rows of the batch the encoder sees ([UNK] too)
  std::vector<std::int32_t> encoder_begins{0};  ///< [sequences + 1]: first encoder row of each
  std::vector<std::int32_t> masked_rows;        ///< rows to predict, of the chosen ones
  std::vector<std::int32_t> visible_rows;       ///< k-mers not chosen: the second loss term
  /// Rows that the decoder of a masked autoencoder sees; none: all.
  std::optional<std::vector<std::int32_t>> decoder_rows;
  /// [tokens]: the tokens as the encoder sees them; empty: as they are in the batch.
  std::vector<std::int32_t> ids;
  std::vector<LabelTargets> labels;  ///< of each auxiliary loss

  const std::vector<std::int32_t>& seen_ids(const PackedBatch& batch) const {
    return ids.empty() ? batch.ids : ids;
  }
};

/// Draws the plan for one batch. Token t of a record is chosen when its number, from (seed, step,
/// record, position), is below the ratio (paper: independent Bernoulli(0.5) per k-mer); with exact
/// count, the round(ratio · k-mers) tokens with the smallest numbers. What becomes of a chosen one
/// is told by a second number, whether it is predicted by a third. All lists ascend. A record is
/// masked alike in whatever batch it comes.
MaskingPlan plan_masking(const PackedBatch& batch, const MaskingRules& rules, std::uint64_t seed,
                         std::uint32_t step);

/// The plan of a causal model: the encoder sees all; every k-mer of `rules` with a token before it
/// is predicted.
MaskingPlan plan_next_tokens(const PackedBatch& batch, const MaskingRules& rules);

}  // namespace barcodemae
