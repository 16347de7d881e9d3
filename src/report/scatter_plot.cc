// SPDX-License-Identifier: MIT
#include "report/scatter_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "report/html.h"

namespace barcodemae {
namespace {

// The drawing's own units; the page scales it.
constexpr double kSide = 560, kMargin = 14;

bool finite(const std::pair<float, float>& point) {
  return std::isfinite(point.first) && std::isfinite(point.second);
}

}  // namespace

std::string scatter_plot_html(const ScatterPlot& plot, int number) {
  BARCODEMAE_CHECK(plot.groups.size() <= ScatterPlot::kMostGroups, "{} groups of points",
                   plot.groups.size());
  double low_x = std::numeric_limits<double>::infinity(), high_x = -low_x;
  double low_y = low_x, high_y = -low_x;
  for (const ScatterPlot::Group& group : plot.groups) {
    for (const auto& point : group.points) {
      if (!finite(point)) continue;
      low_x = std::min<double>(low_x, point.first);
      high_x = std::max<double>(high_x, point.first);
      low_y = std::min<double>(low_y, point.second);
      high_y = std::max<double>(high_y, point.second);
    }
  }
  std::string html = fmt::format("<figure><figcaption>{}</figcaption>", escape_html(plot.title));
  if (low_x > high_x) return html + "<p class=\"quiet\">No points.</p></figure>";

  // One scale for both axes: distances are what a map is about.
  const double extent = std::max({high_x - low_x, high_y - low_y, 1e-9});
  const double scale = (kSide - 2 * kMargin) / extent;
  const double height = (high_y - low_y) * scale + 2 * kMargin;
  const double left = (kSide - (high_x - low_x) * scale) / 2;
  html += fmt::format(
      "<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-labelledby=\"chart{}\"><title "
      "id=\"chart{}\">{}</title>",
      kSide, height, number, number, escape_html(plot.title));
  std::string legend;
  for (std::size_t g = 0; g < plot.groups.size(); ++g) {
    const ScatterPlot::Group& group = plot.groups[g];
    std::string path;
    std::size_t drawn = 0;
    for (const auto& point : group.points) {
      if (!finite(point)) continue;
      ++drawn;
      // A stroke of no length with round ends is a dot.
      path += fmt::format("M{:.1f} {:.1f}h0", left + (point.first - low_x) * scale,
                          kMargin + (high_y - point.second) * scale);
    }
    html += fmt::format("<path class=\"dots c{}\" d=\"{}\"><title>{}</title></path>", g, path,
                        escape_html(group.name));
    legend += fmt::format(
        "<li><svg width=\"12\" height=\"10\" aria-hidden=\"true\"><path class=\"key c{}\" d=\"M6 "
        "5h0\"/></svg> {} ({})</li>",
        g, escape_html(group.name), drawn);
  }
  return html + "</svg><ul class=\"legend\">" + legend + "</ul></figure>";
}

}  // namespace barcodemae
