// SPDX-License-Identifier: MIT
#include "bench/bench.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>

#include "backend/backends.h"
#include "barcodemae_version.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/progress.h"
#include "base/threads.h"
#include "bench/child_process.h"

namespace barcodemae {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

const char* name(BenchTask task) { return task == BenchTask::kTrain ? "train" : "embed"; }

/// Whether this machine computes so, and the task can be done so.
bool available(DType precision, BenchTask task) {
  if (precision == DType::kInt8 && task == BenchTask::kTrain) return false;
  return cpu::has_precision(precision);
}

GemmRate gemm_rate(DType precision, int repeats) {
  const ChildOutcome child = run_in_child([&] {
    json numbers = json::array();
    for (const GemmRate::Shape& shape : measure_gemm_rate(precision, repeats).shapes) {
      numbers.push_back({shape.name, shape.out, shape.in, shape.gflops});
    }
    return numbers.dump();
  });
  GemmRate rate;
  for (const json& shape : json::parse(child.output)) {
    rate.shapes.push_back({shape[0], shape[1], shape[2], shape[3]});
    rate.gflops += rate.shapes.back().gflops;
  }
  rate.gflops /= static_cast<double>(rate.shapes.size());
  fmt::print("oneDNN alone, {:<5}{:8.0f} GFLOP/s  (", precision_name(precision), rate.gflops);
  for (const GemmRate::Shape& shape : rate.shapes) {
    fmt::print("{}{}x{} {:.0f}", &shape == &rate.shapes.front() ? "" : ", ", shape.out, shape.in,
               shape.gflops);
  }
  fmt::print(")\n");
  std::fflush(stdout);
  return rate;
}

BenchRow measure(const SpeedRequest& request, double yardstick) {
  const ChildOutcome child = run_in_child([&] {
    // Logging of the measured code would tear the table.
    if (verbosity() == Verbosity::kNormal) set_verbosity(Verbosity::kQuiet);
    const Speed speed = measure_speed(request);
    return json{speed.samples_per_s, speed.gflops}.dump();
  });
  const json numbers = json::parse(child.output);
  BenchRow row{request, {numbers[0], numbers[1]}, 0, child.peak_bytes};
  row.fraction = row.speed.gflops / yardstick;
  fmt::print("{:<8}{:<7}{:<7}{:>5}{:>7}{:>6}{:>12.1f}{:>10.0f}{:>10.1f} %{:>10.0f} MB\n",
             request.preset, name(request.task), precision_name(request.precision), request.batch,
             request.tokens, model_of(request).encoder.width, row.speed.samples_per_s,
             row.speed.gflops, 100 * row.fraction, static_cast<double>(row.peak_bytes) / 1e6);
  std::fflush(stdout);
  return row;
}

ReadRow measure(const ReadRequest& request) {
  const ChildOutcome child = run_in_child([&] {
    if (verbosity() == Verbosity::kNormal) set_verbosity(Verbosity::kQuiet);
    const ReadSpeed speed = measure_reading(request);
    return json{speed.text_mb, speed.mb_per_s, speed.records_per_s, speed.hash_mb_per_s}.dump();
  });
  const json numbers = json::parse(child.output);
  ReadRow row{request, {numbers[0], numbers[1], numbers[2], numbers[3]}};
  fmt::print("{:<14}{:>10.0f}{:>12.0f}{:>14.0f}{:>18.2f}\n", request.ending, row.speed.text_mb,
             row.speed.mb_per_s, row.speed.records_per_s,
             row.speed.mb_per_s / row.speed.hash_mb_per_s);
  std::fflush(stdout);
  return row;
}

void measure_models(const BenchOptions& options, BenchReport& report) {
  const bool quick = options.quick;
  make_backend("cpu");  // limits oneDNN to the SIMD level that we use, before its first product
  std::map<DType, double> yardsticks;
  for (const DType precision : {DType::kFloat32, DType::kBFloat16, DType::kInt8}) {
    if (!available(precision, BenchTask::kEmbed)) continue;
    report.rates.push_back({precision, gemm_rate(precision, quick ? 5 : 20)});
    yardsticks[precision] = report.rates.back().second.gflops;
  }
  fmt::print("\n{:<8}{:<7}{:<7}{:>5}{:>7}{:>6}{:>12}{:>10}{:>12}{:>13}\n", "preset", "task", "type",
             "batch", "tokens", "width", "barcodes/s", "GFLOP/s", "of oneDNN", "peak memory");
  SpeedRequest request;
  request.micro_batch = options.micro_batch;
  if (quick) {
    request.repeats = 1;
    request.seconds = 0;
  }
  for (const std::string& preset : options.presets) {
    request.preset = preset;
    for (const std::string& task : options.tasks) {
      if (task == "read") continue;
      request.task = task == "train" ? BenchTask::kTrain : BenchTask::kEmbed;
      for (const std::string& precision : options.precisions) {
        request.precision = precision_named(precision);
        if (!available(request.precision, request.task)) continue;
        const double yardstick = yardsticks.at(request.precision);
        for (const int width : options.widths) {
          request.width = width;
          for (const std::int64_t tokens : options.tokens) {
            request.tokens = tokens;
            for (const std::int64_t batch : options.batches) {
              if (quick && batch != options.batches.front()) continue;
              request.batch = batch;
              report.rows.push_back(measure(request, yardstick));
            }
          }
        }
      }
    }
  }
  fmt::print(
      "\nFLOPs: weight products that the batch's tokens need, half of them masked in training.\n");
}

void measure_files(const BenchOptions& options, BenchReport& report) {
  fmt::print("\n{:<14}{:>10}{:>12}{:>14}{:>18}\n", "reading", "text, MB", "MB/s", "records/s",
             "of FNV-1a's rate");
  for (const char* ending : {"fasta", "fasta.gz", "csv", "csv.zst"}) {
    ReadRequest request{.ending = ending};
    if (options.quick) {
      request.records = 10'000;
      request.repeats = 1;
    }
    report.readings.push_back(measure(request));
  }
}

}  // namespace

