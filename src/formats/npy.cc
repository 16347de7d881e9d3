// SPDX-License-Identifier: MIT
#include "formats/npy.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "formats/float_types.h"

namespace barcodemae {
namespace {

constexpr std::string_view kMagic{"\x93NUMPY", 6};
constexpr std::size_t kMaxNpyHeader = 1 << 20;
constexpr std::size_t kWrittenHeader = 128;  // room for any number of rows; a multiple of 64
constexpr std::size_t kWriteBuffer = 1 << 20;

struct Header {
  std::string descr;
  std::optional<bool> fortran_order;
  std::optional<std::vector<std::int64_t>> shape;
};

/// The header is a Python dictionary literal with three known keys; this reads those and no more.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& source) : text_(text), source_(source) {}

  Header parse() {
    Header header;
    expect('{');
    while (!take('}')) {
      const std::string key = string();
      expect(':');
      if (key == "descr" && header.descr.empty()) {
        if (peek() == '[')
          throw UserError("{}: expected numbers, found an array of records", source_);
        header.descr = string();
      } else if (key == "fortran_order" && !header.fortran_order) {
        header.fortran_order = boolean();
      } else if (key == "shape" && !header.shape) {
        header.shape = tuple();
      } else {
        fail();
      }
      if (!take(',') && peek() != '}') fail();
    }
    if (peek() != '\0' || header.descr.empty() || !header.fortran_order || !header.shape) fail();
    return header;
  }

 private:
  [[noreturn]] void fail() const {
    throw UserError(
        "{}: damaged .npy header (at its character {})\nWrite the array again with numpy.save.",
        source_, at_ + 1);
  }
  char peek() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char wanted) {
    if (peek() != wanted) return false;
    ++at_;
    return true;
  }
  void expect(char wanted) {
    if (!take(wanted)) fail();
  }
  std::string string() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') fail();
    const std::size_t end = text_.find(quote, ++at_);
    if (end == std::string_view::npos) fail();
    std::string result(text_.substr(at_, end - at_));
    at_ = end + 1;
    return result;
  }
  bool boolean() {
    peek();
    for (const std::string_view word : {"True", "False"}) {
      if (text_.substr(at_, word.size()) != word) continue;
      at_ += word.size();
      return word == "True";
    }
    fail();
  }
  std::vector<std::int64_t> tuple() {
    std::vector<std::int64_t> values;
    expect('(');
    while (!take(')')) {
      peek();
      std::int64_t value = 0;
      const char* begin = text_.data() + at_;
      const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), value);
      if (error != std::errc{} || value < 0 || values.size() == 32) fail();
      at_ += static_cast<std::size_t>(end - begin);
      if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // Python 2 wrote long integers so
      values.push_back(value);
      if (!take(',') && peek() != ')') fail();
    }
    return values;
  }

  std::string_view text_;
  const std::string& source_;
  std::size_t at_ = 0;
};

/// Throws UserError for numbers that are not read.
std::size_t bytes_of_number(const std::string& type, const std::string& source) {
  if (type == "<f2") return 2;
  if (type == "<f4") return 4;
  if (type == "<f8") return 8;
  throw UserError(
      "{}: expected little-endian float16, float32 or float64, found type '{}'\n"
      "Convert it: numpy.save(file, array.astype('<f4'))",
      source, type.substr(0, 40));
}

template <typename T>
void read_numbers(std::istream& stream, std::vector<T>& numbers, const std::string& source) {
  const auto bytes = static_cast<std::streamsize>(numbers.size() * sizeof(T));
  if (!stream.read(reinterpret_cast<char*>(numbers.data()), bytes))
    throw UserError("{}: cannot be read to its end", source);
}

/// Numbers of another type, some at a time.
template <typename T, typename Convert>
std::vector<float> converted(std::istream& stream, std::size_t count, const std::string& source,
                             const Convert& convert) {
  constexpr std::size_t kAtATime = 1 << 16;
  std::vector<float> values;
  values.reserve(count);
  std::vector<T> stored;
  while (values.size() < count) {
    stored.resize(std::min(kAtATime, count - values.size()));
    read_numbers(stream, stored, source);
    std::transform(stored.begin(), stored.end(), std::back_inserter(values), convert);
  }
  return values;
}

/// Of a matrix that is stored column by column (Fortran's order).
Matrix with_rows_together(const Matrix& columns) {
  Matrix matrix = zero_matrix(columns.rows, columns.cols);
  for (std::int64_t row = 0; row < columns.rows; ++row) {
    for (std::int64_t col = 0; col < columns.cols; ++col) {
      matrix.row(row)[static_cast<std::size_t>(col)] =
          columns.values[static_cast<std::size_t>(col * columns.rows + row)];
    }
  }
  return matrix;
}

}  // namespace

