// SPDX-License-Identifier: MIT
// Options that the subcommands of `evaluate` share.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/atomic_file.h"
#include "cli/common_options.h"
#include "evaluation/frozen_features.h"
#include "report/report.h"

namespace CLI {
class App;
}

namespace barcodemae {

struct EvaluationOptions {
  std::string model, data, rank;
  bool no_baselines = false, no_cache = false;
  std::uint64_t seed = 1;
  std::string json, report, per_class, per_record;
  ComputeOptions compute;
  FeatureOptions features;  ///< filled in by resolve()

  /// Throws UserError when MODEL or DATA is missing; `advice` then says what else could be given.
  /// Resolves and prints what will be used. Returns the model's directory.
  std::filesystem::path resolve(Communicator& communicator, std::string_view advice);
  /// The same without MODEL: what DATA is read and embedded with.
  void resolve_features(Communicator& communicator);
  /// --rank as a rank. Throws UserError for another word.
  Rank checked_rank() const;

  /// Refuses, before the work, files of results that could not be written.
  void require_writable_results(const Communicator& communicator) const;
  /// Rank 0 prints the text and writes what --json (with the object `made_by`) and --report ask
  /// for; the same JSON to `also`, unless it is empty.
  void write_results(const Communicator& communicator, const std::string& text,
                     const nlohmann::ordered_json& results,
                     const std::function<Report()>& make_report,
                     const std::string& also = {}) const;
  /// Rank 0 writes what --per-class and --per-record ask for, of a result with such tables.
  template <typename Result>
  void write_tables(const Communicator& communicator, const Result& result) const {
    if (communicator.rank() != 0) return;
    if constexpr (requires { result.class_table(); }) {
      if (!per_class.empty()) write_file_atomically(per_class, result.class_table());
    }
    if (!per_record.empty()) write_file_atomically(per_record, result.record_table());
  }

 private:
  /// The results and, as `made_by`, what they follow from beside the options that they name.
  nlohmann::ordered_json with_origin(nlohmann::ordered_json results) const;
};

/// A rank given by `option`. Throws UserError, naming it, for another word.
Rank parse_rank_option(std::string_view option, const std::string& text);

/// MODEL and DATA; they come first in --help.
void add_model_and_data(CLI::App& command, EvaluationOptions& options);
/// Throws UserError when an option is given that says how barcodes become vectors, where vectors
/// are given.
void refuse_reading_options(const CLI::App& command);
/// --no-cache.
void add_cache_option(CLI::App& command, EvaluationOptions& options);
/// --per-class.
void add_per_class_option(CLI::App& command, EvaluationOptions& options);
/// --per-record; `what`: is written of each, "query: its label and …".
void add_per_record_option(CLI::App& command, EvaluationOptions& options, const std::string& what);
/// --anchor … --device and the common options; they come last.
void add_result_options(CLI::App& command, EvaluationOptions& options);
/// The same, after --no-baselines, --pooling and --no-cache: for tables of frozen features.
void add_evaluation_options(CLI::App& command, EvaluationOptions& options);

}  // namespace barcodemae
