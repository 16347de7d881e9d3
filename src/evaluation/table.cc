// SPDX-License-Identifier: MIT
#include "evaluation/table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <system_error>
#include <unordered_map>

#include "barcodemae_version.h"
#include "base/error.h"
#include "base/fingerprint.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/stopwatch.h"
#include "base/threads.h"
#include "data/splits.h"
#include "evaluation/class_table.h"
#include "evaluation/clustering.h"
#include "evaluation/linear.h"
#include "evaluation/published.h"
#include "evaluation/questions.h"

namespace barcodemae {
namespace {

using Clock = std::chrono::steady_clock;

/// Fills one row after the other.
class TableMaker {
 public:
  TableMaker(const std::filesystem::path& data, const TableOptions& options,
             Communicator& communicator)
      : options_(options),
        communicator_(communicator),
        store_(options.cells, communicator),
        data_name_(fingerprint_file(data)) {}

  TableRow row(TableEntry& entry) {
    entry_ = &entry;
    notes_.clear();
    TableRow row;
    row.name = entry.name();
    row.identity = entry.identity();
    row.kind = entry.kind() == TableEntry::Kind::kModel        ? TableRow::Kind::kModel
               : entry.kind() == TableEntry::Kind::kEmbeddings ? TableRow::Kind::kEmbeddings
                                                               : TableRow::Kind::kBaseline;
    const bool vectors = entry.has_vectors();
    fill(row.unseen, TableTask::kUnseen, true, nearest_options(unseen_),
         [this] { return classified(unseen_); });
    fill(row.species, TableTask::kSpecies, true, nearest_options(species_),
         [this] { return classified(species_); });
    fill(row.linear, TableTask::kLinear, vectors, probe_options(), [this] { return probed(); });
    fill(row.clustering, TableTask::kClustering, vectors, clustering_options(true),
         [this] { return clustered(true); });
    fill(row.ward, TableTask::kWard, vectors, clustering_options(false),
         [this] { return clustered(false); });
    fill(row.cost, TableTask::kCost, entry.is_encoder(), cost_options(), [this] {
      return std::optional(
          entry_->cost(records(options_.unseen, options_.unseen_rank, "--unseen")));
    });
    fill(row.map, TableTask::kMap, vectors && entry.kind() != TableEntry::Kind::kBaseline,
         map_options(), [this] { return mapped(); });
    fill(row.finetuned, TableTask::kFinetune, entry.is_encoder(), options_.finetune_identity, [&] {
      const bool from_scratch = entry.kind() == TableEntry::Kind::kBaseline;
      return std::optional(options_.finetune(entry.reading().model(), from_scratch));
    });
    if (!entry.note().empty()) notes_.insert(notes_.begin(), entry.note());
    row.note = fmt::format("{}", fmt::join(notes_, "; "));
    show(row, entry.kind() == TableEntry::Kind::kBaseline && !entry.is_encoder());
    return row;
  }

  std::int64_t reused() const { return store_.reused(); }

 private:
  struct Question {
    TableTask task;
    std::string queries, option;
    Rank rank;
  };

  const LabelledRecords& records(const std::string& splits, Rank rank, std::string_view option) {
    return entry_->reading().labelled(splits, rank, option);
  }

  /// One cell, from the folder or computed; stays empty where the entry cannot answer.
  template <typename Cell, typename Compute>
  void fill(std::optional<Cell>& cell, TableTask task, bool able, const std::string& identity,
            const Compute& compute) {
    if (!able || options_.tasks.count(task) == 0) return;
    const FeatureOptions& features = entry_->reading().options();
    const std::string whole = fmt::format(
        "version {}\nrow {}\ndata {}\nmarker code {}\nanchor {}\n{}", BARCODEMAE_VERSION,
        entry_->identity(), data_name_, features.marker_code, anchor_identity(features), identity);
    cell = store_.get<Cell>(to_string(task), whole, compute);
  }

  static std::string anchor_identity(const FeatureOptions& features) {
    if (features.anchor == "auto" || features.anchor == "none") return features.anchor;
    return fingerprint_file(features.anchor);
  }

  std::string nearest_options(const Question& question) const {
    return fmt::format("nearest {} {} among {}", to_string(question.rank), question.queries,
                       options_.train);
  }

