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

/// Whether the device computes so, and the task can be done so.
bool available(DType precision, BenchTask task, const std::string& device) {
  if (precision == DType::kInt8 && task == BenchTask::kTrain) return false;
  return has_precision(parse_device(device).value().kind, precision);
}

bool is_cpu(const std::string& device) { return device == "cpu"; }

/// "NVIDIA H200, 150.0 GB, CUDA 13.0" of a GPU; empty for the others. In a process of its own: a
/// process that has begun to use a GPU must not be forked.
std::string device_description(const std::string& device) {
  const DeviceName name = parse_device(device).value();
  if (name.kind != DeviceName::Kind::kCuda) return "";
  return run_in_child([&] {
           const CudaChoice choice = choose_cuda_device(name.number);
           return fmt::format("{}, {}, {}", choice.device.name,
                              format_bytes(static_cast<double>(choice.device.memory_bytes)),
                              choice.plugin->library());
         })
      .output;
}

GemmRate gemm_rate(DType precision, const std::string& device, int repeats, std::FILE* out) {
  const ChildOutcome child = run_in_child([&] {
    const GemmRate rate = is_cpu(device)
                              ? measure_gemm_rate(precision, repeats)
                              : measure_device_gemm_rate(*make_backend(device), precision, repeats);
    json numbers = json::array();
    for (const GemmRate::Shape& shape : rate.shapes) {
      numbers.push_back({shape.name, shape.out, shape.in, shape.gflops, shape.rows});
    }
    return json{rate.gflops, numbers}.dump();
  });
  const json numbers = json::parse(child.output);
  GemmRate rate;
  rate.gflops = numbers[0];
  for (const json& shape : numbers[1]) {
    rate.shapes.push_back({shape[0], shape[1], shape[2], shape[3], shape[4]});
  }
  fmt::print(out, "{}, {:<5}{:8.0f} GFLOP/s  (", is_cpu(device) ? "oneDNN alone" : "products alone",
             precision_name(precision), rate.gflops);
  for (const GemmRate::Shape& shape : rate.shapes) {
    fmt::print(out, "{}{}x{} {:.0f}", &shape == &rate.shapes.front() ? "" : ", ", shape.out,
               shape.in, shape.gflops);
    if (!is_cpu(device)) fmt::print(out, " of {} rows", shape.rows);
  }
  fmt::print(out, ")\n");
  std::fflush(out);
  return rate;
}

BenchRow measure(const SpeedRequest& request, double yardstick, std::FILE* out) {
  const ChildOutcome child = run_in_child([&] {
    // Logging of the measured code would tear the table.
    if (verbosity() == Verbosity::kNormal) set_verbosity(Verbosity::kQuiet);
    const Speed speed = measure_speed(request);
    return json{speed.samples_per_s, speed.gflops, speed.device_bytes}.dump();
  });
  const json numbers = json::parse(child.output);
  BenchRow row{request, {numbers[0], numbers[1], numbers[2]}, 0, child.peak_bytes};
  row.fraction = row.speed.gflops / yardstick;
  fmt::print(
      out, "{:<8}{:<7}{:<7}{:>5}{:>7}{:>6}{:>12.1f}{:>10.0f}{:>10.1f} %{:>10.0f} MB\n",
      request.preset, name(request.task), precision_name(request.precision), request.batch,
      request.tokens, model_of(request).encoder.width, row.speed.samples_per_s, row.speed.gflops,
      100 * row.fraction,
      static_cast<double>(is_cpu(request.device) ? row.peak_bytes : row.speed.device_bytes) / 1e6);
  std::fflush(out);
  return row;
}

PrepareRow measure(const PrepareRequest& request, std::FILE* out) {
  const ChildOutcome child = run_in_child([&] {
    if (verbosity() == Verbosity::kNormal) set_verbosity(Verbosity::kQuiet);
    const PrepareSpeed speed = measure_preparing(request);
    return json{speed.records_per_s, speed.records_per_cpu_s}.dump();
  });
  const json numbers = json::parse(child.output);
  PrepareRow row{request, {numbers[0], numbers[1]}};
  fmt::print(out, "{:<12}{:>7}{:>16.0f}{:>24.0f}\n", request.preset, request.batch,
             row.speed.records_per_s, row.speed.records_per_cpu_s);
  std::fflush(out);
  return row;
}

ReadRow measure(const ReadRequest& request, std::FILE* out) {
  const ChildOutcome child = run_in_child([&] {
    if (verbosity() == Verbosity::kNormal) set_verbosity(Verbosity::kQuiet);
    const ReadSpeed speed = measure_reading(request);
    return json{speed.text_mb, speed.mb_per_s, speed.records_per_s, speed.hash_mb_per_s}.dump();
  });
  const json numbers = json::parse(child.output);
  ReadRow row{request, {numbers[0], numbers[1], numbers[2], numbers[3]}};
  fmt::print(out, "{:<14}{:>10.0f}{:>12.0f}{:>14.0f}{:>18.2f}\n", request.ending, row.speed.text_mb,
             row.speed.mb_per_s, row.speed.records_per_s,
             row.speed.mb_per_s / row.speed.hash_mb_per_s);
  std::fflush(out);
  return row;
}

