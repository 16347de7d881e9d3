// SPDX-License-Identifier: MIT
// The real binary, as a user calls it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace barcodemae {

struct Outcome {
  int exit_code = -1;  ///< 128 + signal when a signal ended it
  std::string out, err;
};

/// Runs `barcodemae` with these arguments, this file as standard input, and waits.
Outcome run_barcodemae(const std::vector<std::string>& arguments,
                       const std::string& input = "/dev/null");

/// A folder of this test alone, removed at the end.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::string write(const std::string& name, const std::string& content) const;
  /// Names of what lies in it, sorted.
  std::vector<std::string> names() const;

 private:
  std::filesystem::path path_;
};

std::string read_text(const std::filesystem::path& path);

}  // namespace barcodemae
