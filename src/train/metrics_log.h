// SPDX-License-Identifier: MIT
// DIR/metrics.jsonl: one JSON object a line, for each log interval and each validation.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>

namespace barcodemae {

class MetricsLog {
 public:
  /// Opens the file and cuts it back to `bytes`: what was written after the checkpoint that a run
  /// resumes from will be written again. Throws UserError when the file cannot be written.
  MetricsLog(std::filesystem::path path, std::int64_t bytes);
  ~MetricsLog();
  MetricsLog(const MetricsLog&) = delete;
  MetricsLog& operator=(const MetricsLog&) = delete;

  /// Appends a line; readers see it at once.
  void append(const nlohmann::ordered_json& line);
  /// Makes all lines durable and returns the length so far, for a checkpoint.
  std::int64_t sync();

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  std::int64_t bytes_ = 0;
};

}  // namespace barcodemae