  std::optional<ClassificationCell> classified(const Question& question) {
    const LabelledRecords& keys = records(options_.train, question.rank, "--train");
    const LabelledRecords& queries = records(question.queries, question.rank, question.option);
    const Dataset& data = entry_->reading().data();
    const std::vector<std::string> names = label_names(data, question.rank);
    require_question({"--train " + options_.train, keys.labels},
                     {question.option + " " + question.queries, queries.labels}, question.rank,
                     names);
    if (entry_->has_vectors()) {  // embedding is a matter of all processes, and takes its own time
      if (!entry_->vectors(keys) || !entry_->vectors(queries)) return std::nullopt;
    }
    if (communicator_.rank() != 0) return ClassificationCell{};
    const auto start = Clock::now();
    const auto nearest = entry_->nearest(keys, queries);
    if (!nearest) return std::nullopt;
    const double seconds = seconds_since(start);
    std::vector<std::int32_t> predicted;
    std::vector<std::int64_t> answers;
    for (const Neighbour& one : *nearest) {
      const bool hit = one.key >= 0;
      predicted.push_back(hit ? keys.labels[static_cast<std::size_t>(one.key)] : -1);
      answers.push_back(hit ? keys.records[static_cast<std::size_t>(one.key)] : -1);
    }
    const auto classes = static_cast<std::int32_t>(names.size());
    ClassificationCell cell =
        cell_of(score_predictions(queries.labels, predicted, known_labels(keys.labels, classes)),
                keys.size());
    cell.seconds = seconds;
    cell.wrong = still_right(data, queries.records, answers, question.rank);
    return cell;
  }

  std::string probe_options() const {
    const LinearProbeOptions& probe = options_.probe;
    return fmt::format(
        "probe {} of {} trained on {} chosen on {} lr {} decay {} batch {} epochs "
        "{} patience {} seed {}",
        to_string(options_.rank), options_.test, options_.train, options_.val,
        fmt::join(options_.learning_rates, ","), probe.weight_decay, probe.batch, probe.epochs,
        probe.patience, probe.seed);
  }

  std::optional<ClassificationCell> probed() {
    const LabelledRecords& train = records(options_.train, options_.rank, "--train");
    const LabelledRecords& val = records(options_.val, options_.rank, "--val");
    const LabelledRecords& test = records(options_.test, options_.rank, "--test");
    const Dataset& data = entry_->reading().data();
    const std::vector<std::string> names = label_names(data, options_.rank);
    require_question({"--train " + options_.train, train.labels},
                     {"--test " + options_.test, test.labels}, options_.rank, names);
    require_question({"--train " + options_.train, train.labels},
                     {"--val " + options_.val, val.labels}, options_.rank, names);
    const auto train_rows = entry_->vectors(train), val_rows = entry_->vectors(val),
               test_rows = entry_->vectors(test);
    if (!train_rows || !val_rows || !test_rows) return std::nullopt;
    if (communicator_.rank() != 0) return ClassificationCell{};
    const LinearRow row =
        probed_row(entry_->name(), options_.probe, options_.learning_rates,
                   {*train_rows, train.labels}, {*val_rows, val.labels}, {*test_rows, test.labels},
                   static_cast<std::int32_t>(names.size()));
    ClassificationCell cell = cell_of(row.scores, train.size());
    cell.seconds = row.seconds;
    cell.validation_accuracy = row.validation_accuracy;
    cell.wrong = still_right(data, test.records, row.answers, train, options_.rank);
    return cell;
  }

  std::string both() const { return options_.test + "+" + options_.unseen; }

  std::string clustering_options(bool reduce) const {
    std::string text = fmt::format("cluster {} of {}", to_string(options_.cluster_rank), both());
    if (reduce) text += " " + umap_identity();
    return text;
  }

  std::string umap_identity() const {
    const UmapOptions& umap = options_.umap;
    return fmt::format("umap/{} {} {} {} {} {} {} {}", kUmapRevision, umap.components,
                       umap.neighbours, umap.min_dist, umap.spread, umap.epochs,
                       umap.negative_samples, umap.seed);
  }

  /// Whether some record of test and unseen has a label at `rank`; else what is asked of these
  /// labels stays empty, and the row's note says so.
  bool has_labels(Rank rank, std::string_view option) {
    const EvaluationData& evaluation = entry_->reading().evaluation();
    if (evaluation.has_labels(evaluation.splits(both(), "--test, --unseen"), rank)) return true;
    const std::string note = fmt::format("no {} labels ({})", to_string(rank), option);
    if (std::find(notes_.begin(), notes_.end(), note) == notes_.end()) {
      log_warn("{} has {}: what needs them stays empty", both(), note);
      notes_.push_back(note);
    }
    return false;
  }

  std::optional<ClusteringCell> clustered(bool reduce) {
    if (!has_labels(options_.cluster_rank, "--cluster-rank")) return std::nullopt;
    const LabelledRecords& all = records(both(), options_.cluster_rank, "--test, --unseen");
    const auto rows = entry_->vectors(all);
    if (!rows) return std::nullopt;
    if (communicator_.rank() != 0) return ClusteringCell{};
    ClusteringOptions clustering;
    clustering.rank = options_.cluster_rank;
    clustering.reduce = reduce;
    clustering.umap = options_.umap;
    const ClusteringResult result =
        cluster_vectors(entry_->name(), *rows, all.labels, all.splits, clustering, communicator_);
    const ClusteringRow& row = result.rows.front();
    ClusteringCell cell;
    cell.records = result.records;
    cell.labels = result.labels;
    cell.clusters = result.clusters;
    cell.ami = row.scores.adjusted_mutual_information;
    cell.ari = row.scores.adjusted_rand_index;
    cell.homogeneity = row.scores.homogeneity;
    cell.completeness = row.scores.completeness;
    cell.seconds = row.umap_seconds + row.ward_seconds;
    return cell;
  }

