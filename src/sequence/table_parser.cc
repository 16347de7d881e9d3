// SPDX-License-Identifier: MIT
// CSV (RFC 4180) and TSV with named columns.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cstring>
#include <map>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/progress.h"
#include "sequence/columns.h"
#include "sequence/parser.h"
#include "sequence/text.h"

namespace barcodemae {
namespace {

/// A quoted field may hold line ends. One that runs over more lines than this is a stray quote: the
/// row is given up and reading goes on with its second line.
constexpr int kMaxLinesPerRow = 100;

/// Splits a row of a table. In CSV a field may be quoted as RFC 4180 has it; in TSV quotes are
/// characters like others unless they enclose the whole field, as spreadsheets write it.
class RowSplitter {
 public:
  explicit RowSplitter(char separator) : separator_(separator) {}

  /// The fields of the row that begins with the current line; the reader is taken on over the lines
  /// of quoted fields. Returns why it is no row; `lines` is then back at its first line.
  std::string split(LineReader& lines) {
    const bool quotes = has_quote(lines.text());
    if (!quotes) {
      split_plain(lines.text());
      return {};
    }
    if (separator_ == '\t') {
      split_plain(lines.text());
      unquote_whole_fields();
      return {};
    }
    std::string fault = split_quoted(lines.text());
    for (int count = 1; fault == kOpenQuote; ++count) {
      if (count == kMaxLinesPerRow || !lines.extend()) break;
      // Only a line with a quote can close the field.
      if (has_quote(last_line(lines.text()))) fault = split_quoted(lines.text());
    }
    if (!fault.empty()) lines.keep_first_line();
    return fault;
  }

  const std::vector<std::string_view>& fields() const { return fields_; }

 private:
  static constexpr const char* kOpenQuote = "a quote is opened and never closed";

  static bool has_quote(std::string_view text) {
    return !text.empty() && std::memchr(text.data(), '"', text.size()) != nullptr;
  }
  static std::string_view last_line(std::string_view text) {
    return text.substr(text.rfind('\n') + 1);
  }

  void split_plain(std::string_view text) {
    fields_.clear();
    for (;;) {
      const std::size_t end = text.find(separator_);
      fields_.push_back(text.substr(0, end));
      if (end == std::string_view::npos) return;
      text.remove_prefix(end + 1);
    }
  }

  void unquote_whole_fields() {
    used_ = 0;
    for (std::string_view& field : fields_) {
      if (field.size() < 2 || field.front() != '"' || field.back() != '"') continue;
      field = unescape(field.substr(1, field.size() - 2));
    }
  }

  std::string split_quoted(std::string_view text) {
    fields_.clear();
    used_ = 0;
    std::size_t begin = 0;
    for (;;) {
      if (begin < text.size() && text[begin] == '"') {
        std::size_t close = begin + 1;
        for (;; close += 2) {
          close = text.find('"', close);
          if (close == std::string_view::npos) return kOpenQuote;
          if (close + 1 == text.size() || text[close + 1] != '"') break;
        }
        fields_.push_back(unescape(text.substr(begin + 1, close - begin - 1)));
        begin = close + 1;
        if (begin == text.size()) return {};
        if (text[begin] != separator_) return "text follows a closing quote";
        ++begin;
      } else {
        const std::size_t end = text.find(separator_, begin);
        fields_.push_back(text.substr(begin, end - begin));
        if (end == std::string_view::npos) return {};
        begin = end + 1;
      }
    }
  }

  /// Doubled quotes as one. The text lives until the next row.
  std::string_view unescape(std::string_view text) {
    if (!has_quote(text)) return text;
    if (used_ == unescaped_.size()) unescaped_.push_back(std::make_unique<std::string>());
    std::string& copy = *unescaped_[used_++];
    copy.clear();
    append_unescaped(copy, text);
    return copy;
  }

  char separator_;
  std::vector<std::string_view> fields_;
  std::vector<std::unique_ptr<std::string>> unescaped_;  // their buffers must not move
  std::size_t used_ = 0;
};

class TableParser : public RecordParser {
 public:
  TableParser(LineReader& lines, const ReaderOptions& options, ReadReport& report)
      : lines_(lines), marker_(options.marker_code), report_(report), splitter_('\t') {
    lines_.next();
    const bool tabs = lines_.text().find('\t') != std::string_view::npos;
    splitter_ = RowSplitter(tabs ? '\t' : ',');
    const std::string fault = splitter_.split(lines_);
    if (!fault.empty()) {
      throw UserError("{}, line {}: the header cannot be read: {}.\nExpected {}.",
                      lines_.source().name(), lines_.line(), fault, expectation());
    }
    std::vector<std::string> header;
    for (const std::string_view field : splitter_.fields()) header.push_back(clean_text(field));
    columns_ = header.size();
    sequence_ = find_column(
        header, {"dna_barcode", "nucleotides", "nuc", "sequence", "seq", "barcode_sequence"});
    if (sequence_ == kNoColumn) refuse(header);
    id_ = find_column(header, id_columns());
    split_ = find_column(header, {"split"});
    country_ = find_column(header, {"country", "country/ocean", "country_ocean", "country.ocean"});
    if (!marker_.empty()) marker_column_ = find_column(header, {"marker_code", "markercode"});
    for (std::size_t rank = 0; rank < kRankCount; ++rank) {
      ranks_[rank] = find_column(header, rank_columns(static_cast<Rank>(rank)));
    }
  }

