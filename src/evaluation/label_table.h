// SPDX-License-Identifier: MIT
// Labels beside embeddings made elsewhere: a TSV with a header, one row per vector.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "sequence/record.h"

namespace barcodemae {

/// The column of one rank: one label per data row, empty when missing or a word for that ("None",
/// "NA", …). Columns are named as in embed's X.tsv (the rank's name) or with an alias ("bin",
/// "genus_name", …), in any case. Throws UserError when
/// the file cannot be read, has no such column (naming those it has), or a row has too few columns
/// (naming its line).
std::vector<std::string> read_label_column(const std::filesystem::path& file, Rank rank);

/// The same, or nothing when there is no such column.
std::optional<std::vector<std::string>> find_label_column(const std::filesystem::path& file,
                                                          Rank rank);

/// The column of ids (`id` and its aliases), one per data row; empty when there is no such column.
/// Throws UserError when the file cannot be read or a row has too few columns.
std::vector<std::string> read_ids(const std::filesystem::path& file);

/// Label names as numbers, shared by keys and queries; −1 for the empty name.
class LabelNumbers {
 public:
  std::int32_t number(const std::string& name);
  std::int32_t count() const { return static_cast<std::int32_t>(numbers_.size()); }
  /// By number.
  std::vector<std::string> names() const;

 private:
  std::unordered_map<std::string, std::int32_t> numbers_;
};

}  // namespace barcodemae
