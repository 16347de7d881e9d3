// SPDX-License-Identifier: MIT
#include "report/bar_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/html.h"

namespace barcodemae {

std::string bar_chart_html(const BarChart& chart) {
  double full = chart.maximum.value_or(0);
  if (!chart.maximum)
    for (const BarChart::Bar& bar : chart.bars)
      if (std::isfinite(bar.value)) full = std::max(full, bar.value);
  std::string rows;
  for (const BarChart::Bar& bar : chart.bars) {
    const bool known = std::isfinite(bar.value);
    const double share = known && full > 0 ? std::clamp(bar.value / full, 0.0, 1.0) : 0;
    rows += fmt::format(
        "<tr{}><th scope=\"row\">{}</th><td class=\"track\" aria-hidden=\"true\">"
        "<svg width=\"100%\" height=\"16\"><rect width=\"{:.2f}%\" height=\"16\" "
        "rx=\"2\"/></svg></td>"
        "<td class=\"number\">{}</td></tr>",
        bar.emphasised ? " class=\"emphasised\"" : "", escape_html(bar.name), 100 * share,
        known ? fmt::format("{:.{}f}", bar.value, chart.decimals) : "–");
  }
  return fmt::format(
      "<figure class=\"bars\"><figcaption>{}</figcaption><table><thead><tr><th scope=\"col\"></th>"
      "<td></td><th scope=\"col\" "
      "class=\"number\">{}</th></tr></thead><tbody>{}</tbody></table></figure>",
      escape_html(chart.title), escape_html(chart.value_label), rows);
}

}  // namespace barcodemae
