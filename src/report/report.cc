// SPDX-License-Identifier: MIT
#include "report/report.h"

#include <algorithm>
#include <cctype>

#include "base/atomic_file.h"
#include "base/error.h"
#include "report/bar_chart.h"
#include "report/html.h"
#include "report/line_chart.h"
#include "report/scatter_plot.h"

namespace barcodemae {
namespace {

// Colours keep a contrast of 3:1 or more with either background, and differ in lightness too.
constexpr const char* kStyle = R"css(
:root { color-scheme: light dark; --page: #ffffff; --ink: #1b1f24; --quiet: #57606a; --rule: #d8dee4;
  --panel: #f6f8fa; --c0: #0b62a4; --c1: #c2410c; --c2: #047857; --c3: #9333a8; --c4: #7c6400; --c5: #475569; }
@media (prefers-color-scheme: dark) {
  :root { --page: #0d1117; --ink: #e6edf3; --quiet: #9aa5b1; --rule: #30363d; --panel: #161b22;
    --c0: #6cb6ff; --c1: #ff9a62; --c2: #4fd1a5; --c3: #dda0ec; --c4: #e0c14f; --c5: #a8b5c4; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; padding-bottom: .25rem; border-bottom: 1px solid var(--rule); }
p { max-width: 75ch; white-space: pre-line; } .quiet, header p { color: var(--quiet); margin: .25rem 0 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.5rem; margin: 1rem 0;
  padding: .9rem 1.1rem; background: var(--panel); border-radius: 6px; }
dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--quiet); padding-bottom: .4rem; }
th, td { padding: .3rem .9rem .3rem 0; text-align: left; font-weight: normal; border-bottom: 1px solid var(--rule); }
thead th { font-weight: 600; } .number { text-align: right; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 430px), 1fr)); gap: 1rem; margin: 1rem 0; }
figure { margin: 0; padding: .9rem 1.1rem; background: var(--panel); border-radius: 6px; min-width: 0; }
figcaption { font-weight: 600; margin-bottom: .4rem; } figure > svg { display: block; width: 100%; height: auto; }
.grid { stroke: var(--rule); } .axis { stroke: var(--quiet); }
.tick, .label { fill: var(--quiet); font-size: 12px; font-variant-numeric: tabular-nums; }
.curve { fill: none; stroke-width: 1.8; stroke-linejoin: round; } .reference { stroke-dasharray: 6 4; }
.c0 { stroke: var(--c0); } .c1 { stroke: var(--c1); } .c2 { stroke: var(--c2); }
.c3 { stroke: var(--c3); } .c4 { stroke: var(--c4); } .c5 { stroke: var(--c5); }
.dots, .key { fill: none; stroke-linecap: round; } .dots { stroke-width: 4; stroke-opacity: .6; } .key { stroke-width: 9; }
.target { fill: transparent; } .dot { fill: var(--panel); stroke-width: 1.8; }
.hidden { opacity: 0; } .mark:hover .dot { opacity: 1; stroke-width: 4; }
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1.2rem; list-style: none; margin: .3rem 0 0; padding: 0; font-size: .9rem; }
details { font-size: .9rem; color: var(--quiet); margin-top: .3rem; } summary { cursor: pointer; }
.bars table { width: 100%; } .bars th[scope=row] { white-space: nowrap; } .bars .track { width: 60%; vertical-align: middle; }
.bars svg { display: block; } .bars rect { fill: var(--c5); }
.emphasised th, .emphasised .number { font-weight: 600; } .emphasised rect { fill: var(--c0); }
@media (max-width: 520px) { .bars th[scope=row] { white-space: normal; } dl { grid-template-columns: 1fr; } }
@media print { figure, dl { break-inside: avoid; } }
)css";

/// Digits, and what stands around them in counts, percentages and losses.
bool looks_numeric(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789.,+-%–−eE ") == std::string::npos &&
         (std::any_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c); }) ||
          text == "–" || text == "-");
}

}  // namespace

Report::Report(std::string title, std::string subtitle)
    : title_(std::move(title)), subtitle_(std::move(subtitle)) {}

void Report::add_heading(std::string_view text) {
  blocks_.push_back({false, "<h2>" + escape_html(text) + "</h2>"});
}

void Report::add_text(std::string_view text) {
  blocks_.push_back({false, "<p>" + escape_html(text) + "</p>"});
}

void Report::add_facts(const std::vector<std::pair<std::string, std::string>>& facts) {
  std::string html;
  for (const auto& [name, value] : facts)
    html += "<dt>" + escape_html(name) + "</dt><dd>" + escape_html(value) + "</dd>";
  blocks_.push_back({false, "<dl>" + html + "</dl>"});
}

void Report::add_table(const Table& table) {
  const std::size_t columns = table.columns.size();
  std::vector<bool> numeric(columns, !table.rows.empty());
  for (const auto& row : table.rows) {
    BARCODEMAE_CHECK(row.size() == columns, "a row of {} cells in a table of {} columns",
                     row.size(), columns);
    for (std::size_t c = 0; c < columns; ++c)
      numeric[c] = numeric[c] && (row[c].empty() || looks_numeric(row[c]));
  }
  std::string html = "<div class=\"scroll\"><table>";
  if (!table.caption.empty()) html += "<caption>" + escape_html(table.caption) + "</caption>";
  const auto number_class = [&](std::size_t c) { return numeric[c] ? " class=\"number\"" : ""; };
  html += "<thead><tr>";
  for (std::size_t c = 0; c < columns; ++c)
    html +=
        fmt::format("<th scope=\"col\"{}>{}</th>", number_class(c), escape_html(table.columns[c]));
  html += "</tr></thead><tbody>";
  for (const auto& row : table.rows) {
    html += "<tr>";
    for (std::size_t c = 0; c < columns; ++c)
      html += fmt::format("<td{}>{}</td>", number_class(c), escape_html(row[c]));
    html += "</tr>";
  }
  blocks_.push_back({false, html + "</tbody></table></div>"});
}

void Report::add_line_chart(const LineChart& chart) {
  blocks_.push_back({true, line_chart_html(chart, ++charts_)});
}

void Report::add_bar_chart(const BarChart& chart) {
  blocks_.push_back({true, bar_chart_html(chart)});
}

void Report::add_scatter_plot(const ScatterPlot& plot) {
  blocks_.push_back({true, scatter_plot_html(plot, ++charts_)});
}

std::string Report::html() const {
  std::string html =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
      escape_html(title_) + "</title>\n<style>" + kStyle +
      "</style>\n</head>\n<body>\n<main>\n<header><h1>" + escape_html(title_) + "</h1>";
  if (!subtitle_.empty()) html += "<p>" + escape_html(subtitle_) + "</p>";
  html += "</header>\n";
  bool in_charts = false;
  for (const Block& block : blocks_) {
    if (block.chart != in_charts) html += in_charts ? "</div>\n" : "<div class=\"charts\">\n";
    in_charts = block.chart;
    html += block.html + "\n";
  }
  if (in_charts) html += "</div>\n";
  return html + "</main>\n</body>\n</html>\n";
}

void Report::write(const std::filesystem::path& path) const { write_file_atomically(path, html()); }

}  // namespace barcodemae
