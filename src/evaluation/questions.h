// SPDX-License-Identifier: MIT
// Questions that cannot be answered, refused before the work.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sequence/record.h"

namespace barcodemae {

/// Labels of one side, ≥ 0 or −1 = missing, and what a message calls it: "keys train".
struct NamedLabels {
  std::string name;
  std::span<const std::int32_t> labels;
};

/// Whether a label is among `labels`, for all labels below `classes`.
std::vector<bool> known_labels(std::span<const std::int32_t> labels, std::int32_t classes);

/// Throws UserError unless the keys (or training rows) have two labels at least, some query has
/// one, and some query's is a key's: single queries without a key are normal, but these would all
/// be wrong. `names`: of the labels.
void require_question(const NamedLabels& keys, const NamedLabels& queries, Rank rank,
                      const std::vector<std::string>& names);

/// A line that says how many `what` ("records") are left out; empty where none are.
std::string left_out_line(std::int64_t count, std::string_view what);

/// Throws UserError when a split is on both sides: "{options}: {split} is in both, and {reason}".
void require_apart(const std::vector<std::string>& one, const std::vector<std::string>& other,
                   const std::string& options, std::string_view reason);

/// Warns when two of these tables with a column `id` share some. Throws UserError when all of the
/// later table's ids are the first's: then each row would find itself.
void warn_of_shared_ids(const std::vector<std::filesystem::path>& tables);

}  // namespace barcodemae
