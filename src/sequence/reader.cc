// SPDX-License-Identifier: MIT
#include "sequence/reader.h"

#include <fmt/format.h>

#include <bit>
#include <string_view>

#include "base/error.h"
#include "base/progress.h"
#include "sequence/line_reader.h"
#include "sequence/parser.h"
#include "sequence/text.h"

namespace barcodemae {
namespace {

/// Remembers ids by 64-bit hashes: among ten million the chance that two differing ones are taken
/// for the same is three in a million.
class SeenIds {
 public:
  /// Whether the id was added before; adds it.
  bool add(std::string_view id) {
    if (2 * (count_ + 1) > slots_.size()) grow();
    const std::uint64_t hash = std::hash<std::string_view>()(id) | 1;  // 0 marks a free slot
    const bool isnew = insert(hash);
    count_ += isnew;
    return !isnew;
  }

 private:
  bool insert(std::uint64_t hash) {
    const std::size_t mask = slots_.size() - 1;
    // The lowest bit is always set: the slot comes from the others.
    for (std::size_t slot = (hash >> 1) & mask;; slot = (slot + 1) & mask) {
      if (slots_[slot] == hash) return false;
      if (slots_[slot] == 0) {
        slots_[slot] = hash;
        return true;
      }
    }
  }
  void grow() {
    std::vector<std::uint64_t> old(std::max<std::size_t>(1024, 2 * slots_.size()));
    old.swap(slots_);
    for (const std::uint64_t hash : old) {
      if (hash != 0) insert(hash);
    }
  }

  std::vector<std::uint64_t> slots_;
  std::size_t count_ = 0;
};

/// A file in a format that we know and do not read, by its first bytes.
const char* foreign_format(std::string_view beginning) {
  if (beginning.starts_with("BZh")) return "compressed by bzip2";
  if (beginning.starts_with("\xfd"
                            "7zXZ")) {
    return "compressed by xz";
  }
  if (beginning.starts_with("PK\x03\x04")) return "a zip archive or a spreadsheet";
  if (beginning.starts_with("\xff\xfe") || beginning.starts_with("\xfe\xff")) return "UTF-16 text";
  if (beginning.starts_with("PAR1")) return "a Parquet file";
  if (beginning.starts_with("{") || beginning.starts_with("[")) return "JSON";
  if (beginning.starts_with("<")) return "HTML or XML";
  if (beginning.starts_with("LOCUS ")) return "a GenBank file";
  return nullptr;
}

}  // namespace

struct RecordReader::Implementation {
  Implementation(std::unique_ptr<ByteSource> source, const ReaderOptions& wanted)
      : lines(std::move(source)), options(wanted) {
    const std::string& name = lines.source().name();
    // A byte-order mark and blank lines may come before the text.
    constexpr std::size_t kLookedAt = std::size_t{64} << 10;
    std::string_view beginning = lines.beginning(kLookedAt);
    std::size_t skipped = beginning.starts_with("\xef\xbb\xbf") ? 3 : 0;
    skipped += std::min(beginning.substr(skipped).find_first_not_of(" \t\r\n"),
                        beginning.size() - skipped);
    beginning.remove_prefix(skipped);
    if (beginning.empty()) {
      throw UserError("{}: is empty; expected a FASTA, FASTQ, CSV or TSV file.", name);
    }
    const char* foreign = foreign_format(beginning);
    if (foreign == nullptr && beginning.find('\0') != std::string_view::npos) foreign = "binary";
    if (foreign != nullptr) {
      throw UserError(
          "{}: is {}; expected text: FASTA, FASTQ, CSV or TSV, plain, .gz or .zst.\n"
          "Check that this is the right file; unpack or export it as one of these.",
          name, foreign);
    }
    const std::size_t line_end = beginning.find_first_of("\r\n");
    if (line_end != std::string_view::npos && beginning[line_end] == '\r' &&
        line_end + 1 < beginning.size() && beginning[line_end + 1] != '\n') {
      throw UserError(
          "{}: its lines end with CR alone; expected LF or CRLF.\n"
          "Convert it: tr '\\r' '\\n' < FILE > NEWFILE.",
          name);
    }
    const char first = beginning.front();
    lines.skip(skipped);
    parser = first == '>'   ? make_fasta_parser(lines)
             : first == '@' ? make_fastq_parser(lines)
                            : make_table_parser(lines, wanted, report);
  }

