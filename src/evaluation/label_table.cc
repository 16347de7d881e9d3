// SPDX-License-Identifier: MIT
#include "evaluation/label_table.h"

#include <fmt/ranges.h>

#include <fstream>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "sequence/columns.h"
#include "sequence/text.h"

namespace barcodemae {
namespace {

std::vector<std::string> split_tabs(const std::string& line) {
  std::vector<std::string> cells;
  std::size_t begin = 0;
  for (;;) {
    const std::size_t tab = line.find('\t', begin);
    cells.push_back(line.substr(begin, tab - begin));
    if (tab == std::string::npos) return cells;
    begin = tab + 1;
  }
}

/// A cell without the quotes that pandas and spreadsheets put around some; doubled ones are one.
std::string unquoted(std::string_view cell) {
  if (cell.size() < 2 || cell.front() != '"' || cell.back() != '"') return std::string(cell);
  std::string text;
  append_unescaped(text, cell.substr(1, cell.size() - 2));
  return text;
}

bool read_line(std::ifstream& file, std::string& line) {
  if (!std::getline(file, line)) return false;
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return true;
}

/// A column of a TSV; nothing when it has none of the accepted names. `header` gets the names it
/// has.
std::optional<std::vector<std::string>> read_column(const std::filesystem::path& file,
                                                    const std::vector<std::string>& accepted,
                                                    std::vector<std::string>& header) {
  std::ifstream stream(file);
  std::string line;
  if (!stream || !read_line(stream, line)) {
    throw UserError("{}: cannot be read, or is empty\nA TSV with a header line is expected.",
                    file.string());
  }
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (line.starts_with(kByteOrderMark)) line.erase(0, kByteOrderMark.size());
  header = split_tabs(line);
  for (std::string& name : header) name = unquoted(trim(name));
  const std::size_t column = find_column(header, accepted);
  if (column == kNoColumn) return std::nullopt;
  std::vector<std::string> values;
  for (std::int64_t number = 2; read_line(stream, line); ++number) {
    const std::vector<std::string> cells = split_tabs(line);
    if (line.empty() && header.size() > 1 && stream.peek() == std::ifstream::traits_type::eof()) {
      break;  // an empty last line is no row
    }
    if (cells.size() <= column) {
      throw UserError("{}:{}: {} columns, but the header has {}", file.string(), number,
                      cells.size(), header.size());
    }
    values.push_back(unquoted(trim(cells[column])));
  }
  return values;
}

std::vector<std::string> without_missing(std::vector<std::string> labels) {
  for (std::string& label : labels) {
    if (is_missing_label(label)) label.clear();
  }
  return labels;
}

}  // namespace

std::vector<std::string> read_label_column(const std::filesystem::path& file, Rank rank) {
  const std::vector<std::string> accepted = rank_columns(rank);
  std::vector<std::string> header;
  auto labels = read_column(file, accepted, header);
  if (!labels) {
    throw UserError("{}:1: no column named {}\nIt has, between tabs: {}", file.string(),
                    fmt::join(accepted, " or "), listed(header));
  }
  return without_missing(*std::move(labels));
}

std::optional<std::vector<std::string>> find_label_column(const std::filesystem::path& file,
                                                          Rank rank) {
  std::vector<std::string> header;
  auto labels = read_column(file, rank_columns(rank), header);
  if (!labels) return std::nullopt;
  return without_missing(*std::move(labels));
}

std::vector<std::string> read_ids(const std::filesystem::path& file) {
  std::vector<std::string> header;
  return read_column(file, id_columns(), header).value_or(std::vector<std::string>());
}

std::int32_t LabelNumbers::number(const std::string& name) {
  if (name.empty()) return -1;
  return numbers_.try_emplace(name, count()).first->second;
}

std::vector<std::string> LabelNumbers::names() const {
  std::vector<std::string> names(numbers_.size());
  for (const auto& [name, number] : numbers_) names[static_cast<std::size_t>(number)] = name;
  return names;
}

}  // namespace barcodemae
