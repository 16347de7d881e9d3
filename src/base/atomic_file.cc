// SPDX-License-Identifier: MIT
#include "base/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <system_error>

#include "base/error.h"

namespace barcodemae {
namespace fs = std::filesystem;

namespace {

[[noreturn]] void throw_write_error(const fs::path& path, int error) {
  const char* advice =
      error == ENOSPC || error == EDQUOT
          ? "Free some space or choose another folder; nothing was left half-written."
      : error == ENOENT ? "Create the folder first."
                        : "Check the path and its permissions.";
  throw UserError("cannot write {}: {}\n{}", path.string(), std::strerror(error), advice);
}

/// Makes a rename in `folder` survive a power cut.
void sync_path(const fs::path& path, int flags) {
  const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC);
  if (descriptor < 0) throw_write_error(path, errno);
  const int failed = ::fsync(descriptor) != 0 ? errno : 0;
  ::close(descriptor);
  // Some file systems cannot sync folders (EINVAL); the rename itself is still atomic.
  if (failed != 0 && failed != EINVAL) throw_write_error(path, failed);
}

fs::path parent_folder(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

/// What cannot be replaced and is written in place.
bool is_pipe_or_device(const fs::path& path) {
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  return fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status);
}

/// Gives `temporary` the name `path`. A folder of that name is then called `temporary`, or
/// replaced_beside(temporary).
void take_name(const fs::path& temporary, const fs::path& path) {
  if (!fs::exists(fs::symlink_status(path))) {
    fs::rename(temporary, path);
    return;
  }
  if (::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(), RENAME_EXCHANGE) == 0) {
    return;
  }
  const fs::path replaced = replaced_beside(temporary);  // NFS, some FUSE file systems, old kernels
  fs::remove_all(replaced);
  fs::rename(path, replaced);
  std::error_code error;
  fs::rename(temporary, path, error);
  if (!error) return;
  fs::rename(replaced, path);
  throw fs::filesystem_error("rename", temporary, path, error);
}

}  // namespace

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)) {
  std::error_code ignored;
  if (path_ == "-") {
    path_ = "standard output";
    descriptor_ = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
  } else if (fs::is_directory(path_, ignored)) {
    throw UserError("cannot write {}: it is a folder", path_.string());
  } else if (is_pipe_or_device(path_)) {
    descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
  } else {
    if (fs::is_symlink(path_, ignored)) path_ = fs::weakly_canonical(path_);
    temporary_ = temporary_beside(path_);
    registered_.emplace(temporary_);
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  }
  if (descriptor_ < 0) throw_write_error(path_, errno);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, std::size_t bytes) {
  BARCODEMAE_CHECK(descriptor_ >= 0, "{} is written after commit()", path_.string());
  const char* next = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = ::write(descriptor_, next, bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_write_error(path_, errno);
    next += written;
    bytes -= static_cast<std::size_t>(written);
  }
}

void AtomicFile::write_at(std::size_t offset, const void* data, std::size_t bytes) {
  BARCODEMAE_CHECK(descriptor_ >= 0, "{} is written after commit()", path_.string());
  const char* next = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = ::pwrite(descriptor_, next, bytes, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_write_error(path_, errno);
    next += written;
    offset += static_cast<std::size_t>(written);
    bytes -= static_cast<std::size_t>(written);
  }
}

void AtomicFile::sync() {
  BARCODEMAE_CHECK(descriptor_ >= 0, "{} is synced after commit()", path_.string());
  if (temporary_.empty()) return;
  if (::fsync(descriptor_) != 0 && errno != EINVAL) throw_write_error(path_, errno);
}

void AtomicFile::commit() {
  sync();
  const bool replaces = !temporary_.empty();
  const int closed = ::close(descriptor_);
  descriptor_ = -1;
  if (!replaces) {
    if (closed != 0) throw_write_error(path_, errno);
    return;
  }
  if (closed != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary_.c_str());
    throw_write_error(path_, error);
  }
  registered_.reset();
  sync_path(parent_folder(path_), O_RDONLY | O_DIRECTORY);
}

void require_writable(const fs::path& path) {
  // Opening a pipe twice would end it for its reader.
  if (path.empty() || path == "-" || is_pipe_or_device(path)) return;
  const AtomicFile probe(path);
}

void require_writable_folder(const fs::path& path) {
  if (!path.has_filename()) return require_writable_folder(path.parent_path());
  const fs::path probe = temporary_beside(path);
  std::error_code error;
  fs::create_directories(probe, error);
  if (error) throw_write_error(path, error.value());
  fs::remove(probe, error);
}

void refuse_to_overwrite(const fs::path& input, const fs::path& written) {
  std::error_code ignored;
  if (!fs::equivalent(input, written, ignored)) return;
  throw UserError("{} would be written, which is the input\nChoose another name.",
                  written.string());
}

void write_file_atomically(const fs::path& path, std::string_view content) {
  AtomicFile file(path);
  file.write(content);
  file.commit();
}

void write_directory_atomically(const fs::path& path,
                                const std::function<void(const fs::path&)>& fill) {
  if (!path.has_filename()) return write_directory_atomically(path.parent_path(), fill);  // "out/"
  const fs::path temporary = temporary_beside(path);
  std::error_code ignored;
  try {
    fs::remove_all(temporary);
    fs::create_directories(temporary);
    fill(temporary);
    for (const auto& entry : fs::recursive_directory_iterator(temporary)) {
      if (entry.is_regular_file()) sync_path(entry.path(), O_RDONLY);
    }
    sync_path(temporary, O_RDONLY | O_DIRECTORY);
    take_name(temporary, path);
    sync_path(parent_folder(path), O_RDONLY | O_DIRECTORY);
    fs::remove_all(temporary, ignored);
    fs::remove_all(replaced_beside(temporary), ignored);
  } catch (const fs::filesystem_error& error) {
    fs::remove_all(temporary, ignored);
    throw_write_error(path, error.code().value());
  } catch (...) {
    fs::remove_all(temporary, ignored);
    throw;
  }
}

}  // namespace barcodemae