void measure_models(const BenchOptions& options, BenchReport& report) {
  std::FILE* const out = options.out;
  const bool quick = options.quick;
  const std::string& device = options.device;
  // Limits oneDNN to the SIMD level that we use, before its first product.
  if (is_cpu(device)) make_backend(device);
  std::map<DType, double> yardsticks;
  for (const DType precision : {DType::kFloat32, DType::kBFloat16, DType::kInt8}) {
    if (!available(precision, BenchTask::kEmbed, device)) continue;
    // That of a device takes long in precisions nobody asked for, and has no other use.
    const auto asked =
        std::count(options.precisions.begin(), options.precisions.end(), precision_name(precision));
    if (!is_cpu(device) && asked == 0) continue;
    report.rates.push_back({precision, gemm_rate(precision, device, quick ? 5 : 20, out)});
    yardsticks[precision] = report.rates.back().second.gflops;
  }
  fmt::print(out, "\n{:<8}{:<7}{:<7}{:>5}{:>7}{:>6}{:>12}{:>10}{:>12}{:>13}\n", "preset", "task",
             "type", "batch", "tokens", "width", "barcodes/s", "GFLOP/s",
             is_cpu(device) ? "of oneDNN" : "of products",
             is_cpu(device) ? "peak memory" : "its memory");
  SpeedRequest request;
  request.device = device;
  request.micro_batch = options.micro_batch;
  if (quick) {
    request.repeats = 1;
    request.seconds = 0;
  }
  for (const std::string& preset : options.presets) {
    request.preset = preset;
    for (const std::string& task : options.tasks) {
      if (task != "train" && task != "embed") continue;
      request.task = task == "train" ? BenchTask::kTrain : BenchTask::kEmbed;
      for (const std::string& precision : options.precisions) {
        request.precision = precision_named(precision);
        if (!available(request.precision, request.task, device)) continue;
        const double yardstick = yardsticks.at(request.precision);
        for (const int width : options.widths) {
          request.width = width;
          for (const std::int64_t tokens : options.tokens) {
            request.tokens = tokens;
            for (const std::int64_t batch : options.batches) {
              if (quick && batch != options.batches.front()) continue;
              request.batch = batch;
              report.rows.push_back(measure(request, yardstick, out));
            }
          }
        }
      }
    }
  }
  fmt::print(
      out,
      "\nFLOPs: weight products that the batch's tokens need, half of them masked in training.\n");
}

void measure_preparations(const BenchOptions& options, BenchReport& report) {
  std::FILE* const out = options.out;
  fmt::print(out, "\n{:<12}{:>7}{:>16}{:>24}\n", "preparing", "batch", "records/s",
             "by CPU time, a core");
  for (const std::string& preset : options.presets) {
    for (const std::int64_t batch : options.batches) {
      if (options.quick && batch != options.batches.front()) continue;
      PrepareRequest request{.preset = preset, .batch = batch};
      if (options.quick) {
        request.records = std::max<std::int64_t>(2000, 8 * batch);
        request.seconds = 0;
      }
      report.preparations.push_back(measure(request, out));
    }
  }
}

void measure_files(const BenchOptions& options, BenchReport& report) {
  std::FILE* const out = options.out;
  fmt::print(out, "\n{:<14}{:>10}{:>12}{:>14}{:>18}\n", "reading", "text, MB", "MB/s", "records/s",
             "of FNV-1a's rate");
  for (const char* ending : {"fasta", "fasta.gz", "csv", "csv.zst"}) {
    ReadRequest request{.ending = ending};
    if (options.quick) {
      request.records = 10'000;
      request.repeats = 1;
    }
    report.readings.push_back(measure(request, out));
  }
}

}  // namespace

BenchReport run_bench(const BenchOptions& options) {
  std::FILE* const out = options.out;
  if (double load = 0; getloadavg(&load, 1) == 1 && load > 0.5) {
    log_warn(
        "about {:.1f} other programs are running: rates will be too low, oneDNN's most of all, and "
        "fractions too high",
        load);
  }
  fmt::print(out, "{}, {} thread{}, SIMD {}\n", machine().cpu_model, thread_count(),
             thread_count() == 1 ? "" : "s", to_string(machine().simd));
  BenchReport report;
  report.device = options.device;
  report.device_name = device_description(options.device);
  if (!report.device_name.empty()) fmt::print(out, "{}: {}\n", report.device, report.device_name);
  const auto asked = [&](const char* task) {
    return std::count(options.tasks.begin(), options.tasks.end(), task) > 0;
  };
  if (asked("train") || asked("embed")) measure_models(options, report);
  if (asked("prepare")) measure_preparations(options, report);
  if (asked("read")) measure_files(options, report);
  return report;
}

ordered_json to_json(const BenchReport& report) {
  ordered_json result;
  result["version"] = BARCODEMAE_VERSION;
  result["machine"] = {{"cpu", machine().cpu_model},
                       {"threads", thread_count()},
                       {"simd", to_string(machine().simd)},
                       {"memory_mb", static_cast<double>(machine().memory_bytes) / 1e6},
                       {"device", report.device},
                       {"device_name", report.device_name}};
  for (const auto& [precision, rate] : report.rates) {
    ordered_json& of = result["gemm"][precision_name(precision)];
    of["gflops"] = rate.gflops;
    for (const GemmRate::Shape& shape : rate.shapes) {
      of["shapes"].push_back({{"weight", shape.name},
                              {"out", shape.out},
                              {"in", shape.in},
                              {"rows", shape.rows},
                              {"gflops", shape.gflops}});
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
                                 {"peak_mb", static_cast<double>(row.peak_bytes) / 1e6},
                                 {"device_mb", static_cast<double>(row.speed.device_bytes) / 1e6}});
  }
  if (!report.preparations.empty()) result["preparing"] = ordered_json::array();
  for (const PrepareRow& row : report.preparations) {
    result["preparing"].push_back({{"preset", row.request.preset},
                                   {"batch", row.request.batch},
                                   {"records_per_s", row.speed.records_per_s},
                                   {"records_per_cpu_s", row.speed.records_per_cpu_s}});
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
