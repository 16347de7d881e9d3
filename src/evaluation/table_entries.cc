// SPDX-License-Identifier: MIT
#include "evaluation/table_entries.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <set>
#include <unordered_map>

#include "analysis/aligned_identity.h"
#include "analysis/centred_sites.h"
#include "analysis/kmer_counts.h"
#include "base/error.h"
#include "base/fingerprint.h"
#include "base/index.h"
#include "base/log.h"
#include "base/stopwatch.h"
#include "data/anchor.h"
#include "evaluation/sequence_search.h"
#include "nn/flops.h"

namespace barcodemae {
namespace {

/// Vectors of records of a data set, gathered from matrices as they are asked for.
class VectorStore {
 public:
  void add(std::span<const std::int64_t> records, Matrix matrix) {
    for (std::size_t i = 0; i < records.size(); ++i) {
      places_[records[i]] = {matrices_.size(), static_cast<std::int64_t>(i)};
    }
    matrices_.push_back(std::move(matrix));
  }
  /// Nothing when one of them is missing.
  std::optional<RowSource> rows(std::span<const std::int64_t> records) const {
    std::vector<const float*> rows;
    for (const std::int64_t record : records) {
      const auto found = places_.find(record);
      if (found == places_.end()) return std::nullopt;
      rows.push_back(matrices_[found->second.first].row(found->second.second).data());
    }
    const std::int64_t cols = matrices_.empty() ? 0 : matrices_.front().cols;
    return RowSource{static_cast<std::int64_t>(rows.size()), cols,
                     [rows = std::move(rows), cols](std::int64_t first, std::span<float> out) {
                       for (std::size_t begin = 0; begin < out.size(); begin += index(cols)) {
                         std::copy_n(rows[index(first++)], cols, out.data() + begin);
                       }
                     }};
  }

 private:
  std::vector<Matrix> matrices_;
  std::unordered_map<std::int64_t, std::pair<std::size_t, std::int64_t>> places_;
};

class EncoderEntry : public TableEntry {
 public:
  EncoderEntry(std::string name, std::shared_ptr<TableReading> reading,
               std::optional<std::uint64_t> seed)
      : TableEntry(std::move(name), seed ? Kind::kBaseline : Kind::kModel, std::move(reading)),
        seed_(seed) {}

  std::string identity() override {
    std::string text = (seed_ ? "" : "model ") + weights_identity(reading().model(), seed_);
    const FeatureOptions& options = reading().options();
    text += fmt::format(" precision {} device {}", to_string(options.precision), options.device);
    if (options.pooling != "model") text += " pooling " + options.pooling;
    return text;
  }

  bool is_encoder() const override { return true; }

  std::optional<RowSource> vectors(const LabelledRecords& records) override {
    const Dataset& data = reading().data();
    std::set<std::string> splits;
    for (const std::int64_t record : records.records) splits.insert(data.split(record));
    for (const std::string& split : splits) {
      if (!embedded_.insert(split).second) continue;
      const std::vector<std::int64_t> all = reading().evaluation().with_tokens({split});
      store_.add(all, encoder().embed("split " + split, all));
    }
    return store_.rows(records.records);
  }

