// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "analysis/whitening.h"
#include "base/atomic_file.h"
#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/common_options.h"
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
  WhiteningOptions whitening;
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
  const int width = description.config.embedding_width();
  if (width > kMostWhitenedColumns) {
    throw UserError(
        "--pooling {}: vectors of {} numbers; up to {} can be whitened\nChoose fewer segments.",
        to_string(description.config.pooling), format_count(width),
        format_count(kMostWhitenedColumns));
  }
  if (options.whitening.components > width) {
    throw UserError("--components {}: vectors pooled by {} have {} numbers\nAsk for fewer.",
                    options.whitening.components, to_string(description.config.pooling), width);
  }
  return description;
}

/// The records to fit to, in file order.
std::vector<std::int64_t> choose_records(const EvaluationData& evaluation,
                                         const WhitenCommandOptions& options) {
  std::vector<std::int64_t> records =
      evaluation.with_tokens(evaluation.splits(options.splits, "--splits"));
  if (static_cast<std::int64_t>(records.size()) > options.records) {
    records = epoch_order(records, options.seed, 0);
    records.resize(static_cast<std::size_t>(options.records));
    std::sort(records.begin(), records.end());
  }
  const auto count = static_cast<std::int64_t>(records.size());
  const int least = std::max(1, options.whitening.components) + 1;
  if (count < least) {
    throw UserError(
        "{} of split {}: {} records are needed for {} components, one more than those\n"
        "Give more with --splits and --records, or a smaller --components.",
        count == 1 ? "1 record" : fmt::format("{} records", count), options.splits, least,
        least - 1);
  }
  return records;
}

void run(const WhitenCommandOptions& options) {
  const fs::path directory = find_model(options.model);
  std::error_code ignored;
  if (fs::exists(options.out, ignored)) {
    throw UserError("--out {}: it is there already\nGive the name of a new folder.", options.out);
  }
  SingleProcess alone;
  ModelDescription description = pooled_model(directory, options);
  const std::string pooling = to_string(description.config.pooling);
  const DType precision = options.compute.resolved(alone);
  print_compute_choice(options.compute, precision);

  FeatureOptions features;
  features.marker_code = options.marker_code;
  features.pooling = pooling;
  EvaluationData evaluation(directory, options.data, features, alone);
  const std::vector<std::int64_t> records = choose_records(evaluation, options);
  const Matrix vectors =
      Embedder::load(directory,
                     {.precision = precision, .device = options.compute.device, .pooling = pooling})
          .embed(evaluation.data(), records, fmt::format("embedding split {}", options.splits));
  log_info("Fitting: principal components of {} vectors of {} numbers", format_count(vectors.rows),
           format_count(vectors.cols));
  const Whitening whitening = fit_whitening(vectors, options.whitening);

  description.readout = std::make_shared<const Readout>(whitening.map);
  description.training["readout"] = nlohmann::ordered_json{
      {"data_fingerprint", evaluation.data().fingerprint()},
      {"splits", options.splits},
      {"records", vectors.rows},
      {"seed", options.seed},
      {"shrinkage", options.whitening.shrinkage},
      {"effective_rank_before", whitening.rank_before},
      {"effective_rank_after",
       whitening.rank_after}}.dump();
  write_directory_atomically(
      options.out, [&](const fs::path& folder) { copy_model(folder, directory, description); });
  log_info(
      "{}: pooled by {}, whitened from {} to {} numbers; effective rank {:.1f} before, {:.1f} "
      "after",
      options.out, pooling, format_count(vectors.cols), format_count(whitening.map.dimensions()),
      whitening.rank_before, whitening.rank_after);
}

}  // namespace

void add_whiten_command(CLI::App& application) {
  CLI::App& command = *application.add_subcommand(
      "whiten",
      "Fit a readout: pooled vectors centred and whitened, stored with a copy of a model");
  auto options = std::make_shared<WhitenCommandOptions>();
  WhiteningOptions& whitening = options->whitening;
  command.add_option("MODEL", options->model, "Model folder, or the name of a known model")
      ->required();
  command
      .add_option("DATA", options->data,
                  "Barcodes with a split column (CSV or TSV); labels are not looked at")
      ->required();
  command.add_option("--out", options->out, "Folder to make")->required()->type_name("DIR");
  command.add_option("--splits", options->splits, "Split(s) to fit to, joined with +")
      ->capture_default_str();
  whole(command.add_option("--records", options->records,
                           "Records to fit to, at most: a sample by --seed"),
        2, 10'000'000)
      ->capture_default_str();
  whole(command.add_option("--components", whitening.components,
                           "Leading principal components that are kept; default: all that matter "
                           "(variance above 1e-6 of the largest), at most 512"),
        1, kMostWhitenedColumns);
  within(command.add_option("--shrinkage", whitening.shrinkage,
                            "X: components are divided by the root of their variance + X times "
                            "the mean variance; 0 whitens exactly"),
         0, 1000)
      ->capture_default_str();
  add_pooling_option(command, options->pooling);
  add_marker_code_option(command, options->marker_code);
  whole(command.add_option("--seed", options->seed, "Of the sample"), 0)->capture_default_str();
  add_compute_options(command, options->compute);
  add_common_options(command);
  command.footer(
      "DIR holds the encoder as it is in MODEL, without its decoder, and readout.safetensors.\n"
      "From then on embed and evaluate give whitened vectors; --pooling, given there, means that\n"
      "pooling and no readout: --pooling mean is the paper's embedding.\n"
      "Examples:\n"
      "  barcodemae whiten coi-small barcodes.csv.zst --out models/coi-white\n"
      "  barcodemae whiten runs/small barcodes.csv --pooling segments:8 --components 256 --out w\n"
      "  barcodemae evaluate knn w barcodes.csv --queries val_unseen");
  command.callback([options] { run(*options); });
}

}  // namespace barcodemae
