// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "temporary_folder.h"

namespace barcodemae {

/// metrics.jsonl of a run without what a clock says.
inline std::string timeless_metrics(const std::filesystem::path& run) {
  std::istringstream lines(read_file(run / "metrics.jsonl"));
  std::string result;
  for (std::string text; std::getline(lines, text);) {
    nlohmann::json line = nlohmann::json::parse(text);
    line.erase("seconds");
    line.erase("barcodes_per_s");
    result += line.dump() + "\n";
  }
  return result;
}

}  // namespace barcodemae
