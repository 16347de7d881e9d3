// SPDX-License-Identifier: MIT
#include "report/line_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "report/axis_scale.h"
#include "report/html.h"

namespace barcodemae {
namespace {

// The drawing's own units; the page scales it.
constexpr double kWidth = 560, kHeight = 300;
constexpr double kLeft = 74, kRight = 16, kTop = 12, kBottom = 46;
constexpr std::size_t kMostPoints = 400;   // more are averaged in equal runs: nobody sees them
constexpr std::size_t kMarkedPoints = 60;  // up to so many points get a visible mark
constexpr int kColours = 6;                // in the style sheet

using Point = std::pair<double, double>;

bool drawable(const Point& point, const LineChart& chart) {
  const auto fits = [](double value, Axis axis) {
    return std::isfinite(value) && (axis == Axis::kLinear || value > 0);
  };
  return fits(point.first, chart.x_axis) && fits(point.second, chart.y_axis);
}

/// Means over equal runs of points, so that a long curve stays a small file.
std::vector<Point> thinned(const std::vector<Point>& points) {
  if (points.size() <= kMostPoints) return points;
  std::vector<Point> means;
  for (std::size_t run = 0; run < kMostPoints; ++run) {
    const std::size_t begin = run * points.size() / kMostPoints;
    const std::size_t end = (run + 1) * points.size() / kMostPoints;
    Point sum{0, 0};
    std::size_t count = 0;
    for (std::size_t i = begin; i < end; ++i) {
      if (!std::isfinite(points[i].first) || !std::isfinite(points[i].second)) continue;
      sum.first += points[i].first;
      sum.second += points[i].second;
      ++count;
    }
    if (count)
      means.emplace_back(sum.first / static_cast<double>(count),
                         sum.second / static_cast<double>(count));
  }
  return means;
}

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void include(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

std::string summary_table(const LineChart& chart) {
  std::string rows;
  for (const LineChart::Series& series : chart.series) {
    Range range;
    std::vector<Point> points;
    std::copy_if(series.points.begin(), series.points.end(), std::back_inserter(points),
                 [&](const Point& point) { return drawable(point, chart); });
    if (points.empty()) continue;
    for (const Point& point : points) range.include(point.second);
    rows += fmt::format("<tr><th scope=\"row\">{}</th>", escape_html(series.name));
    for (const double value : {points.front().second, points.back().second, range.low, range.high})
      rows += fmt::format("<td class=\"number\">{}</td>", compact_number(value));
    rows += "</tr>";
  }
  return "<details><summary>Values</summary><table><thead><tr><th scope=\"col\">Series</th>"
         "<th scope=\"col\">First</th><th scope=\"col\">Last</th><th scope=\"col\">Lowest</th>"
         "<th scope=\"col\">Highest</th></tr></thead><tbody>" +
         rows + "</tbody></table></details>";
}

std::string legend(const LineChart& chart) {
  std::string items;
  for (std::size_t i = 0; i < chart.series.size(); ++i)
    items += fmt::format(
        "<li><svg width=\"26\" height=\"10\" aria-hidden=\"true\"><line x1=\"1\" y1=\"5\" "
        "x2=\"25\" "
        "y2=\"5\" class=\"curve c{}{}\"/></svg> {}</li>",
        i % kColours, chart.series[i].reference ? " reference" : "",
        escape_html(chart.series[i].name));
  return "<ul class=\"legend\">" + items + "</ul>";
}

}  // namespace

std::string line_chart_html(const LineChart& chart, int number) {
  std::vector<std::vector<Point>> curves;
  Range x_range, y_range;
  for (const LineChart::Series& series : chart.series) {
    curves.push_back(thinned(series.points));
    for (const Point& point : curves.back()) {
      if (!drawable(point, chart)) continue;
      x_range.include(point.first);
      y_range.include(point.second);
    }
  }
  std::string html = fmt::format("<figure><figcaption>{}</figcaption>", escape_html(chart.title));
  if (x_range.low > x_range.high) return html + "<p class=\"quiet\">No values yet.</p></figure>";

  const AxisScale x_scale(chart.x_axis, x_range.low, x_range.high, 6, true);
  const AxisScale y_scale(chart.y_axis, y_range.low, y_range.high, 5, false);
  const auto x_of = [&](double x) { return kLeft + (kWidth - kLeft - kRight) * x_scale.place(x); };
  const auto y_of = [&](double y) {
    return kHeight - kBottom - (kHeight - kTop - kBottom) * y_scale.place(y);
  };

  html += fmt::format(
      "<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-labelledby=\"chart{}\"><title "
      "id=\"chart{}\">"
      "{}: {} by {}</title>",
      kWidth, kHeight, number, number, escape_html(chart.title), escape_html(chart.y_label),
      escape_html(chart.x_label));
  for (const double tick : y_scale.ticks())
    html += fmt::format(
        "<line class=\"grid\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>"
        "<text class=\"tick\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>",
        kLeft, kWidth - kRight, y_of(tick), y_of(tick), kLeft - 7, y_of(tick) + 4,
        compact_number(tick));
  for (const double tick : x_scale.ticks())
    html += fmt::format(
        "<line class=\"grid\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>"
        "<text class=\"tick\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>",
        x_of(tick), x_of(tick), kHeight - kBottom, kHeight - kBottom + 4, x_of(tick),
        kHeight - kBottom + 18, compact_number(tick));
  html += fmt::format(
      "<line class=\"axis\" x1=\"{0:.1f}\" x2=\"{1:.1f}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>"
      "<text class=\"label\" x=\"{3:.1f}\" y=\"{4:.1f}\" text-anchor=\"middle\">{5}</text>"
      "<text class=\"label\" transform=\"translate(12 {6:.1f}) rotate(-90)\" "
      "text-anchor=\"middle\">{7}</text>",
      kLeft, kWidth - kRight, kHeight - kBottom, (kLeft + kWidth - kRight) / 2, kHeight - 8,
      escape_html(chart.x_label), (kTop + kHeight - kBottom) / 2, escape_html(chart.y_label));

  for (std::size_t i = 0; i < curves.size(); ++i) {
    const std::string colour = fmt::format("c{}", i % kColours);
    std::string path, marks;
    bool pen_down = false;
    const bool visible = curves[i].size() <= kMarkedPoints && !chart.series[i].reference;
    for (const Point& point : curves[i]) {
      if (!drawable(point, chart)) {
        pen_down = false;
        continue;
      }
      const double x = x_of(point.first), y = y_of(point.second);
      path += fmt::format("{}{:.1f} {:.1f}", pen_down ? "L" : "M", x, y);
      pen_down = true;
      // Wider than it looks, so that a pointer finds it; the title is shown on hovering.
      marks += fmt::format(
          "<g class=\"mark\"><circle class=\"target\" cx=\"{0:.1f}\" cy=\"{1:.1f}\" r=\"7\"/>"
          "<circle class=\"dot {2}{3}\" cx=\"{0:.1f}\" cy=\"{1:.1f}\" r=\"2.6\"/>"
          "<title>{4}: {5} at {6}</title></g>",
          x, y, colour, visible ? "" : " hidden", escape_html(chart.series[i].name),
          compact_number(point.second), compact_number(point.first));
    }
    html += fmt::format("<path class=\"curve {}{}\" d=\"{}\"/>", colour,
                        chart.series[i].reference ? " reference" : "", path);
    html += marks;
  }
  return html + "</svg>" + legend(chart) + summary_table(chart) + "</figure>";
}

}  // namespace barcodemae
