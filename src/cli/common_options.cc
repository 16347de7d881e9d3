// SPDX-License-Identifier: MIT
#include "cli/common_options.h"

#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "backend/backends.h"
#include "base/error.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/progress.h"
#include "base/threads.h"
#include "communication/collectives.h"
#include "nn/config.h"
#include "train/run_directory.h"

namespace barcodemae {

namespace {

struct CommonOptions {
  int threads = 0;
  std::string config;
  bool quiet = false, verbose = false;
};

template <typename Number>
CLI::Option* check_range(CLI::Option* option, Number low, Number high, const std::string& allowed) {
  return option->check(CLI::Validator(
      [=](std::string& text) -> std::string {
        Number value{};
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        const bool good = error == std::errc{} && end == text.data() + text.size() &&
                          value >= low && value <= high;  // neither of which NaN is
        return good ? "" : fmt::format("'{}' is no value for it: {} is expected", text, allowed);
      },
      allowed));
}

}  // namespace

CLI::Option* within(CLI::Option* option, double low, double high) {
  return check_range(option, low, high, fmt::format("a number from {} to {}", low, high));
}

CLI::Option* whole(CLI::Option* option, std::int64_t low, std::int64_t high) {
  const bool open = high == std::numeric_limits<std::int64_t>::max();
  return check_range(option, low, high,
                     open ? fmt::format("a whole number from {}", low)
                          : fmt::format("a whole number from {} to {}", low, high));
}

CLI::Option* by_commas(CLI::Option* option) {
  return option->delimiter(',')->allow_extra_args(false);
}

void add_common_options(CLI::App& command) {
  auto options = std::make_shared<CommonOptions>();
  whole(command
            .add_option("--threads", options->threads,
                        "Threads to use; default: the cores this process may use")
            ->group("Common"),
        1, 4096);
  command.add_flag("--quiet", options->quiet, "Print warnings and errors only")->group("Common");
  command.add_flag("--verbose", options->verbose, "Print details")
      ->group("Common")
      ->excludes("--quiet");
  // Shown here, carried out before parsing: see config_file.h.
  command
      .add_option("--config", options->config,
                  "Read options from a file (lines name = value); the command line wins")
      ->type_name("FILE")
      ->group("Common");
  command.parse_complete_callback([options] {
    if (options->threads > 0) set_thread_count(options->threads);
    if (options->quiet) set_verbosity(Verbosity::kQuiet);
    if (options->verbose) set_verbosity(Verbosity::kVerbose);
  });
}

void add_anchor_option(CLI::App& command, std::string& anchor) {
  command
      .add_option("--anchor", anchor,
                  "Marker coordinates: auto (as the model was trained), none, or a profile from a "
                  "file")
      ->type_name("auto|none|FILE")
      ->capture_default_str();
}

void add_pooling_option(CLI::App& command, std::string& pooling) {
  command
      .add_option("--pooling", pooling,
                  "What a vector is: the mean over tokens, the state of [CLS], both, or means over "
                  "N equal ranges of places, side by side; +sites: and after it, what the barcode "
                  "has at each site of the marker, less what is usual there. Without a stored "
                  "readout; model: as it was pretrained, and through the readout it may have")
      ->type_name("model|mean|cls|both|segments:N[+sites]")
      ->check(CLI::Validator(
          [](std::string& text) -> std::string {
            if (text == "model" || parse_pooling(text)) return "";
            return fmt::format("'{}' is no value for it: one of model, {} is expected", text,
                               kPoolingNames);
          },
          ""))
      ->capture_default_str();
}

void add_marker_code_option(CLI::App& command, std::string& marker_code) {
  command
      .add_option("--marker-code", marker_code,
                  "Only records of this marker_code, where the file has that column; empty: all")
      ->capture_default_str();
}

void add_compute_options(CLI::App& command, ComputeOptions& options) {
  command
      .add_option("--precision", options.precision,
                  "f32, bf16, int8 (weight products only; loses a little), or auto: the faster of "
                  "f32 and bf16 on this device")
      ->check(CLI::IsMember({"auto", "f32", "bf16", "int8"}))
      ->capture_default_str()
      ->group("Compute");
  add_device_option(command, options.device)->group("Compute");
}

CLI::Option* add_device_option(CLI::App& command, std::string& device) {
  return command
      .add_option(
          "--device", device,
          "cpu; cuda or cuda:N, a GPU (where several processes share a machine, cuda is one "
          "for each); or reference (slow plain loops, the oracle of the tests)")
      ->type_name("cpu|cuda|cuda:N|reference")
      ->check(CLI::Validator(
          [](std::string& text) -> std::string {
            if (parse_device(text)) return "";
            return fmt::format("'{}' is no value for it: {} is expected", text, kDeviceNames);
          },
          ""))
      ->capture_default_str();
}

namespace {

DeviceName::Kind kind_of(const std::string& device) { return parse_device(device).value().kind; }

DType resolved_here(const std::string& precision, const std::string& device) {
  if (precision == "auto") {
    switch (kind_of(device)) {
      case DeviceName::Kind::kCpu:
        return preferred_cpu_precision();
      case DeviceName::Kind::kCuda:
        return DType::kBFloat16;
      case DeviceName::Kind::kReference:
        return DType::kFloat32;
    }
  }
  return precision_named(precision);
}

}  // namespace

void require_precision(DType precision, const std::string& device) {
  const DeviceName::Kind kind = kind_of(device);
  if (kind == DeviceName::Kind::kCpu) cpu::require_precision(precision);
  if (has_precision(kind, precision)) return;
  std::vector<const char*> names;
  for (const DType known : {DType::kFloat32, DType::kBFloat16, DType::kInt8}) {
    if (has_precision(kind, known)) names.push_back(precision_name(known));
  }
  throw UserError("--device {} computes in {}\nLeave out --precision {}, or use the CPU.",
                  to_string(kind), fmt::join(names, " or "), precision_name(precision));
}

DType ComputeOptions::resolved(Communicator& communicator) const {
  DType chosen = resolved_here(precision, device);
  if (precision == "auto") chosen = from_root(communicator, chosen);
  require_precision(chosen, device);
  return chosen;
}

std::string precision_of_run(const std::filesystem::path& out, const std::string& asked,
                             Communicator& communicator) {
  std::string precision = asked;
  if (asked == "auto" && communicator.rank() == 0) {
    if (const auto begun = read_run(out)) {
      const nlohmann::json stored = begun->options.value("precision", nlohmann::ordered_json());
      if (stored.is_string()) precision = stored.get<std::string>();
    }
  }
  return text_from_root(communicator, precision);
}

void refuse_idle(const CLI::App& command, std::initializer_list<const char*> options,
                 std::string_view why) {
  for (const char* option : options) {
    if (command.count(option) > 0) throw UserError("{}: {}\nLeave the option out.", option, why);
  }
}

void print_compute_choice(const ComputeOptions& options, DType resolved) {
  const char* precision = precision_name(resolved);
  const DeviceName device = parse_device(options.device).value();
  switch (device.kind) {
    case DeviceName::Kind::kReference:
      log_info("Device: reference (plain loops), precision {}, 1 thread", precision);
      return;
    case DeviceName::Kind::kCpu:
      log_info("Device: cpu ({}), SIMD {}, precision {}, {} thread{}", machine().cpu_model,
               to_string(machine().simd), precision, thread_count(),
               thread_count() == 1 ? "" : "s");
      return;
    case DeviceName::Kind::kCuda: {
      const CudaChoice gpu = choose_cuda_device(device.number);
      log_info("Device: cuda:{} ({}, {}), {}, precision {}", gpu.number, gpu.device.name,
               format_bytes(static_cast<double>(gpu.device.memory_bytes)), gpu.plugin->library(),
               precision);
      return;
    }
  }
}

}  // namespace barcodemae
