// SPDX-License-Identifier: MIT
// How fast files of barcodes are read, beside what the processor does byte by byte.
#pragma once

#include <cstdint>
#include <string>

namespace barcodemae {

struct ReadRequest {
  std::string ending;  ///< as RecordWriter knows it: "fasta", "fasta.gz", "csv", "csv.zst"
  std::int64_t records = 100'000;
  int repeats = 5;
};

struct ReadSpeed {
  double text_mb = 0;        ///< of the text, decompressed, in 10^6 bytes
  double mb_per_s = 0;       ///< of text through RecordReader: median of the repeats
  double records_per_s = 0;  ///< the same
  double hash_mb_per_s = 0;  ///< the yardstick: FNV-1a, one multiplication a byte, on one thread
};

/// Writes simulated barcodes to a file in the temporary folder, reads it and removes it; each
/// repeat has the yardstick beside it. Throws UserError as RecordWriter does. To be called in a
/// process of its own, whose signals it takes.
ReadSpeed measure_reading(const ReadRequest& request);

}  // namespace barcodemae
