// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "report/report.h"

namespace barcodemae {

/// A <figure> with the chart as inline SVG, its legend, and first, last, lowest and highest value
/// of every series as a table. `number` makes the ids unique in the document.
std::string line_chart_html(const LineChart& chart, int number);

}  // namespace barcodemae
