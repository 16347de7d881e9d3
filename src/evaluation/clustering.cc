// SPDX-License-Identifier: MIT
#include "evaluation/clustering.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <span>

#include "analysis/kmer_counts.h"
#include "analysis/ward.h"
#include "base/error.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/progress.h"
#include "base/stopwatch.h"
#include "evaluation/class_table.h"

namespace barcodemae {
namespace {

constexpr std::int64_t kBaselineColumns = std::int64_t{1} << (2 * kBaselineKmer);

std::int64_t count_labels(std::vector<std::int32_t> labels) {
  std::sort(labels.begin(), labels.end());
  return std::unique(labels.begin(), labels.end()) - labels.begin();
}

/// What can be asked of these labels. Fills in labels and clusters.
void plan_clusters(ClusteringResult& result, const std::vector<std::int32_t>& labels) {
  result.records = static_cast<std::int64_t>(labels.size());
  result.labels = count_labels(labels);
  const std::string rank = to_string(result.options.rank);
  if (result.labels < 2) {
    throw UserError(
        "{}: all {} labelled records have the same {}: clusters of them say nothing\n"
        "Name other splits, or another rank with --rank.",
        result.source, format_count(result.records), rank);
  }
  result.clusters = result.options.clusters > 0 ? result.options.clusters : result.labels;
  if (result.clusters > result.records) {
    throw UserError(
        "--clusters {}: more than the {} records with a {} label in {}\nAsk for fewer clusters.",
        result.clusters, format_count(result.records), rank, result.source);
  }
  int& neighbours = result.options.umap.neighbours;
  if (result.options.reduce && neighbours > result.records) {
    log_warn("--neighbours {}: there are only {} records, and all are taken", neighbours,
             result.records);
    neighbours = static_cast<int>(result.records);
  }
}

/// Says what memory clustering `columns` columns takes, `vectors` bytes of them being still to be
/// made, and refuses what does not fit.
void check_memory(const ClusteringResult& result, std::int64_t columns, double vectors,
                  Communicator& communicator,
                  const std::string& hint =
                      "Take fewer records (--splits), or fewer --components or --neighbours.") {
  const ClusteringOptions& options = result.options;
  const double umap = options.reduce ? umap_memory_bytes(result.records, columns, options.umap) : 0;
  const double ward =
      ward_memory_bytes(result.records, options.reduce ? options.umap.components : columns);
  const double needed = vectors + std::max(umap, ward);
  const auto free = static_cast<double>(available_memory_bytes()) /
                    static_cast<double>(communicator.processes_on_machine());
  const std::string account =
      fmt::format("{} for {} records = {}the larger of UMAP {} and Ward {}", format_bytes(needed),
                  format_count(result.records),
                  vectors > 0 ? fmt::format("vectors {}, then ", format_bytes(vectors)) : "",
                  format_bytes(umap), format_bytes(ward));
  require_memory("Clustering", account, needed, free, hint);
}

ClusteringRow clustered(const std::string& name, const RowSource& rows,
                        const std::vector<std::int32_t>& labels, const ClusteringResult& result) {
  ClusteringRow row;
  row.name = name;
  log_info("Clustering: {}", name);
  auto start = std::chrono::steady_clock::now();
  Matrix reduced;
  if (result.options.reduce) {
    reduced = umap(rows, result.options.umap);
    row.umap_seconds = seconds_since(start);
  }
  start = std::chrono::steady_clock::now();
  row.clusters = cut_linkage(
      ward_linkage(result.options.reduce ? RowSource::of(reduced) : rows, "Ward"), result.clusters);
  row.ward_seconds = seconds_since(start);
  row.scores = score_clustering(labels, row.clusters);
  return row;
}

}  // namespace

ClusteringResult evaluate_clustering(const std::filesystem::path& model,
                                     const std::filesystem::path& data,
                                     const ClusteringOptions& options, Communicator& communicator) {
  EvaluationData evaluation(model, data, options.features, communicator);
  std::vector<std::string> splits;
  if (options.splits != "all") splits = evaluation.splits(options.splits, "--splits");
  const LabelledRecords records = evaluation.labelled(splits, options.rank, "--splits");
  ClusteringResult result;
  result.options = options;
  result.source = records.splits;
  result.unlabelled = records.unlabelled;
  result.without_token = records.without_token;
  result.clustered = asked_records(evaluation.data(), records);
  result.label_names = label_names(evaluation.data(), options.rank);
  plan_clusters(result, records.labels);
  const std::int64_t width = evaluation.description().embedding_width();
  check_memory(result, width, static_cast<double>(records.size() * width) * sizeof(float),
               communicator);
  if (options.baselines) {
    check_memory(result, kBaselineColumns, 0, communicator,
                 "6-mer counts need it: leave them out (--no-baselines).");
  }

  const auto add_encoder = [&](FrozenEncoder encoder) {
    const Matrix vectors = encoder.embed(records);
    if (communicator.rank() != 0) return;
    result.rows.push_back(
        clustered(encoder.name(), RowSource::of(vectors), records.labels, result));
  };
  add_encoder(evaluation.trained());
  if (!options.baselines) return result;
  add_encoder(evaluation.untrained(options.umap.seed));
  if (communicator.rank() == 0) {
    result.rows.push_back(clustered(
        "6-mer counts", kmer_count_rows(evaluation.data(), records.records, kBaselineKmer),
        records.labels, result));
  }
  return result;
}

ClusteringResult cluster_vectors(const std::string& name, const RowSource& rows,
                                 const std::vector<std::int32_t>& labels, const std::string& source,
                                 const ClusteringOptions& options, Communicator& communicator) {
  ClusteringResult result;
  result.options = options;
  result.source = source;
  plan_clusters(result, labels);
  check_memory(result, rows.cols, 0, communicator);
  result.rows.push_back(clustered(name, rows, labels, result));
  return result;
}

ClusteringResult evaluate_clustering(const EmbeddingFiles& files, const ClusteringOptions& options,
                                     Communicator& communicator) {
  LabelNumbers numbers;
  LabelledVectors embeddings = read_embeddings(files, options.rank, numbers);
  ClusteringResult result;
  result.options = options;
  result.source = files.vectors.string();
  result.clustered = with_label(asked_records(files, embeddings.labels));
  result.label_names = numbers.names();
  result.unlabelled = embeddings.keep_labelled();
  if (embeddings.labels.empty()) {
    throw UserError("{}: no row has a {} label", files.labels.string(), to_string(options.rank));
  }
  if (result.unlabelled > 0) {
    log_info("{} rows without a {} label are left out", format_count(result.unlabelled),
             to_string(options.rank));
  }
  plan_clusters(result, embeddings.labels);
  check_memory(result, embeddings.vectors.cols, 0, communicator);
  if (communicator.rank() != 0) return result;
  result.rows.push_back(clustered(files.vectors.stem().string(), RowSource::of(embeddings.vectors),
                                  embeddings.labels, result));
  return result;
}

std::string ClusteringResult::record_table() const {
  RecordTable table(clustered, label_names, "cluster");
  for (const ClusteringRow& row : rows) {
    for (std::size_t record = 0; record < clustered.size(); ++record) {
      table.add(row.name, record, std::to_string(row.clusters[record] + 1));
    }
  }
  return table.csv();
}

nlohmann::ordered_json ClusteringResult::to_json() const {
  nlohmann::ordered_json json;
  json["task"] = "clustering";
  json["rank"] = to_string(options.rank);
  json["records_of"] = source;
  json["records"] = records;
  json["unlabelled"] = unlabelled;
  json["without_token"] = without_token;
  json["labels"] = labels;
  json["clusters"] = clusters;
  if (options.reduce) {
    json["umap"] = {{"components", options.umap.components},
                    {"neighbours", options.umap.neighbours},
                    {"min_dist", options.umap.min_dist},
                    {"epochs", umap_epochs(records, options.umap)},
                    {"seed", options.umap.seed}};
  } else {
    json["umap"] = nullptr;
  }
  json["rows"] = nlohmann::ordered_json::array();
  for (const ClusteringRow& row : rows) {
    json["rows"].push_back({{"name", row.name},
                            {"ami", row.scores.adjusted_mutual_information},
                            {"ari", row.scores.adjusted_rand_index},
                            {"homogeneity", row.scores.homogeneity},
                            {"completeness", row.scores.completeness},
                            {"umap_seconds", row.umap_seconds},
                            {"ward_seconds", row.ward_seconds}});
  }
  return json;
}

std::string ClusteringResult::to_text() const {
  std::string text = fmt::format(
      "{} by {}: {} records ({}), {} labels, {} clusters\n", to_string(options.rank),
      options.reduce
          ? fmt::format("UMAP ({} dimensions, {} neighbours, cosine, seed {}) and Ward",
                        options.umap.components, options.umap.neighbours, options.umap.seed)
          : std::string("Ward"),
      format_count(records), source, format_count(labels), format_count(clusters));
  if (unlabelled > 0) {
    text += fmt::format("{} records without a label are left out\n", format_count(unlabelled));
  }
  if (without_token > 0) {
    text +=
        fmt::format("{} records without a whole k-mer are left out\n", format_count(without_token));
  }
  std::size_t width = 4;
  for (const ClusteringRow& row : rows) width = std::max(width, row.name.size());
  text +=
      fmt::format("\n{:<{}}   AMI %   ARI %  homogeneity %  completeness %  seconds\n", "", width);
  for (const ClusteringRow& row : rows) {
    text += fmt::format("{:<{}}  {:>6.2f}  {:>6.2f}  {:>13.2f}  {:>14.2f}  {:>7.1f}\n", row.name,
                        width, 100 * row.scores.adjusted_mutual_information,
                        100 * row.scores.adjusted_rand_index, 100 * row.scores.homogeneity,
                        100 * row.scores.completeness, row.umap_seconds + row.ward_seconds);
  }
  return text;
}

}  // namespace barcodemae
