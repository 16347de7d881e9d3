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
#include "base/fingerprint.h"
#include "base/log.h"
#include "base/progress.h"
#include "data/anchor.h"
#include "evaluation/embedding_cache.h"
#include "evaluation/label_table.h"
#include "inference/embedder.h"

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

template <typename Search>
KnnRow judged_row(const std::string& name, const Judge& judge, const Search& search) {
  const Stopwatch stopwatch;
  const std::vector<Neighbour> nearest = search();
  KnnRow row;
  row.name = name;
  row.queries_per_second =
      static_cast<double>(nearest.size()) / std::max(1e-9, stopwatch.seconds());
  row.scores = judge.scores(nearest);
  return row;
}

/// One row for the vectors as they are, and one with the keys' mean subtracted from both sides.
void add_vector_rows(KnnResult& result, const std::string& name, const Judge& judge, Matrix keys,
                     Matrix queries, bool centre) {
  const auto add = [&](const std::string& row_name) {
    KnnRow row = judged_row(row_name, judge, [&] {
      return nearest_by_cosine(RowSource::of(keys), RowSource::of(queries), 1,
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

/// Records of one split or several joined with "+" or ",", those with a label first to last.
std::vector<std::int64_t> labelled_records(const Dataset& data, const std::string& splits,
                                           Rank rank) {
  std::vector<std::int64_t> records;
  std::int64_t unlabelled = 0;
  for (std::int64_t record = 0; record < data.size(); ++record) {
    const std::string& split = data.split(record);
    std::size_t begin = 0;
    for (bool more = true; more;) {
      const std::size_t end = std::min(splits.find_first_of("+,", begin), splits.size());
      if (splits.compare(begin, end - begin, split) == 0 && end > begin) {
        if (data.label(record, rank) >= 0) {
          records.push_back(record);
        } else {
          ++unlabelled;
        }
        break;
      }
      more = end < splits.size();
      begin = end + 1;
    }
  }
  if (records.empty()) {
    throw UserError(
        "no record of split {} has a {} label\nName splits of the file with --keys and "
        "--queries, and a rank it has labels for with --rank.",
        splits, to_string(rank));
  }
  if (unlabelled > 0) {
    log_info("{}: {} records without a {} label are left out", splits, format_count(unlabelled),
             to_string(rank));
  }
  return records;
}

std::vector<std::int32_t> labels_of(const Dataset& data, const std::vector<std::int64_t>& records,
                                    Rank rank) {
  std::vector<std::int32_t> labels;
  labels.reserve(records.size());
  for (const std::int64_t record : records) labels.push_back(data.label(record, rank));
  return labels;
}

}  // namespace

KnnResult evaluate_knn(const std::filesystem::path& model, const std::filesystem::path& data_file,
                       const KnnOptions& options) {
  const EmbedderOptions embedder_options{options.precision};
  const ModelDescription description = read_model_description(model);
  Dataset data = Dataset::load(data_file, {});
  if (!data.has_splits()) {
    throw UserError(
        "{}: no split column\nA file with a column `split` is expected; embeddings made "
        "from separate files can be compared with --keys-npy and --queries-npy.",
        data_file.string());
  }
  const auto keys = labelled_records(data, options.keys, options.rank);
  const auto queries = labelled_records(data, options.queries, options.rank);
  KnnResult result{options.rank,
                   options.keys,
                   options.queries,
                   static_cast<std::int64_t>(keys.size()),
                   static_cast<std::int64_t>(queries.size()),
                   {}};
  const Judge judge(labels_of(data, keys, options.rank), labels_of(data, queries, options.rank),
                    data.label_count(options.rank));

  const EmbeddingCache cache(options.cache);
  const std::string data_name = data.fingerprint();
  std::optional<MarkerProfile> profile = description.coder.profile;
  if (profile) data.anchor(*profile);
  const auto embed_rows = [&](const std::string& row_name, const std::string& model_name,
                              auto&& make_embedder) {
    std::optional<Embedder> embedder;
    const auto part = [&](const std::vector<std::int64_t>& records, const std::string& splits) {
      const std::string identity =
          fmt::format("model {} data {} splits {} rank {} precision {}", model_name, data_name,
                      splits, to_string(options.rank), to_string(options.precision));
      return cache.get(identity, [&] {
        if (!embedder) embedder.emplace(make_embedder());
        return embedder->embed(data, records, "embedding " + splits + ": " + row_name);
      });
    };
    Matrix key_vectors = part(keys, options.keys);
    add_vector_rows(result, row_name, judge, std::move(key_vectors), part(queries, options.queries),
                    options.centre);
  };

  const std::string model_name = model.filename().empty() ? model.parent_path().filename().string()
                                                          : model.filename().string();
  embed_rows(model_name, model_fingerprint(model),
             [&] { return Embedder::load(model, embedder_options); });
  if (!options.baselines) return result;

  embed_rows("random-initialised encoder",
             fmt::format("random {} {}", options.seed, fingerprint_file(model / "config.json")),
             [&] { return Embedder::random(description, options.seed, embedder_options); });
  result.rows.push_back(judged_row("6-mer counts", judge, [&] {
    return nearest_by_cosine(kmer_count_rows(data, keys, kBaselineKmer),
                             kmer_count_rows(data, queries, kBaselineKmer), 1,
                             "search: 6-mer counts");
  }));
  if (!profile) profile = resolve_anchor(options.anchor, data);
  if (profile) {
    if (!data.anchored()) data.anchor(*profile);
    const AlignedSequences aligned_keys(data, keys, *profile);
    const AlignedSequences aligned_queries(data, queries, *profile);
    result.rows.push_back(judged_row("aligned identity", judge, [&] {
      return AlignedSequences::nearest(aligned_keys, aligned_queries, "search: aligned identity");
    }));
  } else {
    log_info("Aligned identity is left out: no marker profile fits these records");
  }
  return result;
}

KnnResult evaluate_knn(const EmbeddingFiles& keys, const EmbeddingFiles& queries,
                       const KnnOptions& options) {
  LabelNumbers numbers;
  const auto load = [&](const EmbeddingFiles& files, std::vector<std::int32_t>& labels) {
    Matrix vectors = read_npy(files.vectors);
    const std::vector<std::string> names = read_label_column(files.labels, options.rank);
    if (static_cast<std::int64_t>(names.size()) != vectors.rows) {
      throw UserError(
          "{} has {} vectors, but {} has {} labelled rows\nOne row per vector, in the same "
          "order, is expected.",
          files.vectors.string(), vectors.rows, files.labels.string(), names.size());
    }
    for (const std::string& name : names) labels.push_back(numbers.number(name));
    return vectors;
  };
  std::vector<std::int32_t> key_labels, query_labels;
  Matrix key_vectors = load(keys, key_labels), query_vectors = load(queries, query_labels);
  if (key_vectors.cols != query_vectors.cols) {
    throw UserError("{} has {} columns, {} has {}\nKeys and queries must come from the same model.",
                    keys.vectors.string(), key_vectors.cols, queries.vectors.string(),
                    query_vectors.cols);
  }
  KnnResult result{options.rank,     keys.vectors.string(), queries.vectors.string(),
                   key_vectors.rows, query_vectors.rows,    {}};
  const Judge judge(std::move(key_labels), std::move(query_labels), numbers.count());
  add_vector_rows(result, keys.vectors.stem().string(), judge, std::move(key_vectors),
                  std::move(query_vectors), options.centre);
  if (result.rows.front().scores.queries == 0) {
    throw UserError("{}: no query has a {} label", queries.labels.string(),
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
  return json.dump(2) + "\n";
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
  return text;
}

}  // namespace barcodemae
