// SPDX-License-Identifier: MIT
// Columns of tables of barcodes and of labels, by the names that databases give them
// (docs/formats.md).
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "sequence/record.h"

namespace barcodemae {

inline constexpr std::size_t kNoColumn = static_cast<std::size_t>(-1);

/// Number of the first column that has one of the names, the names in order of preference; in any
/// case, and with spaces for underscores: "Species Name" is species_name. kNoColumn if there is
/// none.
std::size_t find_column(const std::vector<std::string>& header,
                        const std::vector<std::string>& names);

/// Names of the column of ids, and of that of a rank, the preferred first.
std::vector<std::string> id_columns();
std::vector<std::string> rank_columns(Rank rank);

}  // namespace barcodemae
