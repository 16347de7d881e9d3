// SPDX-License-Identifier: MIT
#include "cli/table_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/progress.h"

namespace barcodemae {
namespace {

std::string percent(const std::optional<double>& share) {
  return share ? fmt::format("{:.2f}", 100 * *share) : "–";
}

using Shown = std::optional<double> TableRow::Shown::*;

/// A bar for every row that has the number; quoted ones are of other data and stay out.
void add_bars(Report& report, const TableResult& result, const std::string& title, Shown value) {
  BarChart chart;
  chart.title = title;
  chart.value_label = "%";
  chart.maximum = 100;
  for (const TableRow& row : result.rows) {
    if (row.kind == TableRow::Kind::kQuoted || !(row.shown.*value)) continue;
    // Worse than chance is no bar.
    chart.bars.push_back(
        {row.name, std::max(0.0, 100 * *(row.shown.*value)), row.kind == TableRow::Kind::kModel});
  }
  if (!chart.bars.empty()) report.add_bar_chart(chart);
}

Table main_table(const TableResult& result, bool quoted) {
  const TableOptions& options = result.options;
  const std::string unseen = to_string(options.unseen_rank), rank = to_string(options.rank);
  Table table;
  table.columns = {"Features",
                   unseen + " of unseen species, 1-NN %",
                   rank + ", 1-NN %",
                   rank + ", linear probe %",
                   rank + ", fine-tuned %",
                   "AMI %",
                   "AMI without UMAP %",
                   "Harmonic mean %"};
  if (quoted) {
    table.columns.emplace_back("Source");
  } else {
    table.columns.insert(table.columns.end(),
                         {"Parameters", "GFLOP per barcode", "ms per barcode"});
  }
  for (const TableRow& row : result.rows) {
    if ((row.kind == TableRow::Kind::kQuoted) != quoted) continue;
    std::vector<std::string> cells = {row.name};
    for (const auto& value :
         {row.shown.unseen, row.shown.species, row.shown.linear, row.shown.finetuned, row.shown.ami,
          row.shown.ami_without_umap, row.shown.harmonic_mean}) {
      cells.push_back(percent(value));
    }
    if (quoted) {
      cells.push_back(row.note);
    } else {
      cells.push_back(row.cost ? format_count(row.cost->parameters) : "–");
      cells.push_back(row.cost ? fmt::format("{:.3g}", row.cost->gflop) : "–");
      cells.push_back(
          row.seconds_per_barcode ? fmt::format("{:.3g}", 1e3 * *row.seconds_per_barcode) : "–");
    }
    table.rows.push_back(std::move(cells));
  }
  return table;
}

/// Without the columns in which nobody has a number.
Table without_empty_columns(const Table& table) {
  Table kept;
  kept.caption = table.caption;
  kept.rows.resize(table.rows.size());
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    const auto empty = [&](const std::vector<std::string>& row) { return row[c] == "–"; };
    if (std::all_of(table.rows.begin(), table.rows.end(), empty)) continue;
    kept.columns.push_back(table.columns[c]);
    for (std::size_t r = 0; r < table.rows.size(); ++r) kept.rows[r].push_back(table.rows[r][c]);
  }
  return kept;
}

/// Rows: features; columns: ranks above the one asked about.
void add_confusion(Report& report, const TableResult& result, const std::string& caption,
                   std::optional<ClassificationCell> TableRow::*member) {
  std::vector<Rank> ranks;
  for (const TableRow& row : result.rows) {
    if (!(row.*member)) continue;
    for (const StillRight& count : (row.*member)->wrong) {
      if (std::find(ranks.begin(), ranks.end(), count.rank) == ranks.end()) {
        ranks.push_back(count.rank);
      }
    }
  }
  if (ranks.empty()) return;
  std::sort(ranks.begin(), ranks.end(), std::greater<>());
  Table table;
  table.caption = caption;
  table.columns = {"Features", "Queries", "Wrong"};
  for (const Rank rank : ranks) {
    table.columns.push_back(fmt::format("of these, {} right %", to_string(rank)));
  }
  for (const TableRow& row : result.rows) {
    if (!(row.*member)) continue;
    const ClassificationCell& cell = *(row.*member);
    std::vector<std::string> cells = {row.name, format_count(cell.queries),
                                      format_count(cell.queries - cell.correct)};
    for (const Rank rank : ranks) {
      const auto count = std::find_if(cell.wrong.begin(), cell.wrong.end(),
                                      [&](const StillRight& one) { return one.rank == rank; });
      cells.push_back(count == cell.wrong.end()
                          ? "–"
                          : fmt::format("{:.1f}", 100.0 * static_cast<double>(count->right) /
                                                      static_cast<double>(count->compared)));
    }
    table.rows.push_back(std::move(cells));
  }
  report.add_table(table);
}

void add_map(Report& report, const std::string& name, const MapCell& map) {
  ScatterPlot plot;
  plot.title = fmt::format("{}, by {}", name, map.rank);
  for (const std::string& label : map.labels) plot.groups.push_back({label, {}});
  plot.groups.push_back({"others", {}});
  for (std::size_t i = 0; i < map.label.size(); ++i) {
    const std::size_t group =
        map.label[i] < 0 ? map.labels.size() : static_cast<std::size_t>(map.label[i]);
    plot.groups[group].points.emplace_back(map.x[i], map.y[i]);
  }
  if (plot.groups.back().points.empty()) plot.groups.pop_back();
  report.add_scatter_plot(plot);
}

}  // namespace