  std::string cost_options() const {
    return fmt::format("cost of {} on {}, {} threads", options_.unseen, machine().cpu_model,
                       thread_count());
  }

  std::string map_options() const {
    return fmt::format("map by {} of {} points of {}, {}", to_string(options_.map_rank),
                       options_.map_points, both(), umap_identity());
  }

  std::optional<MapCell> mapped() {
    if (!has_labels(options_.map_rank, "--map-rank")) return std::nullopt;
    const LabelledRecords& all = records(both(), options_.map_rank, "--test, --unseen");
    LabelledRecords sample;  // evenly over the file
    sample.splits = all.splits;
    sample.rank = all.rank;
    const std::int64_t points = std::min(all.size(), options_.map_points);
    for (std::int64_t i = 0; i < points; ++i) {
      const auto place = static_cast<std::size_t>(i * all.size() / points);
      sample.records.push_back(all.records[place]);
      sample.labels.push_back(all.labels[place]);
    }
    const auto rows = entry_->vectors(sample);
    if (!rows || points < 3) return std::nullopt;  // two points make no map
    if (communicator_.rank() != 0) return MapCell{};
    UmapOptions plane = options_.umap;
    plane.components = 2;
    log_info("Map: {}", entry_->name());
    const Matrix layout = umap(*rows, plane);
    MapCell cell;
    cell.rank = to_string(options_.map_rank);
    cell.records = all.size();
    const Dataset& data = entry_->reading().data();
    // The most frequent labels have a colour, of equally frequent ones the first by name.
    std::unordered_map<std::int32_t, std::int64_t> counts;
    for (const std::int32_t label : sample.labels) ++counts[label];
    std::vector<std::pair<std::int64_t, std::string>> order;
    order.reserve(counts.size());
    for (const auto& [label, count] : counts) {
      order.emplace_back(-count, data.label_name(options_.map_rank, label));
    }
    std::sort(order.begin(), order.end());
    std::unordered_map<std::string, std::int32_t> number;
    for (const auto& [count, name] : order) {
      if (cell.labels.size() == kMapLabels) break;
      number.emplace(name, static_cast<std::int32_t>(cell.labels.size()));
      cell.labels.push_back(name);
    }
    for (std::int64_t i = 0; i < points; ++i) {
      cell.x.push_back(layout.row(i)[0]);
      cell.y.push_back(layout.row(i)[1]);
      const auto found = number.find(
          data.label_name(options_.map_rank, sample.labels[static_cast<std::size_t>(i)]));
      cell.label.push_back(found == number.end() ? -1 : found->second);
    }
    return cell;
  }

  /// `searched`: nothing is embedded, so that the search is the cost.
  static void show(TableRow& row, bool searched) {
    if (row.unseen) row.shown.unseen = row.unseen->accuracy;
    if (row.species) row.shown.species = row.species->accuracy;
    if (row.linear) row.shown.linear = row.linear->accuracy;
    if (row.finetuned) row.shown.finetuned = row.finetuned->accuracy;
    if (row.clustering) row.shown.ami = row.clustering->ami;
    if (row.ward) row.shown.ami_without_umap = row.ward->ami;
    if (row.unseen && row.clustering) {
      row.shown.harmonic_mean = harmonic_mean(row.unseen->accuracy, row.clustering->ami);
    }
    if (row.cost) {
      row.seconds_per_barcode = row.cost->seconds;
    } else if (row.unseen && searched && row.unseen->queries > 0) {
      row.seconds_per_barcode = row.unseen->seconds / static_cast<double>(row.unseen->queries);
    }
  }

  static constexpr std::size_t kMapLabels = 5;  // a colour each, and one for all others

