// SPDX-License-Identifier: MIT
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "backend/backends.h"
#include "base/atomic_file.h"
#include "base/error.h"
#include "bench/bench.h"
#include "cli/command.h"
#include "cli/common_options.h"
#include "formats/json.h"
#include "nn/presets.h"

namespace barcodemae {
namespace {

struct BenchCommandOptions {
  BenchOptions bench;
  std::string json;
};

void run(const CLI::App& command, BenchCommandOptions& options) {
  const auto asked = [&](const char* task) {
    return std::find(options.bench.tasks.begin(), options.bench.tasks.end(), task) !=
           options.bench.tasks.end();
  };
  const bool computes = asked("train") || asked("embed");
  if (!computes) {
    refuse_idle(command, {"--precision", "--tokens", "--width", "--micro-batch"},
                "no task computes with a model");
  }
  if (!computes && !asked("prepare")) {
    refuse_idle(command, {"--preset", "--batch"}, "files are only read");
  }
  // One precision alone was asked for: a table without rows would say nothing.
  if (options.bench.precisions.size() == 1) {
    require_precision(precision_named(options.bench.precisions.front()), options.bench.device);
  }
  require_writable(options.json);
  if (options.json == "-") options.bench.out = stderr;
  const BenchReport report = run_bench(options.bench);
  if (computes && report.rows.empty()) {
    throw UserError("nothing was measured: no --task here computes in --precision {}",
                    fmt::join(options.bench.precisions, " or "));
  }
  if (!options.json.empty()) write_file_atomically(options.json, json_document(to_json(report)));
}

}  // namespace

void add_bench_command(CLI::App& application) {
  auto options = std::make_shared<BenchCommandOptions>();
  CLI::App& command = *application.add_subcommand(
      "bench", "Measure training and embedding beside the matrix library's own rate, and reading");
  command.add_option("--preset", options->bench.presets, "Models to measure")
      ->check(CLI::IsMember(preset_names()))
      ->capture_default_str();
  command
      .add_option("--task", options->bench.tasks,
                  "train, embed, read (files), prepare (the batches of a training)")
      ->check(CLI::IsMember({"train", "embed", "read", "prepare"}))
      ->capture_default_str();
  command.add_option("--precision", options->bench.precisions, "f32, bf16, int8 (embed)")
      ->check(CLI::IsMember({"f32", "bf16", "int8"}))
      ->capture_default_str();
  whole(command.add_option("--batch", options->bench.batches, "Barcodes in a step")
            ->capture_default_str(),
        1, 65536);
  whole(command
            .add_option("--micro-batch", options->bench.micro_batch,
                        "Barcodes in memory at a time in training; 0: the whole batch")
            ->capture_default_str(),
        0, 65536);
  whole(command.add_option("--tokens", options->bench.tokens, "Tokens of a barcode")
            ->capture_default_str(),
        1, 65536);
  whole(command
            .add_option("--width", options->bench.widths,
                        "Width of encoder and decoder; 0: the preset's own")
            ->capture_default_str(),
        0, 65536);
  command.add_flag("--quick", options->bench.quick, "The first batch size, one repeat");
  command.add_option("--json", options->json,
                     "Write the results to this file too; - for standard output, the table then to "
                     "standard error");
  command.footer(
      "Examples:\n"
      "  barcodemae bench --quick\n"
      "  barcodemae bench --preset base --precision bf16 --batch 32 --json bench.json\n"
      "  barcodemae bench --task read\n"
      "  barcodemae bench --device cuda --preset base --precision bf16 --batch 512");
  add_device_option(command, options->bench.device)->group("Compute");
  add_common_options(command);
  command.callback([options, &command] { run(command, *options); });
}

}  // namespace barcodemae
