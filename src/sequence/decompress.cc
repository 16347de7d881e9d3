// SPDX-License-Identifier: MIT
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "sequence/byte_source.h"

namespace barcodemae {
namespace {

constexpr std::size_t kInputBytes = std::size_t{1} << 16;
constexpr std::string_view kGzipMagic = "\x1f\x8b";
constexpr std::string_view kZstdMagic = "\x28\xb5\x2f\xfd";

/// The compressed bytes below, a block at a time; the base of all sources that sit on another.
class BufferedSource : public ByteSource {
 public:
  BufferedSource(std::unique_ptr<ByteSource> below, std::vector<char> begun)
      : below_(std::move(below)), input_(std::move(begun)), available_(input_.size()) {
    input_.resize(std::max(input_.size(), kInputBytes));
  }
  std::int64_t position() const override { return below_->position(); }
  std::int64_t total() const override { return below_->total(); }
  const std::string& name() const override { return below_->name(); }

 protected:
  const char* data() const { return input_.data() + taken_; }
  std::size_t available() const { return available_ - taken_; }
  void take(std::size_t bytes) { taken_ += bytes; }
  /// Makes bytes available; false at the end.
  bool refill() {
    if (available() > 0) return true;
    taken_ = 0;
    available_ = below_->read(input_.data(), input_.size());
    return available_ > 0;
  }
  [[noreturn]] void truncated(const char* format) const {
    throw UserError(
        "{}: the {} data end in the middle (after {} bytes): the file is truncated.\n"
        "Copy or download it again.",
        name(), format, position());
  }
  [[noreturn]] void corrupt(const char* format, const char* cause) const {
    throw UserError(
        "{}: the {} data are corrupt near byte {} ({}).\n"
        "Copy or download the file again, or unpack it yourself to see what can be saved.",
        name(), format, position() - static_cast<std::int64_t>(available()), cause);
  }

 private:
  std::unique_ptr<ByteSource> below_;
  std::vector<char> input_;
  std::size_t available_, taken_ = 0;
};

class PlainSource : public BufferedSource {
 public:
  using BufferedSource::BufferedSource;
  std::size_t read(char* into, std::size_t size) override {
    if (!refill()) return 0;
    const std::size_t count = std::min(size, available());
    std::copy_n(data(), count, into);
    take(count);
    return count;
  }
};

class GzipSource : public BufferedSource {
 public:
  GzipSource(std::unique_ptr<ByteSource> below, std::vector<char> begun)
      : BufferedSource(std::move(below), std::move(begun)) {
    constexpr int kGzipOnly = 16;  // added to the window bits: expect a gzip header
    BARCODEMAE_CHECK(inflateInit2(&stream_, kGzipOnly + MAX_WBITS) == Z_OK, "zlib cannot start");
  }
  ~GzipSource() override { inflateEnd(&stream_); }
  GzipSource(const GzipSource&) = delete;
  GzipSource& operator=(const GzipSource&) = delete;

  std::size_t read(char* into, std::size_t size) override {
    const auto wanted = static_cast<uInt>(std::min<std::size_t>(size, 1u << 30));
    stream_.next_out = reinterpret_cast<Bytef*>(into);
    stream_.avail_out = wanted;
    while (stream_.avail_out == wanted) {
      if (!refill()) {
        if (inside_member_) truncated("gzip");
        return 0;
      }
      if (!inside_member_ && !begin_member()) return 0;
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data()));
      stream_.avail_in = static_cast<uInt>(available());
      const int status = inflate(&stream_, Z_NO_FLUSH);
      take(available() - stream_.avail_in);
      if (status == Z_STREAM_END) {
        inside_member_ = false;
      } else if (status != Z_OK && status != Z_BUF_ERROR) {
        corrupt("gzip", stream_.msg ? stream_.msg : "no valid block");
      }
    }
    return wanted - stream_.avail_out;
  }

 private:
  /// Zero bytes may fill up the file after the last member (tape blocks); anything else must be
  /// another member.
  bool begin_member() {
    if (members_ > 0) {
      while (refill() && *data() == '\0') take(1);
      if (!refill()) return false;
      inflateReset(&stream_);
    }
    ++members_;
    return inside_member_ = true;
  }

  z_stream stream_{};
  bool inside_member_ = false;
  std::int64_t members_ = 0;
};

class ZstdSource : public BufferedSource {
 public:
  ZstdSource(std::unique_ptr<ByteSource> below, std::vector<char> begun)
      : BufferedSource(std::move(below), std::move(begun)), stream_(ZSTD_createDStream()) {
    BARCODEMAE_CHECK(stream_ != nullptr, "zstd cannot start");
    // A frame made by `zstd --long=31` needs a window of 2 GB; refuse those that cost more than
    // 256 MB, so that a hostile file cannot exhaust the memory.
    ZSTD_DCtx_setParameter(stream_, ZSTD_d_windowLogMax, 28);
  }
  ~ZstdSource() override { ZSTD_freeDStream(stream_); }
  ZstdSource(const ZstdSource&) = delete;
  ZstdSource& operator=(const ZstdSource&) = delete;

  std::size_t read(char* into, std::size_t size) override {
    ZSTD_outBuffer output{into, size, 0};
    while (output.pos == 0) {
      if (!refill()) {
        if (inside_frame_) truncated("zstd");
        return 0;
      }
      ZSTD_inBuffer input{data(), available(), 0};
      const std::size_t status = ZSTD_decompressStream(stream_, &output, &input);
      if (ZSTD_isError(status)) corrupt("zstd", ZSTD_getErrorName(status));
      take(input.pos);
      inside_frame_ = status != 0;
    }
    return output.pos;
  }

 private:
  ZSTD_DStream* stream_;
  bool inside_frame_ = false;
};

}  // namespace

std::unique_ptr<ByteSource> decompress(std::unique_ptr<ByteSource> source) {
  std::vector<char> begun(kZstdMagic.size());
  std::size_t size = 0;
  while (size < begun.size()) {
    const std::size_t got = source->read(begun.data() + size, begun.size() - size);
    if (got == 0) break;
    size += got;
  }
  begun.resize(size);
  const std::string_view magic(begun.data(), size);
  if (magic.starts_with(kGzipMagic)) {
    return std::make_unique<GzipSource>(std::move(source), std::move(begun));
  }
  // Skippable frames (0x184D2A50 … 5F) may come first.
  const bool skippable =
      size == 4 && (begun[0] & '\xf0') == '\x50' && magic.substr(1) == "\x2a\x4d\x18";
  if (magic == kZstdMagic || skippable) {
    return std::make_unique<ZstdSource>(std::move(source), std::move(begun));
  }
  return std::make_unique<PlainSource>(std::move(source), std::move(begun));
}

}  // namespace barcodemae
