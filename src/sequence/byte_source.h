// SPDX-License-Identifier: MIT
// Where a reader's bytes come from: a file, standard input, memory; decompressed, read ahead.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace barcodemae {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// Reads at least one and at most `size` bytes and returns their number; 0 at the end. Throws
  /// UserError when the bytes cannot be had.
  virtual std::size_t read(char* into, std::size_t size) = 0;
  /// Bytes taken so far from the file or memory below, compressed as they lie, and how many there
  /// are (0 when unknown). May be called while another thread reads.
  virtual std::int64_t position() const = 0;
  virtual std::int64_t total() const = 0;
  /// For messages: the path, or "standard input".
  virtual const std::string& name() const = 0;
};

/// "-" is standard input. Throws UserError when the file is missing, a directory or not readable.
std::unique_ptr<ByteSource> open_file(const std::filesystem::path& path);

/// Bytes in memory, which must outlive the source.
std::unique_ptr<ByteSource> memory_source(std::string_view bytes, std::string name);

/// Tells gzip (many members, bgzip) and zstd (many frames) by their first bytes and decompresses;
/// anything else passes as it is. Reading throws UserError when the data are corrupt or truncated.
std::unique_ptr<ByteSource> decompress(std::unique_ptr<ByteSource> source);

/// Reads `source` in a thread of its own, a few blocks ahead.
std::unique_ptr<ByteSource> read_ahead(std::unique_ptr<ByteSource> source);

}  // namespace barcodemae
