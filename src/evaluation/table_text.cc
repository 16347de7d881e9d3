// SPDX-License-Identifier: MIT
// The table as text, CSV and JSON.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/progress.h"
#include "evaluation/class_table.h"
#include "evaluation/table.h"

namespace barcodemae {
namespace {

struct Column {
  std::string title;
  std::function<std::string(const TableRow&)> cell;
};

std::string percent(const std::optional<double>& share) {
  return share ? fmt::format("{:.2f}", 100 * *share) : "-";
}

std::vector<Column> columns(const TableOptions& options) {
  using Value = std::optional<double> TableRow::Shown::*;
  const auto shown = [](Value value) {
    return [value](const TableRow& row) { return percent(row.shown.*value); };
  };
  const std::string unseen = to_string(options.unseen_rank), rank = to_string(options.rank);
  return {
      {unseen + " unseen %", shown(&TableRow::Shown::unseen)},
      {rank + " 1-NN %", shown(&TableRow::Shown::species)},
      {rank + " probe %", shown(&TableRow::Shown::linear)},
      {"fine-tuned %", shown(&TableRow::Shown::finetuned)},
      {"AMI %", shown(&TableRow::Shown::ami)},
      {"no UMAP %", shown(&TableRow::Shown::ami_without_umap)},
      {"harmonic %", shown(&TableRow::Shown::harmonic_mean)},
      {"parameters",
       [](const TableRow& row) { return row.cost ? format_count(row.cost->parameters) : "-"; }},
      {"GFLOP",
       [](const TableRow& row) { return row.cost ? fmt::format("{:.3g}", row.cost->gflop) : "-"; }},
      {"ms/barcode",
       [](const TableRow& row) {
         return row.seconds_per_barcode ? fmt::format("{:.3g}", 1e3 * *row.seconds_per_barcode)
                                        : "-";
       }},
  };
}

/// Of all rows that measured something, what they had in common: the first one's counts.
std::string counts(const std::vector<TableRow>& rows, const TableOptions& options) {
  std::string text;
  const auto first = [&](auto member) {
    const auto found = std::find_if(rows.begin(), rows.end(),
                                    [&](const TableRow& row) { return (row.*member).has_value(); });
    return found == rows.end() ? nullptr : &*(*found.*member);
  };
  if (const ClassificationCell* cell = first(&TableRow::unseen)) {
    text += fmt::format("  unseen: {} of {} ({}) by the nearest of {} ({})\n",
                        to_string(options.unseen_rank), format_count(cell->queries), options.unseen,
                        format_count(cell->train), options.train);
  }
  if (const ClassificationCell* cell = first(&TableRow::species)) {
    text += fmt::format("  1-NN: {} of {} ({}) by the nearest of {} ({})\n",
                        to_string(options.rank), format_count(cell->queries), options.test,
                        format_count(cell->train), options.train);
  }
  if (const ClassificationCell* cell = first(&TableRow::linear)) {
    text += fmt::format("  probe: {} of {} ({}), trained on {} ({}), stopped and chosen on {}{}\n",
                        to_string(options.rank), format_count(cell->queries), options.test,
                        format_count(cell->train), options.train, options.val,
                        options.development ? ": optimistic where these are the same" : "");
  }
  if (const ClassificationCell* cell = first(&TableRow::finetuned)) {
    text += fmt::format("  fine-tuned: {} of {} ({}), trained on {} ({}), stopped on {}\n",
                        to_string(options.rank), format_count(cell->queries), options.test,
                        format_count(cell->train), options.train, options.val);
  }
  const ClusteringCell* clusters = first(&TableRow::clustering);
  if (clusters == nullptr) clusters = first(&TableRow::ward);
  if (clusters != nullptr) {
    text += fmt::format(
        "  AMI: {} of {} ({}+{}), {} labels, {} clusters by {}Ward; no UMAP: Ward alone\n",
        to_string(options.cluster_rank), format_count(clusters->records), options.test,
        options.unseen, format_count(clusters->labels), format_count(clusters->clusters),
        fmt::format("UMAP ({} dimensions, {} neighbours, seed {}) and ", options.umap.components,
                    options.umap.neighbours, options.umap.seed));
  }
  if (options.features.pooling != "model") {
    text += fmt::format("  pooling of every model: {}\n", options.features.pooling);
  }
  text +=
      "  harmonic: mean 2ab / (a + b) of unseen and AMI; ms: one barcode embedded, or searched "
      "for where nothing is embedded\n";
  return text;
}

/// What wrong answers still get right, for one of the classification cells.
std::string confusion(const std::vector<TableRow>& rows, const std::string& title,
                      std::optional<ClassificationCell> TableRow::*member) {
  std::string text;
  for (const TableRow& row : rows) {
    const std::optional<ClassificationCell>& cell = row.*member;
    if (!cell || cell->wrong.empty()) continue;
    text += fmt::format("  {}: {} wrong;", row.name, format_count(cell->queries - cell->correct));
    for (const StillRight& count : cell->wrong) {
      text += fmt::format(
          " {} {:.1f} %", to_string(count.rank),
          100.0 * static_cast<double>(count.right) / static_cast<double>(count.compared));
    }
    text += '\n';
  }
  return text.empty() ? text : "\n" + title + ", what wrong answers still get right:\n" + text;
}

}  // namespace

std::string TableResult::to_text() const {
  std::string text = fmt::format(
      "{}{}\n", data, options.development ? ", in development: not on the test splits" : "");
  text += counts(rows, options);
  const std::vector<Column> all = columns(options);
  std::size_t width = 4;
  for (const TableRow& row : rows) width = std::max(width, row.name.size());
  text += fmt::format("\n{:<{}}", "", width);
  for (const Column& column : all) text += "  " + column.title;
  text += '\n';
  bool quoted = false;
  for (const TableRow& row : rows) {
    if (row.kind == TableRow::Kind::kQuoted && !quoted) {
      text += "Quoted, of BIOSCAN-5M; measured by others:\n";
      quoted = true;
    }
    std::string line = fmt::format("{:<{}}", row.name, width);
    for (const Column& column : all) {
      line += fmt::format("  {:>{}}", column.cell(row), column.title.size());
    }
    text += line + '\n';
  }
  const std::string rank = to_string(options.rank);
  text += confusion(rows, std::string(to_string(options.unseen_rank)) + " of unseen species",
                    &TableRow::unseen);
  text += confusion(rows, rank + " by 1-NN", &TableRow::species);
  text += confusion(rows, rank + " by probe", &TableRow::linear);
  text += confusion(rows, rank + " by fine-tuning", &TableRow::finetuned);
  std::string notes;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].note.empty()) continue;
    std::string names = rows[i].name;
    const std::string& note = rows[i].note;
    while (i + 1 < rows.size() && rows[i + 1].note == note) names += "; " + rows[++i].name;
    notes += fmt::format("  {}: {}\n", names, note);
  }
  if (!notes.empty()) text += "\nNotes:\n" + notes;
  return text;
}

