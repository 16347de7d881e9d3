// SPDX-License-Identifier: MIT
#include "sequence/writer.h"

#include <zlib.h>
#include <zstd.h>

#include <array>
#include <optional>

#include "base/atomic_file.h"
#include "base/error.h"

namespace barcodemae {
namespace {

enum class Layout { kCsv, kTsv, kFasta };
enum class Compression { kNone, kGzip, kZstd };

constexpr int kGzipLevel = 1, kZstdLevel = 1;

std::string gzip(std::string_view text) {
  z_stream stream{};
  constexpr int kGzipHeader = 16, kMemoryLevel = 8;
  BARCODEMAE_CHECK(deflateInit2(&stream, kGzipLevel, Z_DEFLATED, MAX_WBITS + kGzipHeader,
                                kMemoryLevel, Z_DEFAULT_STRATEGY) == Z_OK,
                   "zlib cannot start");
  std::string member(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(member.data());
  stream.avail_out = static_cast<uInt>(member.size());
  const int status = deflate(&stream, Z_FINISH);
  member.resize(stream.total_out);
  deflateEnd(&stream);
  BARCODEMAE_CHECK(status == Z_STREAM_END, "zlib returned {}", status);
  return member;
}

std::string zstd(std::string_view text) {
  std::string frame(ZSTD_compressBound(text.size()), '\0');
  const std::size_t size =
      ZSTD_compress(frame.data(), frame.size(), text.data(), text.size(), kZstdLevel);
  BARCODEMAE_CHECK(!ZSTD_isError(size), "zstd: {}", ZSTD_getErrorName(size));
  frame.resize(size);
  return frame;
}

std::string compress(std::string text, Compression compression) {
  switch (compression) {
    case Compression::kNone:
      return text;
    case Compression::kGzip:
      return gzip(text);
    case Compression::kZstd:
      return zstd(text);
  }
  return text;
}

/// A field of a table; in TSV, which has no quoting, tabs and line ends become spaces.
void append_field(std::string_view field, Layout layout, std::string& out) {
  if (layout == Layout::kTsv) {
    for (const char c : field) out += c == '\t' || c == '\n' || c == '\r' ? ' ' : c;
    return;
  }
  if (field.find_first_of(",\"\n\r") == std::string_view::npos) {
    out += field;
    return;
  }
  out += '"';
  for (const char c : field) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
}

constexpr std::array<Rank, kRankCount> kAllRanks = {
    Rank::kKingdom,   Rank::kPhylum, Rank::kClass,   Rank::kOrder, Rank::kFamily,
    Rank::kSubfamily, Rank::kGenus,  Rank::kSpecies, Rank::kBin};
constexpr std::size_t kRanksAboveClass = 2;

using Ranks = std::span<const Rank>;

std::string table_header(Layout layout, Ranks ranks) {
  const char separator = layout == Layout::kTsv ? '\t' : ',';
  std::string header = "processid";
  for (const Rank rank : ranks) (header += separator) += to_string(rank);
  for (const char* name : {"country", "split", "dna_barcode"}) (header += separator) += name;
  return header + '\n';
}

void append_row(const Record& record, Layout layout, Ranks ranks, std::string& out) {
  const char separator = layout == Layout::kTsv ? '\t' : ',';
  append_field(record.id, layout, out);
  for (const Rank rank : ranks) append_field(record.label(rank), layout, out += separator);
  append_field(record.country, layout, out += separator);
  append_field(record.split, layout, out += separator);
  ((out += separator) += record.sequence) += '\n';  // bases: nothing to quote
}

/// ">id;tax=c:…,o:…;", names without the characters that end one there.
void append_fasta(const Record& record, std::string& out) {
  constexpr std::array<std::pair<Rank, char>, 7> kLetters = {
      std::pair{Rank::kKingdom, 'k'}, std::pair{Rank::kPhylum, 'p'}, std::pair{Rank::kClass, 'c'},
      std::pair{Rank::kOrder, 'o'},   std::pair{Rank::kFamily, 'f'}, std::pair{Rank::kGenus, 'g'},
      std::pair{Rank::kSpecies, 's'}};
  const auto append_name = [&](std::string_view name) {
    for (const char c : name) {
      out += c == ',' || c == ';' || c == ' ' || c == '\n' || c == '\r' || c == '\t' ? '_' : c;
    }
  };
  out += '>';
  append_name(record.id);
  const char* before = ";tax=";
  for (const auto& [rank, letter] : kLetters) {
    if (record.label(rank).empty()) continue;
    ((out += before) += letter) += ':';
    append_name(record.label(rank));
    before = ",";
  }
  if (*before == ',') out += ';';
  ((out += '\n') += record.sequence) += '\n';
}

}  // namespace

struct RecordWriter::Implementation {
  Implementation(const std::filesystem::path& path, TableRanks table_ranks) {
    if (table_ranks == TableRanks::kFromClass) ranks = ranks.subspan(kRanksAboveClass);
    if (path != "-") choose_format(path);
    file.emplace(path);
  }

  void choose_format(std::filesystem::path path) {
    if (path.extension() == ".gz") compression = Compression::kGzip;
    if (path.extension() == ".zst") compression = Compression::kZstd;
    if (compression != Compression::kNone) path.replace_extension();
    const std::string ending = path.extension().string();
    if (ending == ".tsv") {
      layout = Layout::kTsv;
    } else if (ending == ".fasta" || ending == ".fa" || ending == ".fas" || ending == ".fna") {
      layout = Layout::kFasta;
    } else if (ending != ".csv" && !ending.empty()) {
      throw UserError(
          "{}: this ending names no format that is written.\n"
          "Expected .csv, .tsv, .fasta or .fa, with .gz or .zst behind it to compress; or - for "
          "CSV\n"
          "to standard output.",
          path.string());
    }
  }

  Layout layout = Layout::kCsv;
  Ranks ranks = kAllRanks;
  Compression compression = Compression::kNone;
  std::optional<AtomicFile> file;  ///< always there once the ending is known to be right
};

RecordWriter::RecordWriter(const std::filesystem::path& path, TableRanks ranks)
    : implementation_(std::make_unique<Implementation>(path, ranks)) {
  if (keeps_splits()) {
    write(compress(table_header(implementation_->layout, implementation_->ranks),
                   implementation_->compression));
  }
}

RecordWriter::~RecordWriter() = default;

bool RecordWriter::keeps_splits() const { return implementation_->layout != Layout::kFasta; }

std::string RecordWriter::encode(std::span<const Record> records) const {
  std::string text;
  for (const Record& record : records) {
    if (implementation_->layout == Layout::kFasta) {
      append_fasta(record, text);
    } else {
      append_row(record, implementation_->layout, implementation_->ranks, text);
    }
  }
  return compress(std::move(text), implementation_->compression);
}

void RecordWriter::write(std::string_view encoded) { implementation_->file->write(encoded); }

void RecordWriter::commit() { implementation_->file->commit(); }

}  // namespace barcodemae
