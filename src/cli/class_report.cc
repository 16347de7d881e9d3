// SPDX-License-Identifier: MIT
#include "cli/class_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace barcodemae {

Table hardest_classes(const std::string& features, const ClassificationScores& scores,
                      const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 20;
  const auto wrong = [](const ClassScores& one) { return one.support - one.correct; };
  const auto name = [&](const ClassScores& one) -> const std::string& {
    return names.at(static_cast<std::size_t>(one.label));
  };
  std::vector<ClassScores> classes;
  std::copy_if(scores.classes.begin(), scores.classes.end(), std::back_inserter(classes),
               [&](const ClassScores& one) { return wrong(one) > 0; });
  std::sort(classes.begin(), classes.end(), [&](const ClassScores& a, const ClassScores& b) {
    return std::make_tuple(-wrong(a), name(a)) < std::make_tuple(-wrong(b), name(b));
  });
  Table table;
  table.caption = fmt::format("Where most answers of {} were wrong: {} of {} classes", features,
                              std::min(kShown, classes.size()), scores.classes.size());
  table.columns = {"Class", "Queries", "Wrong", "Precision %", "Recall %", "F1 %"};
  for (std::size_t i = 0; i < std::min(kShown, classes.size()); ++i) {
    const ClassScores& one = classes[i];
    table.rows.push_back({name(one), std::to_string(one.support), std::to_string(wrong(one)),
                          fmt::format("{:.1f}", 100 * one.precision()),
                          fmt::format("{:.1f}", 100 * one.recall()),
                          fmt::format("{:.1f}", 100 * one.f1())});
  }
  return table;
}

}  // namespace barcodemae