BenchReport run_bench(const BenchOptions& options) {
  if (double load = 0; getloadavg(&load, 1) == 1 && load > 0.5) {
    log_warn(
        "about {:.1f} other programs are running: rates will be too low, oneDNN's most of all, and "
        "fractions too high",
        load);
  }
  fmt::print("{}, {} thread{}, SIMD {}\n", machine().cpu_model, thread_count(),
             thread_count() == 1 ? "" : "s", to_string(machine().simd));
  BenchReport report;
  const auto reads = std::count(options.tasks.begin(), options.tasks.end(), "read");
  if (reads < static_cast<std::ptrdiff_t>(options.tasks.size())) measure_models(options, report);
  if (reads > 0) measure_files(options, report);
  return report;
}

ordered_json to_json(const BenchReport& report) {
  ordered_json result;
  result["version"] = BARCODEMAE_VERSION;
  result["machine"] = {{"cpu", machine().cpu_model},
                       {"threads", thread_count()},
                       {"simd", to_string(machine().simd)},
                       {"memory_mb", static_cast<double>(machine().memory_bytes) / 1e6}};
  for (const auto& [precision, rate] : report.rates) {
    ordered_json& of = result["gemm"][precision_name(precision)];
    of["gflops"] = rate.gflops;
    for (const GemmRate::Shape& shape : rate.shapes) {
      of["shapes"].push_back(
          {{"weight", shape.name}, {"out", shape.out}, {"in", shape.in}, {"gflops", shape.gflops}});
    }
  }
  result["results"] = ordered_json::array();
  for (const BenchRow& row : report.rows) {
    result["results"].push_back({{"preset", row.request.preset},
                                 {"task", name(row.request.task)},
                                 {"precision", precision_name(row.request.precision)},
                                 {"batch", row.request.batch},
                                 {"micro_batch", row.request.micro_batch},
                                 {"tokens", row.request.tokens},
                                 {"width", model_of(row.request).encoder.width},
                                 {"samples_per_s", row.speed.samples_per_s},
                                 {"gflops", row.speed.gflops},
                                 {"fraction", row.fraction},
                                 {"peak_mb", static_cast<double>(row.peak_bytes) / 1e6}});
  }
  result["reading"] = ordered_json::array();
  for (const ReadRow& row : report.readings) {
    result["reading"].push_back({{"file", row.request.ending},
                                 {"records", row.request.records},
                                 {"text_mb", row.speed.text_mb},
                                 {"mb_per_s", row.speed.mb_per_s},
                                 {"records_per_s", row.speed.records_per_s},
                                 {"hash_mb_per_s", row.speed.hash_mb_per_s}});
  }
  return result;
}

}  // namespace barcodemae
