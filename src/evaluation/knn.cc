// SPDX-License-Identifier: MIT
#include "evaluation/knn.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>

#include "analysis/aligned_identity.h"
#include "analysis/kmer_counts.h"
#include "analysis/nearest.h"
#include "analysis/representation.h"
#include "barcodemae_version.h"
#include "base/error.h"
#include "base/fingerprint.h"
#include "base/log.h"
#include "base/progress.h"
#include "communication/collectives.h"
#include "data/anchor.h"
#include "data/splits.h"
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

/// The splits of --keys or --queries, all of which the data have.
std::vector<std::string> existing_splits(const Dataset& data, const std::string& text,
                                         std::string_view option) {
  std::vector<std::string> names = parse_splits(text, option);
  const std::vector<std::string>& known = data.split_names();
  for (const std::string& name : names) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    throw UserError("{} {}: no record of this split\nSplits of the file: {}", option, name,
                    fmt::join(known, ", "));
  }
  return names;
}

/// Records of the splits, in file order, that can be searched: with a label and with a token.
std::vector<std::int64_t> searchable_records(const Dataset& data,
                                             const std::vector<std::string>& splits, Rank rank,
                                             const SequenceCoder& coder, std::int64_t& left_out) {
  std::vector<std::int64_t> records;
  std::int64_t unlabelled = 0, without_token = 0;
  for (std::int64_t record = 0; record < data.size(); ++record) {
    if (std::find(splits.begin(), splits.end(), data.split(record)) == splits.end()) continue;
    if (data.label(record, rank) < 0) {
      ++unlabelled;
    } else if (data.tokens(record, coder).ids.empty()) {
      ++without_token;
    } else {
      records.push_back(record);
    }
  }
  const std::string names = fmt::format("{}", fmt::join(splits, "+"));
  if (records.empty()) {
    throw UserError(
        "no record of split {} has a {} label\nName splits of the file with --keys and "
        "--queries, and a rank it has labels for with --rank.",
        names, to_string(rank));
  }
  if (unlabelled > 0) {
    log_info("{}: {} records without a {} label are left out", names, format_count(unlabelled),
             to_string(rank));
  }
  if (without_token > 0) {
    log_warn("{}: {} records without a whole k-mer are left out", names,
             format_count(without_token));
  }
  left_out += unlabelled + without_token;
  return records;
}

std::vector<std::int32_t> labels_of(const Dataset& data, const std::vector<std::int64_t>& records,
                                    Rank rank) {
  std::vector<std::int32_t> labels;
  labels.reserve(records.size());
  for (const std::int64_t record : records) labels.push_back(data.label(record, rank));
  return labels;
}

/// Drops rows without a label, which can answer nothing. Returns how many.
std::int64_t keep_labelled(Matrix& vectors, std::vector<std::int32_t>& labels) {
  std::int64_t kept = 0;
  for (std::int64_t row = 0; row < vectors.rows; ++row) {
    const std::int32_t label = labels[static_cast<std::size_t>(row)];
    if (label < 0) continue;
    if (kept < row) std::copy_n(vectors.row(row).data(), vectors.cols, vectors.row(kept).data());
    labels[static_cast<std::size_t>(kept++)] = label;
  }
  const std::int64_t dropped = vectors.rows - kept;
  vectors.rows = kept;
  vectors.values.resize(static_cast<std::size_t>(kept * vectors.cols));
  labels.resize(static_cast<std::size_t>(kept));
  if (dropped > 0) log_info("{} keys without a label are left out", format_count(dropped));
  return dropped;
}

}  // namespace

