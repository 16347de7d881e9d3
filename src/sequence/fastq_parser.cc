// SPDX-License-Identifier: MIT
#include <array>

#include "sequence/fasta_header.h"
#include "sequence/parser.h"
#include "sequence/text.h"

namespace barcodemae {
namespace {

/// Four lines a record. What is no record is skipped line by line until one begins again, and
/// reported once.
class FastqParser : public RecordParser {
 public:
  explicit FastqParser(LineReader& lines) : lines_(lines) {}

  bool next(Record& record, SequenceTraits& traits, std::string& problem) override {
    while (lines_.next()) {
      if (trim(lines_.text()).empty()) continue;
      record.line = lines_.line();
      const std::string fault = read(record, traits, problem);
      if (fault.empty()) {
        lost_ = false;
        return true;
      }
      lines_.keep_first_line();
      if (lost_) continue;
      lost_ = true;
      record.id = first_word();
      problem = fault;
      return true;
    }
    return false;
  }

  std::string expectation() const override {
    return "FASTQ with four lines a record: '@id', bases, '+', as many qualities as bases";
  }

 private:
  std::string first_word() const {
    std::string_view text = trim(lines_.text());
    if (text.starts_with('@')) text.remove_prefix(1);
    return excerpt(text.substr(0, text.find(' ')), 60);
  }

  /// Reads the record that begins with the current line; returns why there is none.
  std::string read(Record& record, SequenceTraits& traits, std::string& problem) {
    if (!lines_.text().starts_with('@')) return "a record begins with '@'";
    std::array<std::size_t, 4> ends{lines_.text().size()};
    for (std::size_t i = 1; i < ends.size(); ++i) {
      if (!lines_.extend()) return "the file ends within the record";
      ends[i] = lines_.text().size();
    }
    const auto line = [&](std::size_t i) {
      const std::string_view text = lines_.text().substr(0, ends[i]);
      return text.substr(text.rfind('\n') + 1);
    };
    if (!line(2).starts_with('+')) return "the third line of a record begins with '+'";
    if (line(1).size() != line(3).size()) return "bases and qualities differ in number";
    parse_fasta_header(line(0).substr(1), record);
    SequenceNormaliser sequence(record.sequence);
    sequence.append(line(1));
    problem = sequence.finish(traits);
    return {};
  }

  LineReader& lines_;
  bool lost_ = false;
};

}  // namespace

std::unique_ptr<RecordParser> make_fastq_parser(LineReader& lines) {
  return std::make_unique<FastqParser>(lines);
}

}  // namespace barcodemae
