// SPDX-License-Identifier: MIT
#include "evaluation/knn.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "analysis/aligned_identity.h"
#include "analysis/centred_sites.h"
#include "analysis/kmer_counts.h"
#include "analysis/nearest.h"
#include "analysis/representation.h"
#include "base/error.h"
#include "base/index.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/stopwatch.h"
#include "communication/collectives.h"
#include "data/anchor.h"
#include "evaluation/class_table.h"
#include "evaluation/questions.h"
#include "evaluation/scores_json.h"

namespace barcodemae {
namespace {

/// Label numbers of keys and queries, and how often each search was right.
class Judge {
 public:
  Judge(LabelsAndBins keys, LabelsAndBins queries, std::int32_t classes, int neighbours,
        const VoteOptions& votes)
      : keys_(std::move(keys)),
        queries_(std::move(queries)),
        concordance_(bin_concordance(keys_, queries_)),
        known_(known_labels(keys_.labels, classes)),
        neighbours_(neighbours),
        votes_(votes) {}

  int neighbours() const { return neighbours_; }

  /// Of labelled queries; nothing when they are all of one kind.
  std::optional<BinCounts> queries_by_bin() const {
    const BinCounts counts = count_by_bin([](std::size_t) { return true; });
    if (std::count(counts.begin(), counts.end(), 0) >= std::ssize(counts) - 1) return std::nullopt;
    return counts;
  }

  /// Sets the row's scores. `nearest` has `each` keys of every query.
  void score(KnnRow& row, std::span<const Neighbour> nearest, std::size_t each) const {
    for (std::size_t begin = 0; begin < nearest.size(); begin += each) {
      row.answers.push_back(winner(nearest.subspan(begin, each), keys_.labels, votes_));
      row.nearest.push_back(nearest[begin]);
    }
    row.scores = score_predictions(queries_.labels, row.answers, known_);
    row.correct_by_bin = count_by_bin(
        [&](std::size_t query) { return row.answers[query] == queries_.labels[query]; });
  }

 private:
  template <typename Counts>
  BinCounts count_by_bin(const Counts& counts_query) const {
    BinCounts counts{};
    for (std::size_t query = 0; query < concordance_.size(); ++query) {
      if (queries_.labels[query] >= 0 && counts_query(query)) {
        ++counts[static_cast<std::size_t>(concordance_[query])];
      }
    }
    return counts;
  }

