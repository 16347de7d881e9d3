// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "report/report.h"

namespace barcodemae {

/// A <figure> with a table of names, horizontal bars and values.
std::string bar_chart_html(const BarChart& chart);

}  // namespace barcodemae
