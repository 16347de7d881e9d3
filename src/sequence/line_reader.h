// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "sequence/byte_source.h"

namespace barcodemae {

/// Lines of a text, without copying them. The current text is one line, or several after extend().
class LineReader {
 public:
  /// Nobody's barcode is longer: a line beyond this is no line.
  static constexpr std::size_t kMaxTextBytes = std::size_t{64} << 20;

  explicit LineReader(std::unique_ptr<ByteSource> source);

  /// Goes to the next line; false at the end. Throws UserError for a line above kMaxTextBytes.
  bool next();
  /// Adds the next line to the current text; false at the end.
  bool extend();
  /// Takes the current text back to its first line: the others will be read again.
  void keep_first_line();
  /// Without the line end (LF or CRLF) of its last line. Valid until the next call of another.
  std::string_view text() const;
  /// Number of the current text's first line, from 1.
  std::int64_t line() const { return line_; }
  /// First byte of the line to come, or −1 at the end. Lines already got are no longer valid.
  int peek();
  /// The first bytes of the file, at most `size`, before any line is read.
  std::string_view beginning(std::size_t size);
  /// Leaves out the next bytes of the file, at most what beginning() showed.
  void skip(std::size_t bytes);

  const ByteSource& source() const { return *source_; }

 private:
  bool fill();

  std::unique_ptr<ByteSource> source_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;  // current text: [begin_, text_end_)
  std::size_t text_end_ = 0;
  std::size_t next_ = 0;  // where the line to come begins
  std::size_t end_ = 0;   // end of the bytes in buffer_
  // The same for the text's first line alone.
  std::size_t first_text_end_ = 0, first_next_ = 0;
  std::int64_t line_ = 0, lines_in_text_ = 1;
  bool at_end_ = false;
};

}  // namespace barcodemae
