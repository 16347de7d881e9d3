// SPDX-License-Identifier: MIT
// Barcodes to files.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "sequence/record.h"

namespace barcodemae {

/// Ranks that have a column in tables.
enum class TableRanks { kFromClass, kAll };

/// Writes records as CSV, TSV or FASTA by the file's name (.csv or no ending, .tsv, .fasta, .fa, …;
/// .gz or .zst behind compress); "-" is standard output, as CSV. Tables have the columns processid,
/// class, order, family, subfamily, genus, species, dna_bin, country, split, dna_barcode; FASTA has
/// SINTAX headers, without split, BIN and country. With TableRanks::kAll, tables have kingdom and
/// phylum too, before class. A file appears whole or not at all; a pipe or
/// device is written to as it goes.
class RecordWriter {
 public:
  /// Throws UserError for an ending that names no format, and as AtomicFile does.
  explicit RecordWriter(const std::filesystem::path& path,
                        TableRanks ranks = TableRanks::kFromClass);
  ~RecordWriter();
  RecordWriter(const RecordWriter&) = delete;
  RecordWriter& operator=(const RecordWriter&) = delete;

  /// Whether the format has a place for them: tables have.
  bool keeps_splits() const;
  /// The records as they stand in the file: text, or a gzip member or zstd frame of its own. Calls
  /// from several threads may overlap; what comes out depends on the records alone.
  std::string encode(std::span<const Record> records) const;
  /// Appends what encode() gave. Throws UserError on a full disk or closed output.
  void write(std::string_view encoded);
  /// Syncs the file and gives it its name.
  void commit();

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace barcodemae
