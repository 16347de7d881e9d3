// SPDX-License-Identifier: MIT
#include "sequence/fasta_header.h"
#include "sequence/parser.h"

namespace barcodemae {
namespace {

class FastaParser : public RecordParser {
 public:
  explicit FastaParser(LineReader& lines) : lines_(lines) {}

  bool next(Record& record, SequenceTraits& traits, std::string& problem) override {
    // The first line of the file begins with '>' and each record is read up to the next such line.
    if (!lines_.next()) return false;
    record.line = lines_.line();
    const bool understood = parse_fasta_header(lines_.text().substr(1), record);
    SequenceNormaliser sequence(record.sequence);
    for (int first = lines_.peek(); first != '>' && first >= 0; first = lines_.peek()) {
      lines_.next();
      sequence.append(lines_.text());
    }
    problem = sequence.finish(traits);
    traits.unread_header = !understood;
    return true;
  }

  std::string expectation() const override {
    return "FASTA: a line '>id' or '>id|genus|species', then lines of bases";
  }

 private:
  LineReader& lines_;
};

}  // namespace

std::unique_ptr<RecordParser> make_fasta_parser(LineReader& lines) {
  return std::make_unique<FastaParser>(lines);
}

}  // namespace barcodemae
