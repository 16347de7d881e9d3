// SPDX-License-Identifier: MIT
// Options that every command has, and the checks of values that several commands share.
#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>

#include "tensor/view.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace barcodemae {

class Communicator;

/// --anchor of a finished model.
void add_anchor_option(CLI::App& command, std::string& anchor);
/// --pooling of commands that embed with a finished model; "model" without it.
void add_pooling_option(CLI::App& command, std::string& pooling);
/// --marker-code of commands that read with a finished model.
void add_marker_code_option(CLI::App& command, std::string& marker_code);

/// --threads, --quiet, --verbose, --config, added to every subcommand; applied before it runs.
void add_common_options(CLI::App& command);

/// --precision f32|bf16|int8|auto and --device cpu|cuda|cuda:N|reference, for commands that run a
/// model.
struct ComputeOptions {
  std::string precision = "auto";
  std::string device = "cpu";

  /// The same in all processes of the job: for auto, what is faster for rank 0. Throws UserError
  /// for what the machine or the device cannot do.
  DType resolved(Communicator& communicator) const;
};
void add_compute_options(CLI::App& command, ComputeOptions& options);
/// "auto" as the training in `out` has taken it, where one has begun: it goes on with what was the
/// faster then. Collective.
std::string precision_of_run(const std::filesystem::path& out, const std::string& asked,
                             Communicator& communicator);
/// --device alone.
CLI::Option* add_device_option(CLI::App& command, std::string& device);
/// Throws UserError when the device does not compute in `precision`.
void require_precision(DType precision, const std::string& device);

/// Validators with messages that say what is allowed: low ≤ value ≤ high.
CLI::Option* within(CLI::Option* option, double low, double high);
CLI::Option* whole(CLI::Option* option, std::int64_t low,
                   std::int64_t high = std::numeric_limits<std::int64_t>::max());
/// Several values in one word: 0.003,0.01. The word after it is not taken for another.
CLI::Option* by_commas(CLI::Option* option);

/// Throws UserError when one of the options is given, which means nothing for the reason `why`.
void refuse_idle(const CLI::App& command, std::initializer_list<const char*> options,
                 std::string_view why);

/// Prints once what was chosen: device, SIMD level, precision, threads.
void print_compute_choice(const ComputeOptions& options, DType resolved);

}  // namespace barcodemae