  CostCell cost(const LabelledRecords& records) override {
    constexpr std::int64_t kSample = 256, kWarmUp = 32;
    constexpr int kPasses = 3;
    constexpr double kLongEnough = 2;  // seconds
    const Dataset& data = reading().data();
    std::vector<std::int64_t> sample;
    for (std::int64_t i = 0; i < std::min(kSample, records.size()); ++i) {
      sample.push_back(
          records.records[index(i * records.size() / std::min(kSample, records.size()))]);
    }
    Embedder& embedder = encoder().embedder();
    CostCell cell;
    cell.parameters = summarise_weights(reading().model()).parameters;
    cell.barcodes = static_cast<std::int64_t>(sample.size());
    std::int64_t tokens = 0;
    const SequenceCoder& coder = embedder.description().coder;
    for (const std::int64_t record : sample) {
      tokens += static_cast<std::int64_t>(data.tokens(record, coder).ids.size());
    }
    const auto count = static_cast<double>(cell.barcodes);
    cell.gflop = embedding_flops(embedder.description().config, tokens) / count / 1e9;
    if (const auto& readout = embedder.description().readout) {
      cell.parameters += readout->weights() + readout->inputs();
      cell.gflop += 2 * static_cast<double>(readout->weights()) / 1e9;
    }
    if (reading().communicator().rank() != 0) return cell;
    embedder.embed(data, std::span(sample).first(index(std::min(kWarmUp, cell.barcodes))));
    cell.seconds = std::numeric_limits<double>::infinity();
    double spent = 0;
    for (int pass = 0; pass < kPasses && spent < kLongEnough; ++pass) {
      const auto start = std::chrono::steady_clock::now();
      embedder.embed(data, sample);
      const double seconds = seconds_since(start);
      spent += seconds;
      cell.seconds = std::min(cell.seconds, seconds / count);
    }
    return cell;
  }

 private:
  FrozenEncoder& encoder() {
    if (!encoder_) {
      EvaluationData& evaluation = reading().evaluation();
      encoder_.emplace(seed_ ? evaluation.untrained(*seed_) : evaluation.trained());
    }
    return *encoder_;
  }

  std::optional<std::uint64_t> seed_;
  std::optional<FrozenEncoder> encoder_;
  std::set<std::string> embedded_;
  VectorStore store_;
};

class EmbeddingsEntry : public TableEntry {
 public:
  EmbeddingsEntry(const TableSource& source, std::shared_ptr<TableReading> reading)
      : TableEntry(source.name, Kind::kEmbeddings, std::move(reading)) {
    require_same_maker(*source.keys, *source.queries);
    add(*source.keys);
    add(*source.queries);
  }

  std::string identity() override { return "embeddings" + fingerprints_; }
  std::string note() const override { return note_; }

  std::optional<RowSource> vectors(const LabelledRecords& records) override {
    std::optional<RowSource> rows = store_.rows(records.records);
    if (!rows && missing_.insert(records.splits).second) {
      note_ += fmt::format("{}no vectors of all records of {}", note_.empty() ? "" : "; ",
                           records.splits);
      log_warn("{}: the files lack vectors of some records of {}; cells that need them are empty",
               name(), records.splits);
    }
    return rows;
  }

 private:
  void add(const EmbeddingFiles& files) {
    Matrix vectors = read_vectors(files.vectors);
    if (cols_ > 0 && vectors.cols != cols_) {
      throw UserError(
          "{}: an array of shape ({}, {})\nVectors of as many columns in both files are expected.",
          files.vectors.string(), vectors.rows, vectors.cols);
    }
    cols_ = vectors.cols;
    const std::vector<std::string> ids = read_ids(files.labels);
    if (ids.empty()) {
      throw UserError(
          "{}: no column id, or no row\nThe rows of a table are matched with DATA by id: id and "
          "labels between tabs, with a header, are expected.",
          files.labels.string());
    }
    if (static_cast<std::int64_t>(ids.size()) != vectors.rows) {
      throw UserError(
          "{} has {} vectors, but {} has {} rows\nOne row per vector, in the same order, is "
          "expected.",
          files.vectors.string(), vectors.rows, files.labels.string(), ids.size());
    }
    require_labels(files, ids);
    std::vector<std::int64_t> records;
    records.reserve(ids.size());
    for (const std::string& id : ids) records.push_back(records_.at(id));
    store_.add(records, std::move(vectors));
    fingerprints_ += " " + fingerprint_file(files.vectors) + " " + fingerprint_file(files.labels);
  }

