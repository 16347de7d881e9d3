// SPDX-License-Identifier: MIT
#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>

#include "base/temporary_files.h"

namespace barcodemae {

/// A file that goes away with the object, and with the process when it is ended.
class ScratchFile {
 public:
  explicit ScratchFile(const std::string& ending)
      : path_(std::filesystem::temp_directory_path() /
              fmt::format("barcodemae-bench.{}.{}", getpid(), ending)),
        registered_(path_) {}
  ~ScratchFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  RegisteredTemporary registered_;
};

/// Barcodes of a simulation, the same ones every time.
void write_simulated(const std::filesystem::path& path, std::int64_t records);

}  // namespace barcodemae
