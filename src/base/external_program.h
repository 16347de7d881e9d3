// SPDX-License-Identifier: MIT
// Other people's programs: found on PATH, run, and heard out.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace barcodemae {

/// The file that a shell would run for `name`; nothing when PATH has none.
std::optional<std::filesystem::path> find_program(const std::string& name);

struct ProgramOutcome {
  int exit_code = 0;     ///< 128 + the signal that ended it; 127 when it could not be started
  std::string out, err;  ///< what it wrote to its standard output and error
};

/// Runs a program in `folder`, where its output is kept meanwhile, and waits. It does not outlive
/// this process.
ProgramOutcome run_program(const std::filesystem::path& program,
                           const std::vector<std::string>& arguments,
                           const std::filesystem::path& folder);

/// A folder of its own in the system's place for temporary files, removed with the object.
class WorkingFolder {
 public:
  /// Throws UserError when none can be made.
  WorkingFolder();
  ~WorkingFolder();
  WorkingFolder(const WorkingFolder&) = delete;
  WorkingFolder& operator=(const WorkingFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace barcodemae
