// SPDX-License-Identifier: MIT
#include <isa-l/igzip_lib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/error.h"
#include "sequence/byte_source.h"

namespace barcodemae {
namespace {

constexpr std::size_t kInputBytes = std::size_t{1} << 18;
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
  /// Past the buffer, which must be empty.
  std::size_t read_below(char* into, std::size_t size) { return below_->read(into, size); }
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
    if (available() == 0) return read_below(into, size);
    const std::size_t count = std::min(size, available());
    std::copy_n(data(), count, into);
    take(count);
    return count;
  }
};

class GzipSource : public BufferedSource {
 public:
  GzipSource(std::unique_ptr<ByteSource> below, std::vector<char> begun)
      : BufferedSource(std::move(below), std::move(begun)), state_(new inflate_state) {
    isal_inflate_init(state_.get());
  }

  std::size_t read(char* into, std::size_t size) override {
    const auto wanted = static_cast<std::uint32_t>(std::min<std::size_t>(size, 1u << 30));
    state_->next_out = reinterpret_cast<std::uint8_t*>(into);
    state_->avail_out = wanted;
    while (state_->avail_out == wanted) {
      const bool more = refill();
      if (!inside_member_ && !(more && begin_member())) return 0;
      state_->next_in = reinterpret_cast<std::uint8_t*>(const_cast<char*>(data()));
      state_->avail_in = static_cast<std::uint32_t>(available());
      const int status = inside_header_ ? read_header() : isal_inflate(state_.get());
      take(available() - state_->avail_in);
      if (status < 0) corrupt("gzip", cause(status));
      if (state_->block_state == ISAL_BLOCK_FINISH) {
        inside_member_ = false;
      } else if (!more && state_->avail_out == wanted) {  // nor was anything held back
        truncated("gzip");
      }
    }
    return wanted - state_->avail_out;
  }

 private:
  /// Zero bytes may fill up the file after the last member (tape blocks); anything else must be
  /// another member.
  bool begin_member() {
    if (members_ > 0) {
      while (refill() && *data() == '\0') take(1);
      if (!refill()) return false;
      // The library would wait for a whole header.
      if (*data() != kGzipMagic.front()) corrupt("gzip", cause(ISAL_INVALID_WRAPPER));
      isal_inflate_reset(state_.get());
    }
    ++members_;
    isal_gzip_header_init(&header_);
    return inside_member_ = inside_header_ = true;
  }

  /// Goes on with a member's header, which may end in a later block: isal_inflate() itself would
  /// forget what it has seen of it.
  int read_header() {
    const int status = isal_read_gzip_header(state_.get(), &header_);
    if (status == ISAL_DECOMP_OK) {
      inside_header_ = false;
      state_->crc_flag = ISAL_GZIP_NO_HDR_VER;  // checksum and length at the end are verified
    }
    return status;
  }

  static const char* cause(int status) {
    switch (status) {
      case ISAL_INVALID_BLOCK:
        return "no valid block";
      case ISAL_INVALID_SYMBOL:
        return "no valid symbol";
      case ISAL_INVALID_LOOKBACK:
        return "a distance too far back";
      case ISAL_INVALID_WRAPPER:
        return "no gzip header";
      case ISAL_UNSUPPORTED_METHOD:
        return "an unknown compression method";
      case ISAL_INCORRECT_CHECKSUM:
        return "wrong checksum";
      default:
        return "unknown";
    }
  }

  std::unique_ptr<inflate_state> state_;  // of some hundred kilobytes
  isal_gzip_header header_{};
  bool inside_member_ = false, inside_header_ = false;
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
      if (ZSTD_getErrorCode(status) == ZSTD_error_frameParameter_windowTooLarge) {
        throw UserError(
            "{}: the zstd data need a window of more than 256 MB.\n"
            "Compress them again without --long: zstd -dc --long=31 FILE | zstd > OTHER",
            name());
      }
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
