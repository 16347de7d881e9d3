// SPDX-License-Identifier: MIT
// What the keys' BINs (Barcode Index Numbers: clusters of barcodes that mostly are one species
// each; Ratnasingham & Hebert 2013, doi:10.1371/journal.pone.0066213) say of a query before any
// search. Where a BIN holds two species, or a species' BIN is in no library, it is the names or the
// marker that fail rather than the features: BOLD reports such BINs as discordant.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace barcodemae {

/// Whose keys lie in a query's BIN.
enum class BinConcordance { kOwn, kShared, kOthers, kNew, kNone };
inline constexpr std::size_t kBinConcordances = 5;

/// "its label alone", "its label and others", "other labels only", "no key", "(no BIN)"
std::string_view to_string(BinConcordance concordance);

/// Queries, or right answers, of each kind.
using BinCounts = std::array<std::int64_t, kBinConcordances>;

/// Records' labels and BINs, in step; −1: missing.
struct LabelsAndBins {
  std::vector<std::int32_t> labels, bins;
};

/// Of each query. Keys without a label or a BIN say nothing.
std::vector<BinConcordance> bin_concordance(const LabelsAndBins& keys,
                                            const LabelsAndBins& queries);

}  // namespace barcodemae