  bool next(Record& record, SequenceTraits& traits, std::string& problem) override {
    while (lines_.next()) {
      if (trim(lines_.text()).empty()) continue;
      record.line = lines_.line();
      problem = splitter_.split(lines_);
      if (!problem.empty()) {
        record.id = excerpt(lines_.text().substr(0, lines_.text().find_first_of(",\t")), 60);
        return true;
      }
      const std::vector<std::string_view>& fields = splitter_.fields();
      if (fields.size() != columns_) {
        problem = fmt::format("{} columns where the header has {}", fields.size(), columns_);
        record.id = id_ < fields.size() ? excerpt(fields[id_], 60) : std::string();
        lines_.keep_first_line();
        return true;
      }
      if (marker_column_ != kNoColumn && trim(fields[marker_column_]) != marker_) {
        ++report_.other_markers;
        if (other_marker_.empty()) other_marker_ = excerpt(fields[marker_column_], 40);
        continue;
      }
      fill(fields, record, traits, problem);
      return true;
    }
    return false;
  }

  bool has_splits() const override { return split_ != kNoColumn; }

  std::string expectation() const override {
    if (report_.other_markers > 0) {
      return fmt::format("rows with marker_code {} ({} rows have another, such as '{}')", marker_,
                         format_count(report_.other_markers), other_marker_);
    }
    return "a table with a header and one row a barcode, with as many columns as the header";
  }

 private:
  [[noreturn]] void refuse(const std::vector<std::string>& header) const {
    std::vector<std::string> names;
    names.reserve(header.size());
    for (const std::string& name : header) names.push_back(excerpt(name, 30));
    if (header.size() == 1 && header[0].find(';') != std::string::npos) {
      throw UserError(
          "{}, line {}: this table is separated by ';'.\n"
          "Expected commas or tabs: export it again as CSV (comma) or TSV.",
          lines_.source().name(), lines_.line());
    }
    if (header.size() == 1) {
      throw UserError(
          "{}, line {}: '{}' begins neither FASTA ('>'), FASTQ ('@') nor a table of barcodes.\n"
          "Expected a FASTA, FASTQ, CSV or TSV file, plain, .gz or .zst; the format is told by "
          "its\n"
          "first line. Check that this is the right file.",
          lines_.source().name(), lines_.line(), excerpt(header[0], 60));
    }
    throw UserError(
        "{}, line {}: no column holds sequences.\n"
        "Found {} columns: {}.\n"
        "Expected one named dna_barcode, nucleotides, nuc, sequence or seq: rename yours.",
        lines_.source().name(), lines_.line(), header.size(), listed(names));
  }

  void fill(const std::vector<std::string_view>& fields, Record& record, SequenceTraits& traits,
            std::string& problem) {
    const auto text = [&](std::size_t column) {
      return column == kNoColumn ? std::string_view() : trim(fields[column]);
    };
    const auto label = [&](std::size_t column) {
      const std::string_view name = text(column);
      return is_missing_label(name) ? std::string_view() : name;
    };
    record.id = label(id_);
    for (std::size_t rank = 0; rank < kRankCount; ++rank) record.labels[rank] = label(ranks_[rank]);
    record.split = label(split_);
    record.split = canonical_split(record.split);
    // "NA" is Namibia here.
    record.country = text(country_) == "None" ? std::string_view() : text(country_);
    SequenceNormaliser sequence(record.sequence);
    sequence.append(label(sequence_));
    problem = sequence.finish(traits);
  }

  LineReader& lines_;
  std::string marker_;
  ReadReport& report_;
  RowSplitter splitter_;
  std::size_t columns_ = 0;
  std::size_t sequence_ = kNoColumn, id_ = kNoColumn, split_ = kNoColumn, country_ = kNoColumn,
              marker_column_ = kNoColumn;
  std::array<std::size_t, kRankCount> ranks_{};
  std::string other_marker_;
};

}  // namespace

std::unique_ptr<RecordParser> make_table_parser(LineReader& lines, const ReaderOptions& options,
                                                ReadReport& report) {
  return std::make_unique<TableParser>(lines, options, report);
}

}  // namespace barcodemae
