// SPDX-License-Identifier: MIT
#include "evaluation/knn.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "analysis/aligned_identity.h"
#include "analysis/kmer_counts.h"
#include "analysis/nearest.h"
#include "analysis/representation.h"
#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "communication/collectives.h"
#include "data/anchor.h"

namespace barcodemae {
namespace {

constexpr int kBaselineKmer = 6;

/// Label numbers of keys and queries, and how often each search was right.
class Judge {
 public:
  Judge(std::vector<std::int32_t> key_labels, std::vector<std::int32_t> query_labels,
        std::int32_t classes)
      : key_labels_(std::move(key_labels)),
        query_labels_(std::move(query_labels)),
        known_(static_cast<std::size_t>(classes), false) {
    for (const std::int32_t label : key_labels_) {
      if (label >= 0) known_[static_cast<std::size_t>(label)] = true;
    }
  }

  ClassificationScores scores(const std::vector<Neighbour>& nearest) const {
    std::vector<std::int32_t> predicted;
    predicted.reserve(nearest.size());
    for (const Neighbour& neighbour : nearest) {
      predicted.push_back(neighbour.key < 0 ? -1
                                            : key_labels_[static_cast<std::size_t>(neighbour.key)]);
    }
    return score_predictions(query_labels_, predicted, known_);
  }