  LabelsAndBins keys_, queries_;
  std::vector<BinConcordance> concordance_;
  std::vector<bool> known_;
  int neighbours_;
  VoteOptions votes_;
};

/// `search` answers this process's share of the queries, each with so many neighbours.
template <typename Search>
KnnRow judged_row(const std::string& name, const Judge& judge, int neighbours,
                  Communicator& communicator, const Search& search) {
  const auto start = std::chrono::steady_clock::now();
  const std::vector<Neighbour> nearest =
      concatenate(communicator, std::span<const Neighbour>(search()));
  KnnRow row;
  row.name = name;
  row.queries_per_second =
      static_cast<double>(nearest.size()) / neighbours / std::max(1e-9, seconds_since(start));
  judge.score(row, nearest, static_cast<std::size_t>(neighbours));
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
                     Matrix queries, bool centre, Communicator& communicator,
                     const InferenceMask& mask = {}) {
  const auto add = [&](const std::string& row_name) {
    KnnRow row = judged_row(row_name, judge, judge.neighbours(), communicator, [&] {
      return nearest_by_cosine(RowSource::of(keys),
                               rows_of(queries, share_of(queries.rows, communicator)),
                               judge.neighbours(), "search: " + row_name);
    });
    row.mask = mask;
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

/// BINs are no news where they are what is asked for.
LabelsAndBins with_bins(const Dataset& data, const LabelledRecords& records) {
  LabelsAndBins both{records.labels, {}};
  for (const std::int64_t record : records.records) {
    both.bins.push_back(records.rank == Rank::kBin ? -1 : data.label(record, Rank::kBin));
  }
  return both;
}

/// The same of the rows beside embeddings made elsewhere; their labels only, without such a column.
LabelsAndBins with_bins(const EmbeddingFiles& files, Rank rank,
                        const std::vector<std::int32_t>& labels, LabelNumbers& bins) {
  LabelsAndBins both{labels, std::vector<std::int32_t>(labels.size(), -1)};
  const auto names =
      rank == Rank::kBin ? std::nullopt : find_label_column(files.labels, Rank::kBin);
  for (std::size_t row = 0; names && row < names->size(); ++row) {
    both.bins[row] = bins.number((*names)[row]);
  }
  return both;
}

/// In step with LabelledVectors::keep_labelled.
LabelsAndBins labelled(const LabelsAndBins& all) {
  LabelsAndBins kept;
  for (std::size_t row = 0; row < all.labels.size(); ++row) {
    if (all.labels[row] < 0) continue;
    kept.labels.push_back(all.labels[row]);
    kept.bins.push_back(all.bins[row]);
  }
  return kept;
}

KnnResult begun(const KnnOptions& options) {
  KnnResult result;
  result.rank = options.rank;
  result.neighbours = options.neighbours;
  result.votes = options.votes;
  result.keys_masked = options.mask_keys;
  return result;
}

void require_keys(int neighbours, std::int64_t keys, const std::string& where) {
  if (neighbours <= keys) return;
  throw UserError("--k {}: there are only {} labelled keys ({})\nAsk for fewer neighbours.",
                  neighbours, format_count(keys), where);
}

}  // namespace

KnnResult evaluate_knn(const std::filesystem::path& model, const std::filesystem::path& data_file,
                       const KnnOptions& options, Communicator& communicator) {
  EvaluationData evaluation(model, data_file, options.features, communicator);
  for (const InferenceMask& mask : options.masks) {
    require_pooling(mask, evaluation.description().config.pooling);
  }
  const auto key_splits = evaluation.splits(options.keys, "--keys");
  const auto query_splits = evaluation.splits(options.queries, "--queries");
  require_apart(key_splits, query_splits,
                fmt::format("--keys {} --queries {}", options.keys, options.queries),
                "each of its records would find itself");
  const LabelledRecords keys = evaluation.labelled(key_splits, options.rank, "--keys");
  const LabelledRecords queries = evaluation.labelled(query_splits, options.rank, "--queries");
  Dataset& data = evaluation.data();
  KnnResult result = begun(options);
  result.keys = options.keys;
  result.queries = options.queries;
  result.key_count = keys.size();
  result.query_count = queries.size();
  result.left_out = keys.left_out() + queries.left_out();
  result.label_names = label_names(data, options.rank);
  result.asked = asked_records(data, queries);
  result.key_ids = asked_records(data, keys).ids;
  require_question({"keys " + options.keys, keys.labels},
                   {"queries " + options.queries, queries.labels}, options.rank,
                   result.label_names);
  require_keys(options.neighbours, keys.size(), options.keys);
  const Judge judge(with_bins(data, keys), with_bins(data, queries), data.label_count(options.rank),
                    options.neighbours, options.votes);
  result.queries_by_bin = judge.queries_by_bin();

  const auto add_encoder = [&](FrozenEncoder encoder, const InferenceMask& mask = {}) {
    const bool is_masked = mask.kind != InferenceMask::Kind::kNone;
    Matrix key_vectors = encoder.embed(keys, options.mask_keys ? mask : InferenceMask{});
    add_vector_rows(result, encoder.name() + (is_masked ? ", " + mask.name() : ""), judge,
                    std::move(key_vectors), encoder.embed(queries, mask), options.centre,
                    communicator, mask);
  };
  add_encoder(evaluation.trained());
  if (options.features.precision == DType::kInt8) {
    add_encoder(evaluation.trained(DType::kFloat32));
    result.int8_difference =
        result.rows.front().scores.accuracy - result.rows[result.rows.size() / 2].scores.accuracy;
  }
  for (const InferenceMask& mask : options.masks) add_encoder(evaluation.trained(), mask);
  if (std::any_of(options.masks.begin(), options.masks.end(), [](const InferenceMask& mask) {
        return mask.kind != InferenceMask::Kind::kDrop;
      })) {
    log_info(
        "[MASK] at inference is row {} of the encoder's word table: what training left there, or, "
        "in a masked autoencoder whose encoder never sees [MASK], what initialisation did",
        KmerVocabulary::kMask);
  }
  if (!options.baselines) return result;

  add_encoder(evaluation.untrained(options.seed));
  const auto own_queries = share_of(std::span<const std::int64_t>(queries.records), communicator);
  result.rows.push_back(judged_row("6-mer counts", judge, judge.neighbours(), communicator, [&] {
    return nearest_by_cosine(kmer_count_rows(data, keys.records, kBaselineKmer),
                             kmer_count_rows(data, own_queries, kBaselineKmer), judge.neighbours(),
                             "search: 6-mer counts");
  }));
  std::optional<MarkerProfile> profile = evaluation.profile();
  // A marker that is not the model's has a profile all the same.
  if (data.share_explained() < kAnchorShare) {
    profile = resolve_anchor(options.features.anchor, data);
  }
  if (profile) {
    result.rows.push_back(judged_row("centred sites", judge, judge.neighbours(), communicator, [&] {
      return nearest_by_cosine(centred_site_rows(data, keys.records, *profile),
                               centred_site_rows(data, own_queries, *profile), judge.neighbours(),
                               "search: centred sites");
    }));
    const AlignedSequences aligned_keys(data, keys.records, *profile);
    const AlignedSequences aligned_queries(data, own_queries, *profile);
    const char* name = options.neighbours == 1 ? "aligned identity" : "aligned identity, 1-NN";
    result.rows.push_back(judged_row(name, judge, 1, communicator, [&] {
      return AlignedSequences::nearest(aligned_keys, aligned_queries, "search: aligned identity");
    }));
  } else {
    log_info("Centred sites and aligned identity are left out: {}",
             options.features.anchor == "none" ? "--anchor none"
                                               : "no marker profile fits these records");
  }
  return result;
}

KnnResult evaluate_knn(const EmbeddingFiles& key_files, const EmbeddingFiles& query_files,
                       const KnnOptions& options, Communicator& communicator) {
  require_same_maker(key_files, query_files);
  LabelNumbers numbers;
  LabelledVectors keys = read_embeddings(key_files, options.rank, numbers);
  LabelledVectors queries = read_embeddings(query_files, options.rank, numbers);
  LabelNumbers bins;
  LabelsAndBins key_labels = labelled(with_bins(key_files, options.rank, keys.labels, bins));
  LabelsAndBins query_labels = with_bins(query_files, options.rank, queries.labels, bins);
  const AskedRecords all_keys = asked_records(key_files, keys.labels);
  const std::int64_t keys_left_out = keys.keep_labelled();
  if (keys_left_out > 0)
    log_info("{} keys without a label are left out", format_count(keys_left_out));
  const std::int64_t unlabelled = std::count(queries.labels.begin(), queries.labels.end(), -1);
  if (keys.vectors.cols != queries.vectors.cols) {
    throw UserError("{} has {} columns, {} has {}\nKeys and queries must come from the same model.",
                    key_files.vectors.string(), keys.vectors.cols, query_files.vectors.string(),
                    queries.vectors.cols);
  }
  KnnResult result = begun(options);
  result.keys = key_files.vectors.string();
  result.queries = query_files.vectors.string();
  result.key_count = keys.vectors.rows;
  result.query_count = queries.vectors.rows - unlabelled;
  result.left_out = keys_left_out + unlabelled;
  result.label_names = numbers.names();
  result.asked = asked_records(query_files, queries.labels);
  result.key_ids = with_label(all_keys).ids;
  require_question({key_files.labels.string() + ": keys", keys.labels},
                   {query_files.labels.string() + ": queries", queries.labels}, options.rank,
                   result.label_names);
  require_keys(options.neighbours, keys.vectors.rows, key_files.vectors.string());
  warn_of_shared_ids({key_files.labels, query_files.labels});
  const Judge judge(std::move(key_labels), std::move(query_labels), numbers.count(),
                    options.neighbours, options.votes);
  result.queries_by_bin = judge.queries_by_bin();
  add_vector_rows(result, key_files.vectors.stem().string(), judge, std::move(keys.vectors),
                  std::move(queries.vectors), options.centre, communicator);
  return result;
}

std::string KnnResult::method() const {
  std::string text = fmt::format("cosine {}-NN", neighbours);
  if (neighbours > 1 && votes.votes == Votes::kSoftmax) {
    text += fmt::format(", softmax votes at temperature {}", votes.temperature);
  }
  return text;
}

std::string KnnResult::record_table() const {
  RecordTable table(asked, label_names, "answer,nearest,similarity");
  for (const KnnRow& row : rows) {
    for (std::size_t query = 0; query < row.answers.size(); ++query) {
      const Neighbour& nearest = row.nearest[query];
      table.add(row.name, query,
                fmt::format("{},{},{:.6f}", table.cell(row.answers[query]),
                            nearest.key < 0 ? "" : csv_cell(key_ids[index(nearest.key)]),
                            nearest.similarity));
    }
  }
  return table.csv();
}

std::string KnnResult::class_table() const {
  std::vector<std::pair<std::string_view, const ClassificationScores*>> all;
  for (const KnnRow& row : rows) all.emplace_back(row.name, &row.scores);
  return class_table_csv(all, label_names);
}

namespace {

nlohmann::ordered_json counts_json(const BinCounts& counts) {
  constexpr std::array<const char*, kBinConcordances> kNames = {"own", "shared", "others", "new",
                                                                "none"};
  nlohmann::ordered_json json;
  for (std::size_t kind = 0; kind < counts.size(); ++kind) json[kNames[kind]] = counts[kind];
  return json;
}

}  // namespace

std::vector<std::vector<std::string>> KnnResult::bin_table() const {
  if (!queries_by_bin) return {};
  std::vector<std::vector<std::string>> lines(2 + rows.size());
  lines[0] = {"the query's BIN holds"};
  lines[1] = {"queries"};
  for (std::size_t row = 0; row < rows.size(); ++row) lines[2 + row] = {rows[row].name};
  for (std::size_t kind = 0; kind < kBinConcordances; ++kind) {
    const std::int64_t count = (*queries_by_bin)[kind];
    if (count == 0) continue;
    lines[0].emplace_back(to_string(static_cast<BinConcordance>(kind)));
    lines[1].push_back(format_count(count));
    for (std::size_t row = 0; row < rows.size(); ++row) {
      const auto correct = static_cast<double>(rows[row].correct_by_bin[kind]);
      lines[2 + row].push_back(fmt::format("{:.2f}", 100 * correct / static_cast<double>(count)));
    }
  }
  return lines;
}

nlohmann::ordered_json KnnResult::to_json() const {
  nlohmann::ordered_json json;
  json["task"] = "knn";
  json["rank"] = to_string(rank);
  json["keys"] = keys;
  json["queries"] = queries;
  json["key_count"] = key_count;
  json["query_count"] = query_count;
  json["left_out"] = left_out;
  json["k"] = neighbours;
  json["votes"] = votes.votes == Votes::kUniform ? "uniform" : "softmax";
  if (votes.votes == Votes::kSoftmax) json["temperature"] = votes.temperature;
  if (int8_difference) json["int8_minus_float32"] = *int8_difference;
  if (queries_by_bin) json["queries_by_bin"] = counts_json(*queries_by_bin);
  json["rows"] = nlohmann::ordered_json::array();
  for (const KnnRow& row : rows) {
    nlohmann::ordered_json entry;
    entry["name"] = row.name;
    add_scores(entry, row.scores);
    if (row.mask.kind != InferenceMask::Kind::kNone) {
      entry["inference_mask"] = {{"kind", to_string(row.mask.kind)},
                                 {"rate", row.mask.rate},
                                 {"seed", row.mask.seed},
                                 {"keys_too", keys_masked}};
    }
    entry["effective_rank_of_keys"] =
        row.effective_rank ? nlohmann::ordered_json(*row.effective_rank) : nlohmann::ordered_json();
    entry["queries_per_second"] = row.queries_per_second;
    if (queries_by_bin) entry["correct_by_bin"] = counts_json(row.correct_by_bin);
    json["rows"].push_back(std::move(entry));
  }
  return json;
}

std::string KnnResult::to_text() const {
  std::string text =
      fmt::format("{} by {}: {} queries ({}) against {} keys ({})\n", to_string(rank), method(),
                  format_count(query_count), queries, format_count(key_count), keys);
  if (!rows.empty()) {
    const ClassificationScores& first = rows.front().scores;
    text += left_out_line(left_out, "records");
    if (first.unreachable > 0) {
      text += fmt::format("{} queries have a label that no key has; they count as wrong\n",
                          format_count(first.unreachable));
    }
    text += "\n";
  }
  std::size_t width = 4;
  for (const KnnRow& row : rows) width = std::max(width, row.name.size());
  text += fmt::format(
      "{:<{}}  accuracy %  balanced %  macro F1 %  weighted F1 %  effective rank  queries/s\n", "",
      width);
  for (const KnnRow& row : rows) {
    text +=
        fmt::format("{:<{}}  {:>10.2f}  {:>10.2f}  {:>10.2f}  {:>13.2f}  {:>14}  {:>9}\n", row.name,
                    width, 100 * row.scores.accuracy, 100 * row.scores.balanced_accuracy,
                    100 * row.scores.macro_f1, 100 * row.scores.weighted_f1,
                    row.effective_rank ? fmt::format("{:.1f}", *row.effective_rank) : "-",
                    format_count(std::llround(row.queries_per_second)));
  }
  if (queries_by_bin) {
    text += "\naccuracy %, by which keys lie in the query's BIN\n";
    const auto lines = bin_table();
    std::vector<std::size_t> widths(lines.front().size());
    for (const auto& line : lines) {
      for (std::size_t column = 0; column < line.size(); ++column) {
        widths[column] = std::max(widths[column], line[column].size());
      }
    }
    for (const auto& line : lines) {
      text += fmt::format("{:<{}}", line[0], std::max(width, widths[0]));
      for (std::size_t column = 1; column < line.size(); ++column) {
        text += fmt::format("  {:>{}}", line[column], widths[column]);
      }
      text += '\n';
    }
  }
  if (int8_difference) {
    text += fmt::format("int8 against f32: {:+.2f} points of accuracy\n", 100 * *int8_difference);
  }
  return text;
}

}  // namespace barcodemae
