// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "report/report.h"

namespace barcodemae {

/// A <figure> with the points as inline SVG, one path a group, and a legend with counts. `number`
/// makes the ids unique in the document.
std::string scatter_plot_html(const ScatterPlot& plot, int number);

}  // namespace barcodemae