KnnResult evaluate_knn(const std::filesystem::path& model, const std::filesystem::path& data_file,
                       const KnnOptions& options, Communicator& communicator) {
  EmbedderOptions embedder_options{
      .precision = options.precision, .device = options.device, .anchor = options.anchor};
  ModelDescription description = read_model_description(model);
  std::optional<MarkerProfile>& profile = description.coder.profile;
  profile = profile_to_read_by(options.anchor, profile);
  Dataset data = Dataset::load(data_file, {.reader = {options.marker_code}});
  if (const std::string summary = data.report().summary(data_file.string()); !summary.empty()) {
    log_message(summary);
  }
  if (!data.has_splits()) {
    throw UserError(
        "{}: no split column\nA file with a column `split` is expected; embeddings made "
        "from separate files can be compared with --keys-npy and --queries-npy.",
        data_file.string());
  }
  const auto key_splits = existing_splits(data, options.keys, "--keys");
  const auto query_splits = existing_splits(data, options.queries, "--queries");
  for (const std::string& split : query_splits) {
    if (std::find(key_splits.begin(), key_splits.end(), split) == key_splits.end()) continue;
    throw UserError(
        "--keys {} --queries {}: {} is in both, and each of its records would find itself\n"
        "Name different splits.",
        options.keys, options.queries, split);
  }
  anchor_by_model(profile, data);
  std::int64_t left_out = 0;
  const auto keys = searchable_records(data, key_splits, options.rank, description.coder, left_out);
  const auto queries =
      searchable_records(data, query_splits, options.rank, description.coder, left_out);
  KnnResult result{options.rank,
                   options.keys,
                   options.queries,
                   static_cast<std::int64_t>(keys.size()),
                   static_cast<std::int64_t>(queries.size()),
                   left_out,
                   {},
                   {}};
  const Judge judge(labels_of(data, keys, options.rank), labels_of(data, queries, options.rank),
                    data.label_count(options.rank));

  const EmbeddingCache cache(options.cache);
  const std::string data_name = data.fingerprint();
  require_same(communicator, "the data they read (by fingerprint)", data_name,
               "All of them must see the same file.");
  Fingerprint coder;
  coder.add(BARCODEMAE_VERSION);
  if (profile) coder.add(profile->to_json());
  const std::string reading = coder.hex();
  const auto embed_rows = [&](const std::string& row_name, const std::string& model_name,
                              auto&& make_embedder) {
    std::optional<Embedder> embedder;
    const auto part = [&](const std::vector<std::int64_t>& records, const std::string& splits) {
      const std::string identity =
          fmt::format("model {} data {} splits {} rank {} precision {} device {} reading {}",
                      model_name, data_name, splits, to_string(options.rank),
                      to_string(embedder_options.precision), options.device, reading);
      return cache.get(identity, communicator, [&] {
        if (!embedder) embedder.emplace(make_embedder());
        const Matrix own =
            embedder->embed(data, share_of(std::span<const std::int64_t>(records), communicator),
                            "embedding " + splits + ": " + row_name);
        return Matrix{static_cast<std::int64_t>(records.size()), own.cols,
                      concatenate(communicator, std::span<const float>(own.values))};
      });
    };
    Matrix key_vectors = part(keys, options.keys);
    add_vector_rows(result, row_name, judge, std::move(key_vectors), part(queries, options.queries),
                    options.centre, communicator);
  };

  const std::string model_name = model.filename().empty() ? model.parent_path().filename().string()
                                                          : model.filename().string();
  embed_rows(model_name, model_fingerprint(model),
             [&] { return Embedder::load(model, embedder_options); });
  if (options.precision == DType::kInt8) {
    // What int8 costs is seen beside the same model in float32.
    embedder_options.precision = DType::kFloat32;
    embed_rows(model_name + ", f32", model_fingerprint(model),
               [&] { return Embedder::load(model, embedder_options); });
    result.int8_difference =
        result.rows.front().scores.accuracy - result.rows[result.rows.size() / 2].scores.accuracy;
    embedder_options.precision = options.precision;
  }
  if (!options.baselines) return result;

  embed_rows("random-initialised encoder",
             fmt::format("random {} {} {}", options.seed, fingerprint_file(model / "config.json"),
                         fingerprint_file(model / "tokenizer.json")),
             [&] { return Embedder::random(description, options.seed, embedder_options); });
  const auto own_queries = share_of(std::span<const std::int64_t>(queries), communicator);
  result.rows.push_back(judged_row("6-mer counts", judge, communicator, [&] {
    return nearest_by_cosine(kmer_count_rows(data, keys, kBaselineKmer),
                             kmer_count_rows(data, own_queries, kBaselineKmer), 1,
                             "search: 6-mer counts");
  }));
  if (!profile) profile = resolve_anchor(options.anchor, data);
  if (profile) {
    const AlignedSequences aligned_keys(data, keys, *profile);
    const AlignedSequences aligned_queries(data, own_queries, *profile);
    result.rows.push_back(judged_row("aligned identity", judge, communicator, [&] {
      return AlignedSequences::nearest(aligned_keys, aligned_queries, "search: aligned identity");
    }));
  } else {
    log_info("Aligned identity is left out: no marker profile fits these records");
  }
  return result;
}

KnnResult evaluate_knn(const EmbeddingFiles& keys, const EmbeddingFiles& queries,
                       const KnnOptions& options, Communicator& communicator) {
  LabelNumbers numbers;
  const auto load = [&](const EmbeddingFiles& files, std::vector<std::int32_t>& labels) {
    Matrix vectors = read_npy(files.vectors);
    if (vectors.rows == 0 || vectors.cols == 0) {
      throw UserError("{}: an array of shape ({}, {}): at least one vector is expected",
                      files.vectors.string(), vectors.rows, vectors.cols);
    }
    const auto odd = std::find_if(vectors.values.begin(), vectors.values.end(),
                                  [](float value) { return !std::isfinite(value); });
    if (odd != vectors.values.end()) {
      throw UserError("{}: row {} holds a number that is not finite\nMake that vector again.",
                      files.vectors.string(), (odd - vectors.values.begin()) / vectors.cols);
    }
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
  const std::int64_t left_out = keep_labelled(key_vectors, key_labels);
  if (key_vectors.rows == 0) {
    throw UserError("{}: no key has a {} label", keys.labels.string(), to_string(options.rank));
  }
  if (key_vectors.cols != query_vectors.cols) {
    throw UserError("{} has {} columns, {} has {}\nKeys and queries must come from the same model.",
                    keys.vectors.string(), key_vectors.cols, queries.vectors.string(),
                    query_vectors.cols);
  }
  KnnResult result{options.rank,
                   keys.vectors.string(),
                   queries.vectors.string(),
                   key_vectors.rows,
                   query_vectors.rows,
                   left_out,
                   {},
                   {}};
  const Judge judge(std::move(key_labels), std::move(query_labels), numbers.count());
  add_vector_rows(result, keys.vectors.stem().string(), judge, std::move(key_vectors),
                  std::move(query_vectors), options.centre, communicator);
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
