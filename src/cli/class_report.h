// SPDX-License-Identifier: MIT
// The classes that a report shows: where most answers were wrong.
#pragma once

#include <string>
#include <vector>

#include "analysis/classification.h"
#include "report/report.h"

namespace barcodemae {

/// At most 20 classes with a query, most wrong answers first; none when all were right. `features`
/// names the row that the scores belong to.
Table hardest_classes(const std::string& features, const ClassificationScores& scores,
                      const std::vector<std::string>& names);

}  // namespace barcodemae
