// SPDX-License-Identifier: MIT
// The training-free baseline of every table: counts of overlapping k-mers.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "analysis/nearest.h"
#include "data/dataset.h"

namespace barcodemae {

/// The k of the baseline where nobody chooses another.
inline constexpr int kBaselineKmer = 6;

/// Counts of all overlapping k-mers of A, C, G, T in base-4 order [4^k]; k-mers with other letters
/// do not count.
void count_kmers(std::string_view sequence, int k, std::span<float> counts);

/// The counts of some records of a data set, computed when asked for: 100,000 rows of 4,096 need no
/// memory of their own. `data` and `records` must outlive it.
RowSource kmer_count_rows(const Dataset& data, std::span<const std::int64_t> records, int k);

}  // namespace barcodemae
