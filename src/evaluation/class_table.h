// SPDX-License-Identifier: MIT
// How every class fared, as a table for other programs.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "analysis/classification.h"
#include "data/dataset.h"

namespace barcodemae {

/// Text as a cell of CSV: quoted when a comma, quote or line end asks for it.
std::string csv_cell(std::string_view text);

/// Names of a data set's labels at a rank, by number.
std::vector<std::string> label_names(const Dataset& data, Rank rank);

/// CSV with the columns features, class, support, predicted, precision, recall, f1: for each
/// (features, scores) its classes by name. `names`: of the classes, by label.
std::string class_table_csv(
    const std::vector<std::pair<std::string_view, const ClassificationScores*>>& rows,
    const std::vector<std::string>& names);

}  // namespace barcodemae
