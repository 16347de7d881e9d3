// SPDX-License-Identifier: MIT
#include "cli/evaluation_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "barcodemae_version.h"
#include "base/atomic_file.h"
#include "base/error.h"
#include "base/fingerprint.h"
#include "base/machine.h"
#include "formats/json.h"
#include "formats/model_directory.h"

namespace barcodemae {

std::filesystem::path EvaluationOptions::resolve(Communicator& communicator,
                                                 std::string_view advice) {
  if (model.empty() || data.empty()) throw UserError("{}", advice);
  resolve_features(communicator);
  return find_model(model);
}

void EvaluationOptions::resolve_features(Communicator& communicator) {
  features.precision = compute.resolved(communicator);
  features.device = compute.device;
  if (!no_cache) features.cache = EmbeddingCache::default_folder();
  print_compute_choice(compute, features.precision);
}

Rank EvaluationOptions::checked_rank() const { return parse_rank_option("--rank", rank); }

Rank parse_rank_option(std::string_view option, const std::string& text) {
  const std::optional<Rank> known = parse_rank(text);
  if (!known) {
    throw UserError(
        "{} {}: no such rank\nChoose kingdom, phylum, class, order, family, subfamily, "
        "genus, species or dna_bin.",
        option, text);
  }
  return *known;
}

void EvaluationOptions::require_writable_results(const Communicator& communicator) const {
  if (communicator.rank() != 0) return;
  const std::array<std::string, 4> files{json, report, per_class, per_record};
  for (const std::string& file : files) {
    require_writable(file);
    refuse_to_overwrite(data, file);
    if (!file.empty() && std::count(files.begin(), files.end(), file) > 1) {
      throw UserError("{}: two results would be written to it\nGive them different names.", file);
    }
  }
}

void EvaluationOptions::write_results(const Communicator& communicator, const std::string& text,
                                      const nlohmann::ordered_json& results,
                                      const std::function<Report()>& make_report,
                                      const std::string& also) const {
  if (communicator.rank() != 0) return;
  if (json != "-") std::fputs(text.c_str(), stdout);
  if (!json.empty() || !also.empty()) {
    const std::string document = json_document(with_origin(results));
    if (!also.empty()) write_file_atomically(also, document);
    if (!json.empty()) write_file_atomically(json, document);
  }
  if (!report.empty()) make_report().write(report);
}

nlohmann::ordered_json EvaluationOptions::with_origin(nlohmann::ordered_json results) const {
  nlohmann::ordered_json& origin = results["made_by"];
  origin["version"] = BARCODEMAE_VERSION;
  origin["seed"] = seed;
  if (!model.empty()) {
    origin["model"] = model;
    origin["model_fingerprint"] = model_fingerprint(find_model(model));
  }
  if (!data.empty()) {
    origin["data"] = data;
    origin["data_fingerprint"] = fingerprint_file(data);
    origin["pooling"] = features.pooling;
    origin["anchor"] = features.anchor;
    origin["precision"] = to_string(features.precision);
    origin["device"] = features.device;
    origin["simd"] = to_string(machine().simd);
  }
  return results;
}

void add_model_and_data(CLI::App& command, EvaluationOptions& options) {
  command.add_option("MODEL", options.model, "Model folder, or the name of a shipped model");
  command.add_option("DATA", options.data, "Barcodes with a split column (CSV or TSV)");
}

void add_cache_option(CLI::App& command, EvaluationOptions& options) {
  command.add_flag("--no-cache", options.no_cache,
                   "Neither read nor write embeddings in $BARCODEMAE_CACHE (~/.cache/barcodemae)");
}

void add_evaluation_options(CLI::App& command, EvaluationOptions& options) {
  command.add_flag("--no-baselines", options.no_baselines, "Only the model's rows");
  add_pooling_option(command, options.features.pooling);
  add_cache_option(command, options);
  add_result_options(command, options);
}

void refuse_reading_options(const CLI::App& command) {
  refuse_idle(command,
              {"--pooling", "--anchor", "--marker-code", "--precision", "--device", "--no-cache"},
              "files of embeddings hold vectors, and no barcodes");
}

void add_per_class_option(CLI::App& command, EvaluationOptions& options) {
  command.add_option("--per-class", options.per_class,
                     "Write support, precision, recall and F1 of every class to this CSV");
}

void add_per_record_option(CLI::App& command, EvaluationOptions& options, const std::string& what) {
  command.add_option("--per-record", options.per_record, "Write to this CSV, of every " + what);
}

void add_result_options(CLI::App& command, EvaluationOptions& options) {
  add_anchor_option(command, options.features.anchor);
  add_marker_code_option(command, options.features.marker_code);
  whole(command.add_option("--seed", options.seed, "Of everything random"), 0)
      ->capture_default_str();
  command.add_option("--json", options.json,
                     "Write the table to this file as JSON; - for standard output, alone");
  command.add_option("--report", options.report, "Write the table and a chart as HTML");
  add_compute_options(command, options.compute);
  add_common_options(command);
}

}  // namespace barcodemae
