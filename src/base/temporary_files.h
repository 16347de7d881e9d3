// SPDX-License-Identifier: MIT
// Names of files that are not finished yet, and their removal when a process is ended.
#pragma once

#include <filesystem>

namespace barcodemae {

/// A name beside `path` that no other process uses: PATH.<process>.tmp.
std::filesystem::path temporary_beside(const std::filesystem::path& path);

/// Where a folder waits while temporary_beside() takes its name, on file systems that cannot
/// exchange two names at once.
std::filesystem::path replaced_beside(const std::filesystem::path& temporary);

/// Removes what killed processes left in `folder` under such names; a folder that waits in vain
/// gets its own name back. Only for a caller who knows that no other process writes there.
void remove_leftovers(const std::filesystem::path& folder);

/// From now on SIGINT, SIGTERM and SIGHUP remove all registered temporaries before they end the
/// process. Signals that are ignored or handled stay so.
void remove_temporaries_on_signals();

/// Registers a file for that, as long as the object lives.
class RegisteredTemporary {
 public:
  explicit RegisteredTemporary(const std::filesystem::path& path);
  ~RegisteredTemporary();
  RegisteredTemporary(const RegisteredTemporary&) = delete;
  RegisteredTemporary& operator=(const RegisteredTemporary&) = delete;

 private:
  int slot_ = -1;  ///< −1: no room for it; it is not removed then
};

}  // namespace barcodemae
