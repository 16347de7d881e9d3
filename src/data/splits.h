// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace barcodemae {

/// Names joined with "+" or ",", as --splits, --keys and --queries take them. Throws UserError,
/// naming `option`, for an empty or repeated name.
std::vector<std::string> parse_splits(std::string_view text, std::string_view option);

/// The first names of a file's splits, for messages; "none" where every record's is empty.
std::string listed_splits(std::vector<std::string> names);

}  // namespace barcodemae
