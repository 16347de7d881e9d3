// SPDX-License-Identifier: MIT
// Files and folders that appear whole or not at all.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string_view>

#include "base/temporary_files.h"

namespace barcodemae {

/// Writes a file under a temporary name beside `path`, syncs it and renames it onto `path` (onto
/// the link's target where `path` is a link). Left unfinished (an exception, a killed process),
/// `path` stays as it was and the temporary is removed when the object dies. Standard output ("-"),
/// pipes and devices cannot be replaced: they are written as bytes come.
class AtomicFile {
 public:
  /// Throws UserError when the folder is missing or not writable.
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// Appends bytes. Throws UserError (full disk, quota) naming the file and what to do.
  void write(const void* data, std::size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  /// Overwrites bytes at an offset already written (headers whose sizes come last).
  void write_at(std::size_t offset, const void* data, std::size_t bytes);
  /// Makes sure that all of it is on the disk: of several files that belong together, none then
  /// appears without the others. Throws UserError as write does.
  void sync();
  /// Syncs and renames; nothing may be written afterwards. Throws UserError as write does.
  void commit();

 private:
  std::filesystem::path path_, temporary_;  // no temporary_: written as bytes come
  std::optional<RegisteredTemporary> registered_;
  int descriptor_ = -1;
};

/// Throws what AtomicFile would, before long work whose result goes to `path`; empty: nothing to
/// do.
void require_writable(const std::filesystem::path& path);

/// Throws what write_directory_atomically would, before long work whose result goes to the folder
/// `path`.
void require_writable_folder(const std::filesystem::path& path);

/// Throws UserError when `written` is the file `input`, which would be lost. "-" and what is not
/// there yet are no files.
void refuse_to_overwrite(const std::filesystem::path& input, const std::filesystem::path& written);

/// One call for a whole text or binary file.
void write_file_atomically(const std::filesystem::path& path, std::string_view content);

/// Makes the folder `path` appear with everything `fill(temporary folder)` puts into it, synced; an
/// existing folder of that name is replaced: whenever the process is killed, one of the two is
/// there (where the file system cannot exchange names, after remove_leftovers()). Throws UserError
/// as AtomicFile does.
void write_directory_atomically(const std::filesystem::path& path,
                                const std::function<void(const std::filesystem::path&)>& fill);

}  // namespace barcodemae
