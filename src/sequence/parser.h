// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>

#include "sequence/line_reader.h"
#include "sequence/normalise.h"
#include "sequence/reader.h"
#include "sequence/record.h"

namespace barcodemae {

/// One file format. Knows where records begin and end, and gives each as it can be used or says why
/// it cannot.
class RecordParser {
 public:
  virtual ~RecordParser() = default;

  /// Goes to the next record; false at the end of the file. When it cannot be used, `problem` says
  /// why (else it is left empty) and only `record.line` and `record.id` hold something.
  virtual bool next(Record& record, SequenceTraits& traits, std::string& problem) = 0;
  virtual bool has_splits() const { return false; }
  /// What a record looks like: a sentence for the message that none was usable.
  virtual std::string expectation() const = 0;
};

std::unique_ptr<RecordParser> make_fasta_parser(LineReader& lines);
std::unique_ptr<RecordParser> make_fastq_parser(LineReader& lines);
/// CSV, or TSV when the header has a tab. Throws UserError when no column holds the sequences.
std::unique_ptr<RecordParser> make_table_parser(LineReader& lines, const ReaderOptions& options,
                                                ReadReport& report);

}  // namespace barcodemae