 private:
  std::vector<std::int32_t> key_labels_, query_labels_;
  std::vector<bool> known_;
};

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// `search` answers this process's share of the queries.
template <typename Search>
KnnRow judged_row(const std::string& name, const Judge& judge, Communicator& communicator,
                  const Search& search) {
  const Stopwatch stopwatch;
  const std::vector<Neighbour> nearest =
      concatenate(communicator, std::span<const Neighbour>(search()));
  KnnRow row;
  row.name = name;
  row.queries_per_second =
      static_cast<double>(nearest.size()) / std::max(1e-9, stopwatch.seconds());
  row.scores = judge.scores(nearest);
  return row;
}

/// Rows of a matrix that is there as a whole.
RowSource rows_of(const Matrix& matrix, const Share& share) {
  const RowSource all = RowSource::of(matrix);
  return {share.size(), all.cols, [all, share](std::int64_t first, std::span<float> rows) {
            all.fill(share.begin + first, rows);
          }};
}

/// One row for the vectors as they are, and one with the keys' mean subtracted from both sides.
void add_vector_rows(KnnResult& result, const std::string& name, const Judge& judge, Matrix keys,
                     Matrix queries, bool centre, Communicator& communicator) {
  const auto add = [&](const std::string& row_name) {
    KnnRow row = judged_row(row_name, judge, communicator, [&] {
      return nearest_by_cosine(RowSource::of(keys),
                               rows_of(queries, share_of(queries.rows, communicator)), 1,
                               "search: " + row_name);
    });
    row.effective_rank = effective_rank(keys);
    result.rows.push_back(std::move(row));
  };
  add(name);
  if (!centre) return;
  const std::vector<double> mean = column_means(keys);
  subtract_mean(keys, mean);
  subtract_mean(queries, mean);
  add(name + ", centred");
}

}  // namespace

KnnResult evaluate_knn(const std::filesystem::path& model, const std::filesystem::path& data_file,
                       const KnnOptions& options, Communicator& communicator) {
  EvaluationData evaluation(model, data_file, options.features, communicator);
  const auto key_splits = evaluation.splits(options.keys, "--keys");
  const auto query_splits = evaluation.splits(options.queries, "--queries");
  for (const std::string& split : query_splits) {
    if (std::find(key_splits.begin(), key_splits.end(), split) == key_splits.end()) continue;
    throw UserError(
        "--keys {} --queries {}: {} is in both, and each of its records would find itself\n"
        "Name different splits.",
        options.keys, options.queries, split);
  }
  const LabelledRecords keys = evaluation.labelled(key_splits, options.rank, "--keys");
  const LabelledRecords queries = evaluation.labelled(query_splits, options.rank, "--queries");
  KnnResult result{options.rank,
                   options.keys,
                   options.queries,
                   keys.size(),
                   queries.size(),
                   keys.left_out() + queries.left_out(),
                   {},
                   {}};
  Dataset& data = evaluation.data();
  const Judge judge(keys.labels, queries.labels, data.label_count(options.rank));

  const auto add_encoder = [&](FrozenEncoder encoder) {
    Matrix key_vectors = encoder.embed(keys);
    add_vector_rows(result, encoder.name(), judge, std::move(key_vectors), encoder.embed(queries),
                    options.centre, communicator);
  };
  add_encoder(evaluation.trained());
  if (options.features.precision == DType::kInt8) {
    add_encoder(evaluation.trained(DType::kFloat32));
    result.int8_difference =
        result.rows.front().scores.accuracy - result.rows[result.rows.size() / 2].scores.accuracy;
  }
  if (!options.baselines) return result;

  add_encoder(evaluation.untrained(options.seed));
  const auto own_queries = share_of(std::span<const std::int64_t>(queries.records), communicator);
  result.rows.push_back(judged_row("6-mer counts", judge, communicator, [&] {
    return nearest_by_cosine(kmer_count_rows(data, keys.records, kBaselineKmer),
                             kmer_count_rows(data, own_queries, kBaselineKmer), 1,
                             "search: 6-mer counts");
  }));
  std::optional<MarkerProfile> profile = evaluation.profile();
  if (!profile) profile = resolve_anchor(options.features.anchor, data);
  if (profile) {
    const AlignedSequences aligned_keys(data, keys.records, *profile);
    const AlignedSequences aligned_queries(data, own_queries, *profile);
    result.rows.push_back(judged_row("aligned identity", judge, communicator, [&] {
      return AlignedSequences::nearest(aligned_keys, aligned_queries, "search: aligned identity");
    }));
  } else {
    log_info("Aligned identity is left out: no marker profile fits these records");
  }
  return result;
}

KnnResult evaluate_knn(const EmbeddingFiles& key_files, const EmbeddingFiles& query_files,
                       const KnnOptions& options, Communicator& communicator) {
  LabelNumbers numbers;
  LabelledVectors keys = read_embeddings(key_files, options.rank, numbers);
  LabelledVectors queries = read_embeddings(query_files, options.rank, numbers);
  const std::int64_t left_out = keys.keep_labelled();
  if (left_out > 0) log_info("{} keys without a label are left out", format_count(left_out));
  if (keys.vectors.rows == 0) {
    throw UserError("{}: no key has a {} label", key_files.labels.string(),
                    to_string(options.rank));
  }
  if (keys.vectors.cols != queries.vectors.cols) {
    throw UserError("{} has {} columns, {} has {}\nKeys and queries must come from the same model.",
                    key_files.vectors.string(), keys.vectors.cols, query_files.vectors.string(),
                    queries.vectors.cols);
  }
  KnnResult result{options.rank,
                   key_files.vectors.string(),
                   query_files.vectors.string(),
                   keys.vectors.rows,
                   queries.vectors.rows,
                   left_out,
                   {},
                   {}};
  const Judge judge(std::move(keys.labels), std::move(queries.labels), numbers.count());
  add_vector_rows(result, key_files.vectors.stem().string(), judge, std::move(keys.vectors),
                  std::move(queries.vectors), options.centre, communicator);
  if (result.rows.front().scores.queries == 0) {
    throw UserError("{}: no query has a {} label", query_files.labels.string(),
                    to_string(options.rank));
  }
  return result;
}

std::string KnnResult::to_json() const {
  nlohmann::ordered_json json;
  json["task"] = "knn";
  json["rank"] = to_string(rank);
  json["keys"] = keys;
  json["queries"] = queries;
  json["key_count"] = key_count;
  json["query_count"] = query_count;
  json["left_out"] = left_out;
  if (int8_difference) json["int8_minus_float32"] = *int8_difference;
  json["rows"] = nlohmann::ordered_json::array();
  for (const KnnRow& row : rows) {
    nlohmann::ordered_json entry;
    entry["name"] = row.name;
    entry["accuracy"] = row.scores.accuracy;
    entry["balanced_accuracy"] = row.scores.balanced_accuracy;
    entry["macro_f1"] = row.scores.macro_f1;
    entry["queries"] = row.scores.queries;
    entry["correct"] = row.scores.correct;
    entry["unlabelled"] = row.scores.unlabelled;
    entry["label_not_among_keys"] = row.scores.unreachable;
    entry["effective_rank_of_keys"] =
        row.effective_rank ? nlohmann::ordered_json(*row.effective_rank) : nlohmann::ordered_json();
    entry["queries_per_second"] = row.queries_per_second;
    json["rows"].push_back(std::move(entry));
  }
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string KnnResult::to_text() const {
  std::string text =
      fmt::format("{} by cosine 1-NN: {} queries ({}) against {} keys ({})\n", to_string(rank),
                  format_count(query_count), queries, format_count(key_count), keys);
  if (!rows.empty()) {
    const ClassificationScores& first = rows.front().scores;
    if (first.unlabelled > 0) {
      text +=
          fmt::format("{} queries without a label are left out\n", format_count(first.unlabelled));
    }
    text += fmt::format("{} queries have a label that no key has; they count as wrong\n\n",
                        format_count(first.unreachable));
  }
  std::size_t width = 4;
  for (const KnnRow& row : rows) width = std::max(width, row.name.size());
  text += fmt::format("{:<{}}  accuracy %  balanced %  macro F1 %  effective rank  queries/s\n", "",
                      width);
  for (const KnnRow& row : rows) {
    text += fmt::format("{:<{}}  {:>10.2f}  {:>10.2f}  {:>10.2f}  {:>14}  {:>9}\n", row.name, width,
                        100 * row.scores.accuracy, 100 * row.scores.balanced_accuracy,
                        100 * row.scores.macro_f1,
                        row.effective_rank ? fmt::format("{:.1f}", *row.effective_rank) : "-",
                        format_count(std::llround(row.queries_per_second)));
  }
  if (int8_difference) {
    text += fmt::format("int8 against f32: {:+.2f} points of accuracy\n", 100 * *int8_difference);
  }
  return text;
}

}  // namespace barcodemae