  const TableOptions& options_;
  Communicator& communicator_;
  CellStore store_;
  std::string data_name_;
  Question unseen_{TableTask::kUnseen, options_.unseen, "--unseen", options_.unseen_rank};
  Question species_{TableTask::kSpecies, options_.test, "--test", options_.rank};
  TableEntry* entry_ = nullptr;
  std::vector<std::string> notes_;  // of the row, beside the entry's own
};

TableRow quoted_row(const PublishedRow& published) {
  TableRow row;
  row.name = published.name;
  row.kind = TableRow::Kind::kQuoted;
  row.note = published.source;
  row.shown.unseen = published.unseen;
  row.shown.linear = published.linear;
  row.shown.finetuned = published.finetuned;
  return row;
}

/// Every row reads the data for itself, and cells are named by their content.
void require_file(const std::filesystem::path& data) {
  std::error_code ignored;
  if (std::filesystem::is_directory(data, ignored)) {
    throw UserError("{}: a directory, not a file of barcodes", data.string());
  }
  if (std::filesystem::exists(data, ignored) && !std::filesystem::is_regular_file(data, ignored)) {
    throw UserError("{}: can be read only once, and a table reads it for every row\nGive a file.",
                    data.string());
  }
}

void require_splits_apart(const TableOptions& options) {
  const auto named = [](const std::string& text, const char* option) {
    return parse_splits(text, option);
  };
  const auto train = named(options.train, "--train"), val = named(options.val, "--val"),
             test = named(options.test, "--test"), unseen = named(options.unseen, "--unseen");
  require_apart(train, test, fmt::format("--train {} --test {}", options.train, options.test),
                "what is trained on is no test");
  require_apart(train, unseen, fmt::format("--train {} --unseen {}", options.train, options.unseen),
                "each of its records would find itself");
  require_apart(train, val, fmt::format("--train {} --val {}", options.train, options.val),
                "what is trained on says nothing about stopping");
  require_apart(test, unseen, fmt::format("--test {} --unseen {}", options.test, options.unseen),
                "both are clustered together");
  if (options.development) return;
  require_apart(val, test, fmt::format("--val {} --test {}", options.val, options.test),
                "what is chosen by is no test");
}

}  // namespace

const char* to_string(TableTask task) {
  switch (task) {
    case TableTask::kUnseen:
      return "unseen";
    case TableTask::kSpecies:
      return "species";
    case TableTask::kLinear:
      return "linear";
    case TableTask::kClustering:
      return "clustering";
    case TableTask::kWard:
      return "ward";
    case TableTask::kCost:
      return "cost";
    case TableTask::kMap:
      return "map";
    case TableTask::kFinetune:
      return "finetune";
  }
  return "";
}

const std::vector<TableTask>& all_table_tasks() {
  static const std::vector<TableTask> all = {
      TableTask::kUnseen, TableTask::kSpecies, TableTask::kLinear, TableTask::kClustering,
      TableTask::kWard,   TableTask::kCost,    TableTask::kMap,    TableTask::kFinetune};
  return all;
}

const char* to_string(TableRow::Kind kind) {
  switch (kind) {
    case TableRow::Kind::kModel:
      return "model";
    case TableRow::Kind::kEmbeddings:
      return "embeddings";
    case TableRow::Kind::kBaseline:
      return "baseline";
    case TableRow::Kind::kQuoted:
      return "quoted";
  }
  return "";
}

double harmonic_mean(double a, double b) { return a + b > 0 ? 2 * a * b / (a + b) : 0.0; }

TableResult evaluate_table(const std::vector<TableSource>& sources,
                           const std::filesystem::path& data, const TableOptions& options,
                           Communicator& communicator) {
  require_splits_apart(options);
  require_file(data);
  // What cannot be read is refused before hours of work on the rest.
  for (const TableSource& source : sources) {
    if (source.model.empty()) continue;
    ModelDescription description = read_model_description(source.model);
    pool_as(options.features.pooling, description);
  }
  TableResult result;
  result.options = options;
  result.data = data.string();
  TableMaker maker(data, options, communicator);
  const auto without_model =
      std::make_shared<TableReading>("", data, options.features, communicator);
  TableEntries embeddings;
  for (const TableSource& source : sources) {
    if (source.model.empty()) embeddings.push_back(embeddings_entry(source, without_model));
  }
  TableEntries baselines = baseline_entries(options.baselines, without_model);

  std::optional<TableRow> random;
  const auto add = [&](TableEntry& entry) { result.rows.push_back(maker.row(entry)); };
  for (const TableSource& source : sources) {
    if (source.model.empty()) continue;
    const auto reading =
        std::make_shared<TableReading>(source.model, data, options.features, communicator);
    add(*encoder_entry(source.name, reading, std::nullopt));
    if (options.random_baseline && !random) {
      random = maker.row(*encoder_entry("random-initialised encoder", reading, options.umap.seed));
      random->note = "the architecture of " + source.name;
    }
  }
  for (const auto& entry : embeddings) add(*entry);
  if (random) result.rows.push_back(*std::move(random));
  for (const auto& entry : baselines) add(*entry);
  if (options.published) {
    for (const PublishedRow& published : published_rows()) {
      result.rows.push_back(quoted_row(published));
    }
  }
  result.reused = maker.reused();
  if (result.reused > 0) {
    log_info("{} finished cells were taken from {}", result.reused, options.cells.string());
  }
  return result;
}

}  // namespace barcodemae