  bool next(Record& record) {
    SequenceTraits traits;
    while (parser->next(record, traits, problem)) {
      ++ordinal;
      clean_text_in_place(record.id);
      if (!problem.empty()) {
        ++report.skipped;
        ++report.skipped_for[problem];
        if (report.skips.empty() || report.skips.size() < options.listed_skips) {
          report.skips.push_back({record.line, record.id, problem});
        }
        continue;
      }
      for (std::string& label : record.labels) clean_text_in_place(label);
      clean_text_in_place(record.split);
      clean_text_in_place(record.country);
      if (record.id.empty()) {
        if (options.name_by_place) record.id = fmt::format("record{}", ordinal);
      } else if (options.count_duplicate_ids) {
        report.duplicate_ids += ids.add(record.id);
      }
      ++report.records;
      report.lower_case += traits.lower_case;
      report.uracil += traits.uracil;
      report.gaps += traits.gaps;
      report.trailing_n += traits.trailing_n;
      report.ambiguous += traits.ambiguous;
      report.unread_headers += traits.unread_header;
      return true;
    }
    if (report.records == 0) nothing_usable();
    return false;
  }

  [[noreturn]] void nothing_usable() const {
    const std::string& name = lines.source().name();
    if (report.skips.empty()) {
      throw UserError("{}: no record follows the header.\nExpected {}.", name,
                      parser->expectation());
    }
    const ReadReport::Skip& skip = report.skips.front();
    throw UserError(
        "{}, line {}: not one of {} records can be used; the first: {}.\n"
        "Expected {}.",
        name, skip.line, format_count(report.skipped), skip.reason, parser->expectation());
  }

  LineReader lines;
  ReaderOptions options;
  ReadReport report;
  std::unique_ptr<RecordParser> parser;
  SeenIds ids;
  std::int64_t ordinal = 0;  ///< of the record in the file, skipped ones counted
  std::string problem;
};

RecordReader::RecordReader(const std::filesystem::path& path, const ReaderOptions& options)
    : RecordReader(read_ahead(decompress(open_file(path))), options) {}

RecordReader::RecordReader(std::unique_ptr<ByteSource> source, const ReaderOptions& options)
    : implementation_(std::make_unique<Implementation>(std::move(source), options)) {}

RecordReader::~RecordReader() = default;

bool RecordReader::next(Record& record) { return implementation_->next(record); }

const ReadReport& RecordReader::report() const { return implementation_->report; }

bool RecordReader::has_splits() const { return implementation_->parser->has_splits(); }

std::int64_t RecordReader::bytes_read() const { return implementation_->lines.source().position(); }

std::int64_t RecordReader::bytes_total() const { return implementation_->lines.source().total(); }

std::string ReadReport::summary(const std::string& file) const {
  std::vector<std::string> parts;
  if (skipped > 0) {
    const Skip& first = skips.front();
    parts.push_back(fmt::format("{} of {} records skipped (the first, line {}: {})",
                                format_count(skipped), format_count(skipped + records), first.line,
                                first.reason));
  }
  const auto count = [&](std::int64_t number, const char* what) {
    if (number > 0) parts.push_back(format_count(number) + " " + what);
  };
  count(other_markers, "rows of other markers left out");
  count(duplicate_ids, "with an id seen before");
  count(lower_case, "in lower case");
  count(uracil, "with U read as T");
  count(gaps, "with gaps dropped");
  count(trailing_n, "with trailing N stripped");
  count(ambiguous, "with ambiguity codes");
  count(unread_headers, "with a FASTA header of no known form, read without labels");
  if (parts.empty()) return {};
  std::string text = file + ": " + parts[0];
  for (std::size_t i = 1; i < parts.size(); ++i) text += ", " + parts[i];
  return text + ".";
}

}  // namespace barcodemae
