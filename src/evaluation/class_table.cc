// SPDX-License-Identifier: MIT
#include "evaluation/class_table.h"

#include <fmt/format.h>

#include <algorithm>

namespace barcodemae {

std::string csv_cell(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (const char letter : text) {
    if (letter == '"') quoted += '"';
    quoted += letter;
  }
  return quoted + '"';
}

std::vector<std::string> label_names(const Dataset& data, Rank rank) {
  std::vector<std::string> names;
  names.reserve(static_cast<std::size_t>(data.label_count(rank)));
  for (std::int32_t label = 0; label < data.label_count(rank); ++label) {
    names.push_back(data.label_name(rank, label));
  }
  return names;
}

std::string class_table_csv(
    const std::vector<std::pair<std::string_view, const ClassificationScores*>>& rows,
    const std::vector<std::string>& names) {
  std::string csv = "features,class,support,predicted,precision,recall,f1\n";
  for (const auto& [features, scores] : rows) {
    std::vector<std::pair<std::string_view, const ClassScores*>> classes;
    for (const ClassScores& one : scores->classes) {
      classes.emplace_back(names.at(static_cast<std::size_t>(one.label)), &one);
    }
    std::sort(classes.begin(), classes.end());
    for (const auto& [name, one] : classes) {
      csv += fmt::format("{},{},{},{},{:.6f},{:.6f},{:.6f}\n", csv_cell(features), csv_cell(name),
                         one->support, one->predicted, one->precision(), one->recall(), one->f1());
    }
  }
  return csv;
}

}  // namespace barcodemae
