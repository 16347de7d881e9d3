// SPDX-License-Identifier: MIT
#include "inference/embedding_writer.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string_view>
#include <system_error>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/log.h"

namespace barcodemae {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kBuffer = 1 << 20;
constexpr std::size_t kSkipsShown = 20;  // of those that no file lists

/// One cell of a TSV file: the separators themselves cannot be part of it.
void append_cell(std::string& line, std::string_view text) {
  for (const char c : text) line += c == '\t' || c == '\n' || c == '\r' ? ' ' : c;
}

/// An AtomicFile written in large pieces.
class TextOutput {
 public:
  explicit TextOutput(const fs::path& path) : file_(path) {}
  void write(std::string_view text) {
    buffer_ += text;
    if (buffer_.size() >= kBuffer) flush();
  }
  void finish() {
    flush();
    file_.sync();
  }
  void commit() { file_.commit(); }

 private:
  void flush() {
    file_.write(buffer_);
    buffer_.clear();
  }
  AtomicFile file_;
  std::string buffer_;
};

}  // namespace

struct EmbeddingWriter::Implementation {
  Columns columns;
  fs::path skipped_path, maker_path;
  std::optional<NpyWriter> npy;
  std::optional<TextOutput> text;
  std::string line;
};

EmbeddingWriter::EmbeddingWriter(const fs::path& path, const Columns& columns)
    : implementation_(std::make_unique<Implementation>()) {
  Implementation& self = *implementation_;
  self.columns = columns;
  const bool standard_output = path == "-";
  const bool npy = path.extension() == ".npy";
  if (!standard_output && !npy && path.extension() != ".tsv")
    throw UserError("{}: expected a name ending in .npy or .tsv, or - for standard output",
                    path.string());
  if (!npy && columns.type == NpyType::kFloat16)
    throw UserError("{}: float16 is for .npy; text holds every digit of float32", path.string());
  if (npy) self.npy.emplace(path, columns.width, columns.type);
  self.text.emplace(standard_output ? path : fs::path(path).replace_extension(".tsv"));
  if (!standard_output) self.skipped_path = fs::path(path).replace_extension(".skipped.tsv");
  self.maker_path = fs::path(path).replace_extension(".model.json");

  std::string header = "id";
  for (std::size_t rank = 0; rank < kRankCount; ++rank)
    header += std::string("\t") + to_string(static_cast<Rank>(rank));
  if (columns.split) header += "\tsplit";
  if (columns.anchored) header += "\tanchored";
  if (!npy)
    for (int i = 0; i < columns.width; ++i) header += fmt::format("\te{}", i);
  self.text->write(header + "\n");
}

EmbeddingWriter::~EmbeddingWriter() = default;

const fs::path& EmbeddingWriter::skipped_path() const { return implementation_->skipped_path; }

void EmbeddingWriter::append(const Record& record, const Placement& placement,
                             std::span<const float> vector) {
  Implementation& self = *implementation_;
  std::string& line = self.line;
  line.clear();
  append_cell(line, record.id);
  for (const std::string& label : record.labels) {
    line += '\t';
    append_cell(line, label);
  }
  if (self.columns.split) {
    line += '\t';
    append_cell(line, record.split);
  }
  if (self.columns.anchored) line += placement.explained ? "\tyes" : "\tno";
  if (self.npy) {
    self.npy->append(vector);
  } else {
    // The shortest text that reads back as the same float.
    for (const float value : vector) fmt::format_to(std::back_inserter(line), "\t{}", value);
  }
  line += '\n';
  self.text->write(line);
}

void EmbeddingWriter::commit(const std::vector<ReadReport::Skip>& skips) {
  Implementation& self = *implementation_;
  self.text->finish();
  if (self.npy) self.npy->finish();
  std::string list = "line\tid\treason\n";
  for (const ReadReport::Skip& skip : skips) {
    list += fmt::format("{}\t", skip.line);
    append_cell(list, skip.id);
    list += '\t';
    append_cell(list, skip.reason);
    list += '\n';
  }
  if (self.skipped_path.empty()) {
    for (std::size_t i = 0; i < std::min(skips.size(), kSkipsShown); ++i)
      log_warn("line {}: \"{}\" skipped: {}", skips[i].line, skips[i].id, skips[i].reason);
    if (skips.size() > kSkipsShown) log_warn("… {} records skipped in all", skips.size());
  } else if (skips.empty()) {
    std::error_code ignored;
    fs::remove(self.skipped_path, ignored);  // of an earlier run
  } else {
    write_file_atomically(self.skipped_path, list);
  }
  if (!self.npy) {
    self.text->commit();
    return;
  }
  // Killed in between, vectors of an unknown model remain, never those of another than it says.
  std::error_code ignored;
  fs::remove(self.maker_path, ignored);
  self.text->commit();
  self.npy->commit();
  if (!self.columns.maker.empty()) write_file_atomically(self.maker_path, self.columns.maker);
}

}  // namespace barcodemae
