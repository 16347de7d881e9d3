// SPDX-License-Identifier: MIT
#include "sequence/line_reader.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace barcodemae {

namespace {
constexpr std::size_t kReadBytes = std::size_t{1} << 16;
}

LineReader::LineReader(std::unique_ptr<ByteSource> source) : source_(std::move(source)) {}

/// Brings more bytes behind those there are, keeping everything from begin_ on; false at the end.
bool LineReader::fill() {
  if (at_end_) return false;
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    text_end_ -= std::min(begin_, text_end_);
    first_text_end_ -= std::min(begin_, first_text_end_);
    first_next_ -= std::min(begin_, first_next_);
    next_ -= begin_;
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ > kMaxTextBytes) {
    throw UserError(
        "{}, line {}: a line of more than {} MB; expected text with barcodes of some hundred "
        "bases.\n"
        "Check that this is the right file.",
        source_->name(), line_ + lines_in_text_, kMaxTextBytes >> 20);
  }
  if (buffer_.size() - end_ < kReadBytes) {
    buffer_.resize(std::max(end_ + kReadBytes, buffer_.size() * 2));
  }
  const std::size_t got = source_->read(buffer_.data() + end_, buffer_.size() - end_);
  end_ += got;
  at_end_ = got == 0;
  return !at_end_;
}

bool LineReader::next() {
  begin_ = text_end_ = next_;
  line_ += lines_in_text_;
  lines_in_text_ = 0;
  return extend();
}

bool LineReader::extend() {
  std::size_t searched = next_ - begin_;  // relative to begin_, which fill() moves
  for (;;) {
    const char* from = buffer_.data() + begin_ + searched;
    const std::size_t left = end_ - begin_ - searched;
    const void* found = left > 0 ? std::memchr(from, '\n', left) : nullptr;
    if (found != nullptr) {
      text_end_ = static_cast<std::size_t>(static_cast<const char*>(found) - buffer_.data());
      next_ = text_end_ + 1;
      break;
    }
    searched += left;
    if (!fill()) {
      if (next_ == end_) return false;
      text_end_ = next_ = end_;
      break;
    }
  }
  if (++lines_in_text_ == 1) {
    first_next_ = next_;
    first_text_end_ = text_end_;
  }
  return true;
}

void LineReader::keep_first_line() {
  next_ = first_next_;
  text_end_ = first_text_end_;
  lines_in_text_ = 1;
}

std::string_view LineReader::text() const {
  std::string_view text(buffer_.data() + begin_, text_end_ - begin_);
  if (text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

int LineReader::peek() {
  if (next_ == end_ && !fill()) return -1;
  return static_cast<unsigned char>(buffer_[next_]);
}

std::string_view LineReader::beginning(std::size_t size) {
  while (end_ - next_ < size && fill()) {
  }
  return {buffer_.data() + next_, std::min(size, end_ - next_)};
}

void LineReader::skip(std::size_t bytes) {
  const char* from = buffer_.data() + next_;
  line_ += std::count(from, from + bytes, '\n');
  next_ += bytes;
}

}  // namespace barcodemae