  /// Every id is a record of the data, once, and the labels beside it are that record's.
  void require_labels(const EmbeddingFiles& files, const std::vector<std::string>& ids) {
    const Dataset& data = reading().data();
    if (records_.empty()) {
      for (std::int64_t record = 0; record < data.size(); ++record) {
        records_.emplace(data.id(record), record);
      }
    }
    const auto where = [&](std::size_t row) {
      return fmt::format("{}:{}", files.labels.string(), row + 2);
    };
    for (std::size_t row = 0; row < ids.size(); ++row) {
      if (records_.find(ids[row]) == records_.end()) {
        throw UserError(
            "{}: id {} is no record of the data\nEmbed the records of DATA, with their ids.",
            where(row), ids[row]);
      }
      if (!seen_.insert(ids[row]).second) {
        throw UserError("{}: id {} has a vector already\nOne vector per record is expected.",
                        where(row), ids[row]);
      }
    }
    for (const Rank rank :
         {Rank::kOrder, Rank::kFamily, Rank::kGenus, Rank::kSpecies, Rank::kBin}) {
      const auto labels = find_label_column(files.labels, rank);
      if (!labels) continue;
      for (std::size_t row = 0; row < ids.size(); ++row) {
        const std::int64_t record = records_.at(ids[row]);
        const std::int32_t label = data.label(record, rank);
        const std::string& own = (*labels)[row];
        if (own.empty() || label < 0 || own == data.label_name(rank, label)) continue;
        throw UserError(
            "{}: the {} of {} is {} here, but {} in the data\nIds and labels do not belong "
            "together, or are of another version of the data.",
            where(row), to_string(rank), ids[row], own, data.label_name(rank, label));
      }
    }
  }

  std::unordered_map<std::string, std::int64_t> records_;
  std::set<std::string> seen_, missing_;
  std::string fingerprints_, note_;
  std::int64_t cols_ = 0;
  VectorStore store_;
};

class KmerEntry : public TableEntry {
 public:
  KmerEntry(int k, std::shared_ptr<TableReading> reading)
      : TableEntry(fmt::format("{}-mer counts", k), Kind::kBaseline, std::move(reading)), k_(k) {}

  std::string identity() override { return fmt::format("k-mer counts {}", k_); }
  std::optional<RowSource> vectors(const LabelledRecords& records) override {
    return kmer_count_rows(reading().data(), records.records, k_);
  }

 private:
  int k_;
};

/// Why there are no marker coordinates.
const char* without_profile(const FeatureOptions& options) {
  return options.anchor == "none" ? "left out by --anchor none"
                                  : "no marker profile fits these records";
}

class CentredSitesEntry : public TableEntry {
 public:
  explicit CentredSitesEntry(std::shared_ptr<TableReading> reading)
      : TableEntry("centred sites", Kind::kBaseline, std::move(reading)) {}

  std::string identity() override { return "centred sites"; }
  std::optional<RowSource> vectors(const LabelledRecords& records) override {
    const std::optional<MarkerProfile>& profile = reading().profile();
    if (!profile) {
      note_ = without_profile(reading().options());
      return std::nullopt;
    }
    return centred_site_rows(reading().data(), records.records, *profile);
  }
  std::string note() const override { return note_; }

 private:
  std::string note_;
};

class AlignedEntry : public TableEntry {
 public:
  explicit AlignedEntry(std::shared_ptr<TableReading> reading)
      : TableEntry("aligned identity", Kind::kBaseline, std::move(reading)) {}

  std::string identity() override { return "aligned identity"; }
  bool has_vectors() const override { return false; }
  std::optional<RowSource> vectors(const LabelledRecords& /*records*/) override { return {}; }
  std::optional<std::vector<Neighbour>> nearest(const LabelledRecords& keys,
                                                const LabelledRecords& queries) override {
    const std::optional<MarkerProfile>& profile = reading().profile();
    if (!profile) {
      note_ = without_profile(reading().options());
      return std::nullopt;
    }
    return AlignedSequences::nearest({reading().data(), keys.records, *profile},
                                     {reading().data(), queries.records, *profile},
                                     "search: aligned identity");
  }
  std::string note() const override { return note_; }

 private:
  std::string note_;
};

class SearchEntry : public TableEntry {
 public:
  SearchEntry(SequenceSearch search, std::shared_ptr<TableReading> reading)
      : TableEntry(search.name(), Kind::kBaseline, std::move(reading)),
        search_(std::move(search)) {}

