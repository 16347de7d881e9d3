// SPDX-License-Identifier: MIT
#include "sequence/byte_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "base/error.h"

namespace barcodemae {
namespace {

class FileSource : public ByteSource {
 public:
  explicit FileSource(const std::filesystem::path& path)
      : name_(path == "-" ? "standard input" : path.string()) {
    if (path == "-") {
      descriptor_ = STDIN_FILENO;
      return;
    }
    descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor_ < 0) {
      const int cause = errno;
      if (cause == ENOENT || cause == ENOTDIR) {
        throw UserError("{}: there is no such file.\nCheck the path and the working directory.",
                        name_);
      }
      if (cause == EACCES) {
        throw UserError("{}: no permission to read this file.\nAsk its owner, or chmod +r it.",
                        name_);
      }
      throw UserError("{}: cannot be opened ({}).", name_, std::strerror(cause));
    }
    struct stat status {};
    const bool known = ::fstat(descriptor_, &status) == 0;
    if (known && S_ISDIR(status.st_mode)) {
      ::close(descriptor_);
      throw UserError(
          "{}: is a directory; expected a FASTA, FASTQ, CSV or TSV file.\n"
          "Give one file inside it.",
          name_);
    }
    if (known && S_ISREG(status.st_mode)) total_ = static_cast<std::int64_t>(status.st_size);
  }
  ~FileSource() override {
    if (descriptor_ != STDIN_FILENO) ::close(descriptor_);
  }
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;

  std::size_t read(char* into, std::size_t size) override {
    for (;;) {
      const ssize_t got = ::read(descriptor_, into, size);
      if (got >= 0) {
        position_ += got;
        return static_cast<std::size_t>(got);
      }
      if (errno == EINTR) continue;
      throw UserError("{}: reading failed after {} bytes ({}).\nCheck the disk, then try again.",
                      name_, position_.load(), std::strerror(errno));
    }
  }
  std::int64_t position() const override { return position_; }
  std::int64_t total() const override { return total_; }
  const std::string& name() const override { return name_; }

 private:
  std::string name_;
  int descriptor_ = -1;
  std::atomic<std::int64_t> position_ = 0;
  std::int64_t total_ = 0;
};

class MemorySource : public ByteSource {
 public:
  MemorySource(std::string_view bytes, std::string name) : bytes_(bytes), name_(std::move(name)) {}

  std::size_t read(char* into, std::size_t size) override {
    const std::size_t count = std::min(size, bytes_.size() - position_);
    std::copy_n(bytes_.data() + position_, count, into);
    position_ += count;
    return count;
  }
  std::int64_t position() const override { return static_cast<std::int64_t>(position_); }
  std::int64_t total() const override { return static_cast<std::int64_t>(bytes_.size()); }
  const std::string& name() const override { return name_; }

 private:
  std::string_view bytes_;
  std::string name_;
  std::atomic<std::size_t> position_ = 0;
};

/// A ring of blocks between a thread that fills them and the caller who empties them.
class ReadAhead : public ByteSource {
 public:
  explicit ReadAhead(std::unique_ptr<ByteSource> source)
      : source_(std::move(source)), thread_([this] { fill(); }) {}
  ~ReadAhead() override {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  std::size_t read(char* into, std::size_t size) override {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return emptied_ < filled_ || finished_; });
      if (emptied_ == filled_) {
        if (failure_) std::rethrow_exception(failure_);
        return 0;
      }
    }
    Block& block = blocks_[emptied_ % kBlocks];
    const std::size_t count = std::min(size, block.size - block.taken);
    std::copy_n(block.bytes.data() + block.taken, count, into);
    block.taken += count;
    if (block.taken == block.size) {
      {
        const std::lock_guard lock(mutex_);
        ++emptied_;
      }
      changed_.notify_all();
    }
    return count;
  }
  std::int64_t position() const override { return source_->position(); }
  std::int64_t total() const override { return source_->total(); }
  const std::string& name() const override { return source_->name(); }

 private:
  static constexpr std::size_t kBlocks = 4, kBlockBytes = std::size_t{1} << 20;
  struct Block {
    std::vector<char> bytes;
    std::size_t size = 0, taken = 0;
  };

  void fill() {
    try {
      for (;;) {
        {
          std::unique_lock lock(mutex_);
          changed_.wait(lock, [&] { return stopped_ || filled_ - emptied_ < kBlocks; });
          if (stopped_) return;
        }
        Block& block = blocks_[filled_ % kBlocks];
        block.bytes.resize(kBlockBytes);
        block.taken = 0;
        block.size = source_->read(block.bytes.data(), kBlockBytes);
        const std::lock_guard lock(mutex_);
        if (block.size == 0) {
          finished_ = true;
        } else {
          ++filled_;
        }
        changed_.notify_all();
        if (finished_) return;
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      failure_ = std::current_exception();
      finished_ = true;
      changed_.notify_all();
    }
  }

  std::unique_ptr<ByteSource> source_;
  std::array<Block, kBlocks> blocks_;
  std::mutex mutex_;
  std::condition_variable changed_;
  // Blocks so far; each is written by one side alone, under mutex_.
  std::size_t filled_ = 0, emptied_ = 0;
  bool finished_ = false, stopped_ = false;
  std::exception_ptr failure_;
  std::thread thread_;  // last: it uses everything above
};

}  // namespace

std::unique_ptr<ByteSource> open_file(const std::filesystem::path& path) {
  return std::make_unique<FileSource>(path);
}

std::unique_ptr<ByteSource> memory_source(std::string_view bytes, std::string name) {
  return std::make_unique<MemorySource>(bytes, std::move(name));
}

std::unique_ptr<ByteSource> read_ahead(std::unique_ptr<ByteSource> source) {
  return std::make_unique<ReadAhead>(std::move(source));
}

}  // namespace barcodemae
