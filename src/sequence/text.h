// SPDX-License-Identifier: MIT
// Text from files of any origin, made fit for tables, JSON and terminals.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace barcodemae {

/// Without white space (and other control characters) at either end.
std::string_view trim(std::string_view text);

/// Trimmed, control characters as spaces, and valid UTF-8: bytes that are not are read as Latin-1.
std::string clean_text(std::string_view text);
/// The same in place; free for what is clean already.
void clean_text_in_place(std::string& text);

/// clean_text of at most `bytes` bytes, "…" marking a cut: for messages.
std::string excerpt(std::string_view text, std::size_t bytes);

/// Whether a label says that there is none: empty, or a placeholder that cannot be a name: NA, N/A,
/// NaN, nan, -, and in any case none, null, unknown, unclassified, not_classified, unidentified,
/// and what ends in incertae sedis.
bool is_missing_label(std::string_view text);

/// "Aus sp." names a genus and no species; "Aus sp. 1ABC" is a name in use until there is another.
bool names_no_species(std::string_view text);

/// Appends what stands between the quotes of a table's cell: doubled quotes as one.
void append_unescaped(std::string& out, std::string_view quoted);

/// The first twelve names by commas, "…" for the others: for messages.
std::string listed(const std::vector<std::string>& names);

bool equals_ignoring_case(std::string_view left, std::string_view right);

}  // namespace barcodemae
