// SPDX-License-Identifier: MIT
// How fast training, embedding and reading are on this machine, beside what its matrix library
// reaches.
#pragma once

#include <cstdint>
#include <cstdio>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "bench/gemm_rate.h"
#include "bench/model_speed.h"
#include "bench/prepare_speed.h"
#include "bench/read_speed.h"

namespace barcodemae {

struct BenchOptions {
  std::string device = "cpu";  ///< as make_backend() knows it
  std::vector<std::string> presets{"small", "base"};
  std::vector<std::string> tasks{"train", "embed", "read"};  ///< and "prepare"
  std::vector<std::string> precisions{"f32", "bf16", "int8"};
  std::vector<std::int64_t> batches{32, 128};
  std::int64_t micro_batch = 0;  ///< of training; 0: the batch
  std::vector<std::int64_t> tokens{110};
  std::vector<int> widths{0};  ///< 0: the preset's own
  bool quick = false;          ///< the first batch alone, one repeat
  std::FILE* out = stdout;     ///< where each row is printed as it is measured
};

struct BenchRow {
  SpeedRequest request;
  Speed speed;
  double fraction = 0;         ///< of the rate of products alone in this precision
  std::size_t peak_bytes = 0;  ///< of the process that measured nothing else
};

struct PrepareRow {
  PrepareRequest request;
  PrepareSpeed speed;
};

struct ReadRow {
  ReadRequest request;
  ReadSpeed speed;
};

struct BenchReport {
  std::string device = "cpu";
  std::string device_name;                        ///< "NVIDIA H200"; empty: the processor itself
  std::vector<std::pair<DType, GemmRate>> rates;  ///< of the precisions that this machine has
  std::vector<BenchRow> rows;
  std::vector<PrepareRow> preparations;
  std::vector<ReadRow> readings;
};

/// Must run before anything that starts
/// threads: every measurement has a process of its own. Throws UserError as Learner does.
BenchReport run_bench(const BenchOptions& options);

/// {"machine": …, "gemm": …, "results": [{"preset", "task", "precision", "batch",
/// "micro_batch", "tokens",
/// "width", "samples_per_s", "gflops", "fraction", "peak_mb", "device_mb"}], "preparing":
/// [{"preset", "batch", "records_per_s", "records_per_cpu_s"}], "reading": [{"file", "records",
/// "text_mb", "mb_per_s", "records_per_s", "hash_mb_per_s"}]}
nlohmann::ordered_json to_json(const BenchReport& report);

}  // namespace barcodemae