std::string TableResult::to_csv() const {
  std::string csv =
      "name,kind,unseen_accuracy,species_accuracy,linear_accuracy,finetuned_accuracy,ami,"
      "ami_without_umap,harmonic_mean,parameters,gflop_per_barcode,seconds_per_barcode,note\n";
  const auto share = [](const std::optional<double>& value) {
    return value ? fmt::format("{:.6f}", *value) : std::string();
  };
  for (const TableRow& row : rows) {
    const TableRow::Shown& shown = row.shown;
    csv += csv_cell(row.name) + "," + to_string(row.kind);
    for (const auto& value : {shown.unseen, shown.species, shown.linear, shown.finetuned, shown.ami,
                              shown.ami_without_umap, shown.harmonic_mean}) {
      csv += "," + share(value);
    }
    csv += row.cost ? fmt::format(",{},{:.6g}", row.cost->parameters, row.cost->gflop) : ",,";
    csv += row.seconds_per_barcode ? fmt::format(",{:.6g},", *row.seconds_per_barcode) : ",,";
    csv += csv_cell(row.note) + "\n";
  }
  return csv;
}

nlohmann::ordered_json TableResult::to_json() const {
  nlohmann::ordered_json json;
  json["task"] = "table";
  json["data"] = data;
  json["development"] = options.development;
  json["train"] = options.train;
  json["val"] = options.val;
  json["test"] = options.test;
  json["unseen"] = options.unseen;
  json["rank"] = to_string(options.rank);
  json["unseen_rank"] = to_string(options.unseen_rank);
  json["cluster_rank"] = to_string(options.cluster_rank);
  json["umap"] = {{"components", options.umap.components},
                  {"neighbours", options.umap.neighbours},
                  {"min_dist", options.umap.min_dist},
                  {"seed", options.umap.seed}};
  json["rows"] = nlohmann::ordered_json::array();
  for (const TableRow& row : rows) {
    nlohmann::ordered_json entry;
    entry["name"] = row.name;
    entry["kind"] = to_string(row.kind);
    if (!row.note.empty()) entry["note"] = row.note;
    if (!row.identity.empty()) entry["identity"] = row.identity;
    const auto add = [&](const char* key, const std::optional<double>& value) {
      if (value) entry[key] = *value;
    };
    add("unseen_accuracy", row.shown.unseen);
    add("species_accuracy", row.shown.species);
    add("linear_accuracy", row.shown.linear);
    add("finetuned_accuracy", row.shown.finetuned);
    add("ami", row.shown.ami);
    add("ami_without_umap", row.shown.ami_without_umap);
    add("harmonic_mean", row.shown.harmonic_mean);
    add("seconds_per_barcode", row.seconds_per_barcode);
    const auto detail = [&](const char* key, const auto& cell) {
      if (cell) entry[key] = *cell;
    };
    detail("unseen", row.unseen);
    detail("species", row.species);
    detail("linear", row.linear);
    detail("finetuned", row.finetuned);
    detail("clustering", row.clustering);
    detail("ward", row.ward);
    detail("cost", row.cost);
    json["rows"].push_back(std::move(entry));
  }
  return json;
}

}  // namespace barcodemae
