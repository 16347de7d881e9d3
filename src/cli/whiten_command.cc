// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "analysis/group_readout.h"
#include "analysis/neighbourhood_components.h"
#include "analysis/readout_ensemble.h"
#include "analysis/whitening.h"
#include "base/atomic_file.h"
#include "base/error.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/common_options.h"
#include "cli/evaluation_options.h"
#include "communication/single_process.h"
#include "data/sampling.h"
#include "evaluation/frozen_features.h"
#include "formats/model_directory.h"
#include "inference/embedder.h"

namespace barcodemae {
namespace {

namespace fs = std::filesystem;

struct WhitenCommandOptions {
  std::string model, data, out, splits = "train";
  std::string pooling = "model", marker_code = ReaderOptions().marker_code;
  std::int64_t records = 50'000;
  std::uint64_t seed = 1;
  int components = 0;
  std::optional<double> shrinkage;
  std::string within;  // a rank; empty: whitening
  int refine = 0;      // steps
  int hidden_units = 0;
  int ensemble = 1, dimensions = 0;
  double hidden_sites = NeighbourhoodOptions().hidden_sites;
  ComputeOptions compute;
};

/// The model before its readout, pooled as asked for.
ModelDescription pooled_model(const fs::path& directory, const WhitenCommandOptions& options) {
  ModelDescription description = read_model_description(directory);
  if (description.readout) {
    log_info("The readout that {} has is replaced", directory.string());
    description.readout = nullptr;
  }
  pool_as(options.pooling, description);
  const int width = description.pooled_width();
  if (width > kMostWhitenedColumns) {
    throw UserError(
        "--pooling {}: vectors of {} numbers; up to {} can be used\n"
        "Leave +sites out, or choose fewer segments.",
        to_string(description.config.pooling), format_count(width),
        format_count(kMostWhitenedColumns));
  }
  if (options.components > width) {
    throw UserError("--components {}: vectors pooled by {} have {} numbers\nAsk for fewer.",
                    options.components, to_string(description.config.pooling), width);
  }
  return description;
}

/// Of --within; nothing without it.
std::optional<Rank> grouping_rank(const WhitenCommandOptions& options) {
  if (options.within.empty()) return std::nullopt;
  const Rank rank = parse_rank_option("--within", options.within);
  if (rank >= Rank::kSpecies) {
    throw UserError("--within {}: a rank above species is expected, such as genus", options.within);
  }
  return rank;
}

/// Refuses options of refining that mean nothing here.
void refuse_idle_options(const CLI::App& command, const WhitenCommandOptions& options,
                         const Pooling& pooling) {
  if (options.refine == 0) {
    refuse_idle(command, {"--hidden-units", "--ensemble", "--dimensions", "--hide-sites"},
                "there are no --refine steps");
  }
  if (!pooling.sites) refuse_idle(command, {"--hide-sites"}, "the pooling has no +sites");
}

/// Refuses an ensemble that is too large, and --dimensions that it does not have.
void check_ensemble(const WhitenCommandOptions& options, int components) {
  const std::int64_t beside = std::int64_t{options.ensemble} * components;
  if (beside > kMostWhitenedColumns) {
    throw UserError(
        "--ensemble {}: as many readouts of {} components have {} numbers; up to {} can be used\n"
        "Ask for fewer readouts, or fewer --components.",
        options.ensemble, components, format_count(beside), format_count(kMostWhitenedColumns));
  }
  if (std::int64_t{options.ensemble} * options.hidden_units > kMostHiddenUnits) {
    throw UserError("--ensemble {}: of {} hidden units each, {} together at most\nAsk for fewer.",
                    options.ensemble, options.hidden_units, format_count(kMostHiddenUnits));
  }
  if (options.dimensions > beside) {
    throw UserError("--dimensions {}: {} readouts of {} components have {}\nAsk for fewer.",
                    options.dimensions, options.ensemble, components, beside);
  }
}

/// The records to fit to, in file order.
std::vector<std::int64_t> choose_records(const EvaluationData& evaluation,
                                         const WhitenCommandOptions& options,
                                         const std::optional<Rank>& rank) {
  const std::vector<std::string> splits = evaluation.splits(options.splits, "--splits");
  std::vector<std::int64_t> records = rank ? evaluation.labelled(splits, *rank, "--splits").records
                                           : evaluation.with_tokens(splits);
  if (static_cast<std::int64_t>(records.size()) > options.records) {
    records = epoch_order(records, options.seed, 0);
    records.resize(static_cast<std::size_t>(options.records));
    std::sort(records.begin(), records.end());
  }
  const auto count = static_cast<std::int64_t>(records.size());
  const int least = std::max(1, options.components) + 1;
  if (count < least) {
    throw UserError(
        "{} of split {}: {} records are needed for {} components, one more than those\n"
        "Give more with --splits and --records, or a smaller --components.",
        count == 1 ? "1 record" : fmt::format("{} records", count), options.splits, least,
        least - 1);
  }
  return records;
}

/// Species (a record without one is by itself) and groups of some rank, by record.
struct Labels {
  std::vector<std::int32_t> classes, groups;
};

Labels labels_of(const std::vector<std::int64_t>& records, const Dataset& data, Rank rank) {
  Labels labels;
  std::int32_t alone = data.label_count(Rank::kSpecies);
  for (const std::int64_t record : records) {
    const std::int32_t species = data.label(record, Rank::kSpecies);
    labels.classes.push_back(species >= 0 ? species : alone++);
    labels.groups.push_back(data.label(record, rank));
  }
  return labels;
}

/// Bytes that refining takes beside the vectors, and then putting readouts of `components`
/// together.
double refining_bytes(const WhitenCommandOptions& options, double width, double components) {
  const NeighbourhoodOptions refining;
  const double units = options.hidden_units, members = options.ensemble;
  const double weights = components * width + units * (width + components);
  const double batch = refining.groups * refining.members;
  // Weights, their gradient and two moments; the rows of a batch, what becomes of them, their
  // cosines.
  const double learning =
      4 * weights + batch * (width + 3 * components + 2 * units + 3 * batch) + members * weights;
  const double beside = members * components;
  const double together = kMostEnsembleRows * (width + components + beside) + members * weights;
  const double floats = std::max(learning, together) * sizeof(float);
  return floats + (members > 1 ? 3 * beside * beside * sizeof(double) : 0);
}

/// Says what memory the fit takes, and refuses what does not fit. `labels` is null without;
/// `components` of the readout.
void check_memory(std::int64_t records, double width, const Labels* labels,
                  const WhitenCommandOptions& options, int components) {
  const double vectors = static_cast<double>(records) * width * sizeof(float);
  std::set<std::int32_t> classes;
  if (labels) classes.insert(labels->classes.begin(), labels->classes.end());
  const auto class_count = static_cast<std::int64_t>(classes.size());
  // Sums in double precision, means and deviations of classes.
  const double means = static_cast<double>(class_count) * width * 2 * sizeof(double);
  const double fitting = means + 4 * width * width * sizeof(double);
  const double refining = options.refine > 0 ? refining_bytes(options, width, components) : 0;
  const double needed = vectors + std::max(fitting, refining);
  const std::string account =
      fmt::format("{} for {} vectors of {} numbers{}", format_bytes(needed), format_count(records),
                  width, labels ? fmt::format(" of {} classes", format_count(class_count)) : "");
  require_memory("Fitting", account, needed, static_cast<double>(available_memory_bytes()),
                 "Take fewer --records, a --pooling of fewer numbers, or a smaller --ensemble.");
}

/// A readout and what is to be known of it.
struct Fitted {
  std::shared_ptr<const Readout> readout;
  nlohmann::ordered_json facts;
  std::string text;
};

Fitted whitened(const Matrix& vectors, const WhitenCommandOptions& options) {
  WhiteningOptions whitening;
  whitening.components = options.components;
  if (options.shrinkage) whitening.shrinkage = *options.shrinkage;
  log_info("Fitting: principal components of {} vectors of {} numbers", format_count(vectors.rows),
           format_count(vectors.cols));
  const Whitening fitted = fit_whitening(vectors, whitening);
  return {std::make_shared<const Readout>(fitted.map),
          {{"shrinkage", whitening.shrinkage},
           {"effective_rank_before", fitted.rank_before},
           {"effective_rank_after", fitted.rank_after}},
          fmt::format("effective rank {:.1f} before, {:.1f} after", fitted.rank_before,
                      fitted.rank_after)};
}

Fitted discriminating(const Matrix& vectors, const Labels& labels,
                      const ModelDescription& description, const WhitenCommandOptions& options) {
  GroupReadoutOptions fit;
  fit.components = options.components;
  if (options.shrinkage) fit.shrinkage = *options.shrinkage;
  const std::int64_t states = description.config.embedding_width();
  fit.kinds = {states};
  if (description.config.pooling.sites) fit.kinds.push_back(vectors.cols - states);
  log_info(
      "Fitting: what tells {} labels apart, not what differs within them, in {} vectors of {} "
      "numbers",
      options.within, format_count(vectors.rows), format_count(vectors.cols));
  const GroupReadout fitted = fit_group_readout(vectors, labels.classes, labels.groups, fit);
  Fitted result{
      std::make_shared<const Readout>(fitted.map),
      {{"within", options.within},
       {"shrinkage", fit.shrinkage},
       {"classes", fitted.classes},
       {"groups", fitted.groups},
       {"effective_rank_of_class_means", fitted.rank}},
      fmt::format("fitted to {} classes within {} groups; effective rank of class means {:.1f}",
                  format_count(fitted.classes), format_count(fitted.groups), fitted.rank)};
  if (options.refine == 0) return result;
  NeighbourhoodOptions refining;
  refining.steps = options.refine;
  refining.hidden_units = options.hidden_units;
  refining.hidden_sites = options.hidden_sites;
  refining.kinds = fit.kinds;
  if (description.config.pooling.sites) refining.first_site = states;
  const int dimensions = options.dimensions > 0 ? options.dimensions : fitted.map.dimensions();
  std::vector<Readout> members;
  for (int i = 0; i < options.ensemble; ++i) {
    if (options.ensemble > 1) log_info("Refining: {} of {}", i + 1, options.ensemble);
    refining.seed = options.seed + static_cast<std::uint64_t>(i);
    members.push_back(
        refine_by_neighbours(fitted.map, vectors, labels.classes, labels.groups, refining));
  }
  result.readout =
      std::make_shared<const Readout>(members.size() == 1 && dimensions == fitted.map.dimensions()
                                          ? members.front()
                                          : combine_readouts(members, vectors, dimensions));
  result.facts["refining_steps"] = refining.steps;
  result.facts["hidden_units"] = refining.hidden_units;
  result.facts["ensemble"] = options.ensemble;
  if (refining.first_site >= 0) result.facts["hidden_sites"] = refining.hidden_sites;
  result.facts["temperature"] = refining.temperature;
  return result;
}

void run(const CLI::App& command, const WhitenCommandOptions& options) {
  const fs::path directory = find_model(options.model);
  const std::optional<Rank> rank = grouping_rank(options);
  std::error_code ignored;
  if (fs::exists(options.out, ignored)) {
    throw UserError("--out {}: it is there already\nGive the name of a new folder.", options.out);
  }
  require_writable_folder(options.out);
  if (options.components > 0) check_ensemble(options, options.components);
  SingleProcess alone;
  ModelDescription description = pooled_model(directory, options);
  refuse_idle_options(command, options, description.config.pooling);
  const std::string pooling = to_string(description.config.pooling);
  const DType precision = options.compute.resolved(alone);
  print_compute_choice(options.compute, precision);

  FeatureOptions features;
  features.marker_code = options.marker_code;
  features.pooling = pooling;
  EvaluationData evaluation(directory, options.data, features, alone);
  const std::vector<std::int64_t> records = choose_records(evaluation, options, rank);
  std::optional<Labels> labels;
  int components = options.components;
  if (rank) {
    labels = labels_of(records, evaluation.data(), *rank);
    components = group_readout_components(labels->classes, labels->groups,
                                          description.pooled_width(), components);
    if (options.refine > 0) require_neighbours(labels->classes, labels->groups);
    check_ensemble(options, components);
  }
  check_memory(static_cast<std::int64_t>(records.size()), description.pooled_width(),
               labels ? &*labels : nullptr, options, components);
  const Matrix vectors =
      Embedder::load(directory,
                     {.precision = precision, .device = options.compute.device, .pooling = pooling})
          .embed(evaluation.data(), records, fmt::format("embedding split {}", options.splits));
  const Fitted fitted =
      labels ? discriminating(vectors, *labels, description, options) : whitened(vectors, options);
  description.readout = fitted.readout;
  nlohmann::ordered_json facts = {{"data_fingerprint", evaluation.data().fingerprint()},
                                  {"splits", options.splits},
                                  {"records", vectors.rows},
                                  {"seed", options.seed}};
  facts.update(fitted.facts);
  description.training["readout"] = facts.dump();
  write_directory_atomically(
      options.out, [&](const fs::path& folder) { copy_model(folder, directory, description); });
  log_info("{}: pooled by {}, from {} to {} numbers; {}", options.out, pooling,
           format_count(vectors.cols), format_count(fitted.readout->dimensions()), fitted.text);
}

}  // namespace

void add_whiten_command(CLI::App& application) {
  CLI::App& command = *application.add_subcommand(
      "whiten",
      "Fit a readout: pooled vectors centred and whitened, stored with a copy of a model");
  auto options = std::make_shared<WhitenCommandOptions>();
  command.add_option("MODEL", options->model, "Model folder, or the name of a shipped model")
      ->required();
  command
      .add_option("DATA", options->data,
                  "Barcodes with a split column (CSV or TSV); labels are looked at with --within")
      ->required();
  command.add_option("--out", options->out, "Folder to make")->required()->type_name("DIR");
  command.add_option("--splits", options->splits, "Split(s) to fit to, joined with +")
      ->capture_default_str();
  whole(command.add_option("--records", options->records,
                           "Records to fit to, at most: a sample by --seed"),
        2, 10'000'000)
      ->capture_default_str();
  command
      .add_option("--within", options->within,
                  "Use labels: directions in which the species of one group of this rank (such "
                  "as genus) differ count less; default: whitening, without labels")
      ->type_name("RANK");
  whole(command.add_option("--components", options->components,
                           "Leading directions that are kept; default: all that matter "
                           "(variance above 1e-6 of the largest), at most 512"),
        1, kMostWhitenedColumns);
  whole(command.add_option("--refine", options->refine,
                           "With --within, then this many steps of neighbourhood components "
                           "analysis: the nearest barcode of another species is to be of the same "
                           "group; 400 are worth their minutes"),
        0, 1'000'000)
      ->needs("--within")
      ->capture_default_str();
  whole(command.add_option("--hidden-units", options->hidden_units,
                           "With --refine, of a hidden layer learned beside the readout's matrix; "
                           "it wants more steps and many records: 1024 and 1200 steps "
                           "with half a million"),
        0, 65'536)
      ->needs("--refine")
      ->capture_default_str();
  whole(command.add_option("--ensemble", options->ensemble,
                           "With --refine, so many times from other random numbers, each taking as "
                           "long; cosines are those of all together"),
        1, 64)
      ->needs("--refine")
      ->capture_default_str();
  whole(command.add_option("--dimensions", options->dimensions,
                           "With --refine, numbers of the result, the directions in which it is "
                           "largest; default: as --components"),
        1, kMostWhitenedColumns)
      ->needs("--refine");
  within(command.add_option("--hide-sites", options->hidden_sites,
                            "With --refine and +sites, share of a barcode's sites that are hidden "
                            "in each step, on average"),
         0, 0.5)
      ->needs("--refine")
      ->capture_default_str();
  within(command.add_option("--shrinkage", options->shrinkage,
                            "X: directions are divided by the root of their variance (--within: "
                            "that within groups) + X times the mean variance; default: 0.01, with "
                            "--within 1"),
         0, 1000);
  add_pooling_option(command, options->pooling);
  add_marker_code_option(command, options->marker_code);
  whole(command.add_option("--seed", options->seed, "Of the sample, and of refining"), 0)
      ->capture_default_str();
  add_compute_options(command, options->compute);
  add_common_options(command);
  command.footer(
      "DIR holds the encoder as it is in MODEL, without its decoder, and readout.safetensors.\n"
      "From then on embed and evaluate give whitened vectors; --pooling, given there, means that\n"
      "pooling and no readout: --pooling mean is the paper's embedding.\n"
      "Examples:\n"
      "  barcodemae whiten coi-small barcodes.csv.zst --out models/coi-white\n"
      "  barcodemae whiten runs/small barcodes.csv --pooling segments:8 --components 256 --out w\n"
      "  barcodemae whiten runs/small barcodes.csv --pooling mean+sites --within genus --out g\n"
      "  barcodemae whiten runs/small barcodes.csv --pooling mean+sites --within genus \\\n"
      "    --records 500000 --components 1024 --refine 1200 --hidden-units 1024 \\\n"
      "    --hide-sites 0.25 --ensemble 3 --dimensions 512 --out h\n"
      "  barcodemae evaluate knn w barcodes.csv --queries val_unseen");
  command.callback([options, &command] { run(command, *options); });
}

}  // namespace barcodemae