  std::string identity() override { return search_.version() + " " + search_.options(); }
  std::string note() const override { return search_.version(); }
  bool has_vectors() const override { return false; }
  std::optional<RowSource> vectors(const LabelledRecords& /*records*/) override { return {}; }
  std::optional<std::vector<Neighbour>> nearest(const LabelledRecords& keys,
                                                const LabelledRecords& queries) override {
    return search_.nearest(reading().data(), keys.records, queries.records);
  }

 private:
  SequenceSearch search_;
};

}  // namespace

TableReading::TableReading(std::filesystem::path model, std::filesystem::path data,
                           const FeatureOptions& options, Communicator& communicator)
    : model_(std::move(model)),
      file_(std::move(data)),
      options_(options),
      communicator_(communicator) {}

EvaluationData& TableReading::evaluation() {
  if (!evaluation_) {
    evaluation_ = model_.empty()
                      ? std::make_unique<EvaluationData>(file_, options_, communicator_)
                      : std::make_unique<EvaluationData>(model_, file_, options_, communicator_);
  }
  return *evaluation_;
}

const LabelledRecords& TableReading::labelled(const std::string& splits, Rank rank,
                                              std::string_view option) {
  const auto found = labelled_.find({splits, rank});
  if (found != labelled_.end()) return found->second;
  const std::vector<std::string> names = evaluation().splits(splits, option);
  return labelled_.emplace(std::pair(splits, rank), evaluation().labelled(names, rank, option))
      .first->second;
}

const std::optional<MarkerProfile>& TableReading::profile() {
  if (!profile_) profile_ = resolve_anchor(options_.anchor, data());
  return *profile_;
}

TableEntry::TableEntry(std::string name, Kind kind, std::shared_ptr<TableReading> reading)
    : name_(std::move(name)), kind_(kind), reading_(std::move(reading)) {}

std::optional<std::vector<Neighbour>> TableEntry::nearest(const LabelledRecords& keys,
                                                          const LabelledRecords& queries) {
  const std::optional<RowSource> key_rows = vectors(keys), query_rows = vectors(queries);
  if (!key_rows || !query_rows) return std::nullopt;
  return nearest_by_cosine(*key_rows, *query_rows, 1, "search: " + name_);
}

CostCell TableEntry::cost(const LabelledRecords& /*records*/) {
  throw InternalError(name_ + " is no encoder");
}

std::unique_ptr<TableEntry> encoder_entry(std::string name, std::shared_ptr<TableReading> reading,
                                          std::optional<std::uint64_t> seed) {
  return std::make_unique<EncoderEntry>(std::move(name), std::move(reading), seed);
}

std::unique_ptr<TableEntry> embeddings_entry(const TableSource& source,
                                             std::shared_ptr<TableReading> reading) {
  return std::make_unique<EmbeddingsEntry>(source, std::move(reading));
}

TableEntries baseline_entries(const BaselineOptions& options,
                              const std::shared_ptr<TableReading>& reading) {
  TableEntries entries;
  for (const std::string& name : options.names) {
    if (name == "kmer") {
      entries.push_back(std::make_unique<KmerEntry>(options.kmer, reading));
    } else if (name == "sites") {
      entries.push_back(std::make_unique<CentredSitesEntry>(reading));
    } else if (name == "aligned") {
      entries.push_back(std::make_unique<AlignedEntry>(reading));
    } else {
      const bool blast = name == "blast";
      BARCODEMAE_CHECK(blast || name == "vsearch", "no baseline {}", name);
      auto search = SequenceSearch::find(blast ? SequenceSearch::Program::kBlast
                                               : SequenceSearch::Program::kVsearch);
      if (search) {
        log_info("{}: {}", search->name(), search->version());
        entries.push_back(std::make_unique<SearchEntry>(*std::move(search), reading));
      }
    }
  }
  return entries;
}

}  // namespace barcodemae
