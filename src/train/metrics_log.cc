// SPDX-License-Identifier: MIT
#include "train/metrics_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "base/error.h"

namespace barcodemae {
namespace {

[[noreturn]] void throw_write_error(const std::filesystem::path& path) {
  throw UserError("cannot write {}: {}\nFree some space or check its permissions.", path.string(),
                  std::strerror(errno));
}

}  // namespace

MetricsLog::MetricsLog(std::filesystem::path path, std::int64_t bytes) : path_(std::move(path)) {
  descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor_ < 0) throw_write_error(path_);
  // A file that is shorter (deleted, say) is continued where it ends.
  bytes_ = std::min<std::int64_t>(bytes, ::lseek(descriptor_, 0, SEEK_END));
  if (::ftruncate(descriptor_, bytes_) != 0 || ::lseek(descriptor_, 0, SEEK_END) < 0) {
    throw_write_error(path_);
  }
}

MetricsLog::~MetricsLog() { ::close(descriptor_); }

void MetricsLog::append(const nlohmann::ordered_json& line) {
  const std::string text = line.dump() + "\n";
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t written = ::write(descriptor_, text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_write_error(path_);
    done += static_cast<std::size_t>(written);
  }
  bytes_ += static_cast<std::int64_t>(text.size());
}

std::int64_t MetricsLog::sync() {
  if (::fsync(descriptor_) != 0 && errno != EINVAL) throw_write_error(path_);
  return bytes_;
}

}  // namespace barcodemae