Matrix parse_npy(std::istream& stream, std::uint64_t size, const std::string& source) {
  char prefix[12] = {};
  stream.read(prefix, 10);
  if (stream.gcount() < 10 || std::string_view(prefix, 6) != kMagic)
    throw UserError("{}: expected a NumPy array (.npy); write one with numpy.save", source);
  const int version = static_cast<unsigned char>(prefix[6]);
  std::size_t begin = 10, header_size = 0;
  if (version == 1) {
    std::uint16_t stored = 0;
    std::memcpy(&stored, prefix + 8, sizeof(stored));
    header_size = stored;
  } else if (version == 2 || version == 3) {
    begin = 12;
    stream.read(prefix + 10, 2);
    std::uint32_t stored = 0;
    std::memcpy(&stored, prefix + 8, sizeof(stored));
    header_size = stored;
  } else {
    throw UserError("{}: .npy version {}; expected 1, 2 or 3", source, version);
  }
  if (header_size > kMaxNpyHeader || header_size > size - std::min<std::uint64_t>(size, begin))
    throw UserError("{}: truncated .npy header; write the array again with numpy.save", source);
  std::string text(header_size, '\0');
  if (!stream.read(text.data(), static_cast<std::streamsize>(header_size)))
    throw UserError("{}: truncated .npy header; write the array again with numpy.save", source);
  const Header header = HeaderParser(text, source).parse();

  const std::size_t bytes = bytes_of_number(header.descr, source);
  if (header.shape->size() != 2)
    throw UserError(
        "{}: expected a matrix [records, channels], found an array of {} dimension(s)\n"
        "For a single vector: numpy.save(file, vector.reshape(1, -1))",
        source, header.shape->size());

  Matrix matrix;
  matrix.rows = (*header.shape)[0];
  matrix.cols = (*header.shape)[1];
  const std::uint64_t data_size = size - begin - header_size;
  std::uint64_t expected = 0;
  if (__builtin_mul_overflow(static_cast<std::uint64_t>(matrix.rows),
                             static_cast<std::uint64_t>(matrix.cols), &expected) ||
      __builtin_mul_overflow(expected, bytes, &expected) || expected != data_size)
    throw UserError(
        "{}: an array of shape ({}, {}) needs another number of bytes than the {} that follow\n"
        "The file is truncated or damaged; write or copy it again.",
        source, matrix.rows, matrix.cols, data_size);

  const auto count = static_cast<std::size_t>(matrix.rows * matrix.cols);
  if (bytes == sizeof(float)) {
    matrix.values.resize(count);
    read_numbers(stream, matrix.values, source);
  } else if (bytes == sizeof(double)) {
    matrix.values = converted<double>(stream, count, source,
                                      [](double value) { return static_cast<float>(value); });
  } else {
    matrix.values = converted<std::uint16_t>(stream, count, source, float_from_half);
  }
  return *header.fortran_order ? with_rows_together(matrix) : matrix;
}

Matrix read_npy(const std::filesystem::path& path) {
  std::error_code code;
  const std::uint64_t size = std::filesystem::file_size(path, code);
  std::ifstream stream(path, std::ios::binary);
  if (code || !stream)
    throw UserError("{}: cannot be read ({})", path.string(),
                    code ? code.message() : std::string("no permission"));
  return parse_npy(stream, size, path.string());
}

void write_npy(const std::filesystem::path& path, const Matrix& matrix) {
  NpyWriter writer(path, matrix.cols);
  for (std::int64_t r = 0; r < matrix.rows; ++r) writer.append(matrix.row(r));
  writer.commit();
}

NpyWriter::NpyWriter(const std::filesystem::path& path, std::int64_t cols, NpyType type)
    : file_(path), cols_(cols), type_(type) {
  file_.write(std::string(kWrittenHeader, ' '));
}

void NpyWriter::append(std::span<const float> row) {
  BARCODEMAE_CHECK(static_cast<std::int64_t>(row.size()) == cols_, "row of {} values, expected {}",
                   row.size(), cols_);
  if (type_ == NpyType::kFloat16) {
    for (const float value : row) {
      const std::uint16_t half = half_from_float(value);
      buffer_.append(reinterpret_cast<const char*>(&half), sizeof(half));
    }
  } else {
    buffer_.append(reinterpret_cast<const char*>(row.data()), row.size_bytes());
  }
  ++rows_;
  if (buffer_.size() >= kWriteBuffer) flush();
}

void NpyWriter::flush() {
  file_.write(buffer_);
  buffer_.clear();
}

void NpyWriter::finish() {
  flush();
  constexpr auto kTextSize = static_cast<std::uint16_t>(kWrittenHeader - 10);
  std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}, {}), }}",
                                 type_ == NpyType::kFloat16 ? "<f2" : "<f4", rows_, cols_);
  text.resize(kTextSize - 1, ' ');
  std::string header{kMagic};
  header +=
      {'\x01', '\x00', static_cast<char>(kTextSize & 0xFF), static_cast<char>(kTextSize >> 8)};
  header += text + '\n';
  file_.write_at(0, header.data(), header.size());
  file_.sync();
  finished_ = true;
}

void NpyWriter::commit() {
  if (!finished_) finish();
  file_.commit();
}

}  // namespace barcodemae
