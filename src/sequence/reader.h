// SPDX-License-Identifier: MIT
// Barcodes from files, one at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sequence/byte_source.h"
#include "sequence/record.h"

namespace barcodemae {

/// What a reader met on the way; shown to the user after reading, and kept in results.
struct ReadReport {
  std::int64_t records = 0;        ///< usable, handed out
  std::int64_t skipped = 0;        ///< unusable: no sequence, malformed row
  std::int64_t other_markers = 0;  ///< rows left out because of their marker_code
  std::int64_t duplicate_ids = 0;  ///< records whose id an earlier one has; they are handed out too
  std::int64_t lower_case = 0, uracil = 0, gaps = 0, trailing_n = 0;  ///< records touched by each
  std::int64_t ambiguous = 0;                                         ///< records with IUPAC codes
  /// FASTA headers with text behind the id of which no known form makes labels.
  std::int64_t unread_headers = 0;
  std::map<std::string, std::int64_t> skipped_for;  ///< number of records by reason
  struct Skip {
    std::int64_t line = 0;
    std::string id, reason;
  };
  std::vector<Skip> skips;  ///< all of them, or the first ReaderOptions::listed_skips

  /// The sentences a user wants to read; empty when there is nothing to say.
  std::string summary(const std::string& file) const;
};

struct ReaderOptions {
  /// Keep only rows with this marker_code where the file has that column (BOLD); empty: all.
  std::string marker_code = "COI-5P";
  /// Skipped records to keep with line and reason, at least one; all are counted.
  std::size_t listed_skips = std::numeric_limits<std::size_t>::max();
  /// Whether to count records whose id came before, which takes memory for every record.
  bool count_duplicate_ids = true;
  /// Records without an id are called by their place in the file; else the id stays empty.
  bool name_by_place = true;
};

/// Streams the records of a FASTA, FASTQ, CSV or TSV file, plain or compressed (gzip with many
/// members, bgzip, zstd with many frames), "-" for standard input. The format is told by content.
/// CSV columns are resolved by name with aliases (docs/formats.md). Memory stays flat but for
/// sixteen bytes or so an id, by which duplicates are counted, and the list of skipped records.
class RecordReader {
 public:
  /// Throws UserError when the file is missing, empty, binary, or its header lacks a sequence
  /// column.
  explicit RecordReader(const std::filesystem::path& path, const ReaderOptions& options = {});
  /// The same from bytes of any origin; `source->name()` stands for the path in messages.
  explicit RecordReader(std::unique_ptr<ByteSource> source, const ReaderOptions& options = {});
  ~RecordReader();
  RecordReader(const RecordReader&) = delete;
  RecordReader& operator=(const RecordReader&) = delete;

  /// Fills `record` and returns true, or returns false at the end of the file. Unusable records are
  /// skipped and reported. Throws UserError on a truncated file or corrupt compression, and at the
  /// end when not one record was usable.
  bool next(Record& record);
  const ReadReport& report() const;
  /// Whether the file has a `split` column.
  bool has_splits() const;
  /// Bytes of the (compressed) file read so far, and its size (0 for standard input): for progress.
  std::int64_t bytes_read() const;
  std::int64_t bytes_total() const;

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace barcodemae