Report table_report(const TableResult& result) {
  const TableOptions& options = result.options;
  Report report(
      "Frozen features of DNA barcodes",
      result.data + (options.development ? ", in development: not on the test splits" : ""));
  const Table table = main_table(result, false);
  if (!table.rows.empty()) report.add_table(without_empty_columns(table));
  add_bars(report, result,
           fmt::format("{} of unseen species, 1-NN", to_string(options.unseen_rank)),
           &TableRow::Shown::unseen);
  add_bars(report, result, fmt::format("{}, linear probe", to_string(options.rank)),
           &TableRow::Shown::linear);
  add_bars(report, result, fmt::format("{}, fine-tuned", to_string(options.rank)),
           &TableRow::Shown::finetuned);
  add_bars(report, result, fmt::format("{} by clustering, AMI", to_string(options.cluster_rank)),
           &TableRow::Shown::ami);
  add_bars(report, result, "Harmonic mean of unseen and AMI", &TableRow::Shown::harmonic_mean);
  report.add_facts(
      {{"Unseen", fmt::format("{} of {}, nearest of {} by cosine, or top hit",
                              to_string(options.unseen_rank), options.unseen, options.train)},
       {"Closed world",
        fmt::format("{} of {}; the probe is trained on {}, stopped and chosen on {}",
                    to_string(options.rank), options.test, options.train, options.val)},
       {"Clustering",
        fmt::format("{} of {}+{}: UMAP to {} dimensions (cosine, {} neighbours, min_dist {}, seed "
                    "{}), Ward with as many clusters as labels",
                    to_string(options.cluster_rank), options.test, options.unseen,
                    options.umap.components, options.umap.neighbours, options.umap.min_dist,
                    options.umap.seed)},
       {"Time", "one barcode embedded, or searched for where nothing is embedded; this machine"}});
  std::vector<std::pair<std::string, std::string>> notes;
  for (const TableRow& row : result.rows) {
    if (row.kind != TableRow::Kind::kQuoted && !row.note.empty()) {
      notes.emplace_back(row.name, row.note);
    }
  }
  if (!notes.empty()) report.add_facts(notes);

  report.add_heading("What wrong answers still get right");
  add_confusion(report, result, fmt::format("{} of unseen species", to_string(options.unseen_rank)),
                &TableRow::unseen);
  add_confusion(report, result, fmt::format("{} by 1-NN", to_string(options.rank)),
                &TableRow::species);
  add_confusion(report, result, fmt::format("{} by linear probe", to_string(options.rank)),
                &TableRow::linear);
  add_confusion(report, result, fmt::format("{} by fine-tuning", to_string(options.rank)),
                &TableRow::finetuned);

  bool any_map = false;
  for (const TableRow& row : result.rows) {
    if (!row.map) continue;
    if (!any_map) {
      report.add_heading("Maps of the embeddings");
      report.add_text(fmt::format(
          "UMAP to two dimensions of {} of {} records ({}+{}). Only neighbourhoods mean something: "
          "distances between groups do not.",
          format_count(static_cast<std::int64_t>(row.map->x.size())),
          format_count(row.map->records), options.test, options.unseen));
      any_map = true;
    }
    add_map(report, row.name, *row.map);
  }
  const Table quoted = main_table(result, true);
  if (!quoted.rows.empty()) {
    report.add_heading("Quoted: BIOSCAN-5M, measured by others");
    report.add_text(
        "They compare with the rows above only where DATA is BIOSCAN-5M with its own splits.");
    report.add_table(without_empty_columns(quoted));
  }
  return report;
}

}  // namespace barcodemae
