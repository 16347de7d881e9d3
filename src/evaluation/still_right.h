// SPDX-License-Identifier: MIT
// Confusion by rank: what wrong answers still get right.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/dataset.h"
#include "evaluation/frozen_features.h"

namespace barcodemae {

/// Of the wrong answers, those that can be compared at a coarser rank.
struct StillRight {
  Rank rank = Rank::kFamily;
  std::int64_t compared = 0;  ///< the query has a label there, and so has the answer, if any
  std::int64_t right = 0;
};

/// `queries` are records, `answers` the records whose label each was given (−1: no answer, which is
/// right at no rank). Counts the queries whose answer has another label at `asked` at every rank
/// above it, from genus to phylum, that some of them can be compared at; finest first.
std::vector<StillRight> still_right(const Dataset& data, std::span<const std::int64_t> queries,
                                    std::span<const std::int64_t> answers, Rank asked);

/// The same of answers that are labels (≥ 0) of records in `train`: the other ranks of a label are
/// those of the first record that has it.
std::vector<StillRight> still_right(const Dataset& data, std::span<const std::int64_t> queries,
                                    std::span<const std::int32_t> answers,
                                    const LabelledRecords& train, Rank asked);

}  // namespace barcodemae
