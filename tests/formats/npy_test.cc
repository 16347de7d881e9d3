// SPDX-License-Identifier: MIT
#include "formats/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <sstream>
#include <string>

#include "base/error.h"
#include "temporary_folder.h"
#include "user_error.h"

namespace barcodemae {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string array(const std::string& dictionary, std::size_t data_bytes, char version = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += {version, '\0'};
  const std::size_t size = dictionary.size();
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i)
    bytes += static_cast<char>(size >> (8 * i) & 0xFF);
  return bytes + dictionary + std::string(data_bytes, '\0');
}

Matrix parse(const std::string& bytes) {
  std::istringstream stream(bytes);
  return parse_npy(stream, bytes.size(), "x.npy");
}

std::string error_of(const std::string& bytes) {
  return user_error([&] { parse(bytes); });
}

TEST(Npy, WriterMakesTheBytesOfNumpySave) {
  const TemporaryFolder folder;
  const auto path = folder / "written.npy";
  NpyWriter writer(path, 2);
  writer.append(std::vector<float>{1.f, 2.f});
  writer.append(std::vector<float>{3.f, 4.f});
  writer.append(std::vector<float>{5.f, -6.f});
  EXPECT_FALSE(std::filesystem::exists(path));  // nothing half-written
  writer.commit();
  const std::string content = read_file(path);
  std::string header = std::string("\x93NUMPY\x01\0\x76\0", 10) +
                       "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }";
  header.resize(127, ' ');
  ASSERT_EQ(content.size(), 128u + 24u);
  EXPECT_EQ(content.substr(0, 128), header + "\n");
  const Matrix matrix = read_npy(path);
  EXPECT_EQ(matrix.rows, 3);
  EXPECT_THAT(matrix.values, ElementsAre(1.f, 2.f, 3.f, 4.f, 5.f, -6.f));
}

TEST(Npy, WritesHalvesRoundedToNearest) {
  const TemporaryFolder folder;
  const auto path = folder / "halves.npy";
  NpyWriter halves(path, 3, NpyType::kFloat16);
  halves.append(std::vector<float>{0.1f, -2.f, 1.f + 0x1p-11f});  // the last: a tie, to even
  halves.append(std::vector<float>{0x1p-24f, 1e6f, 0.f});
  halves.commit();
  EXPECT_EQ(std::filesystem::file_size(path), 128u + 6u * 2u);
  EXPECT_THAT(read_npy(path).values,
              ElementsAre(0.0999755859375f, -2.f, 1.f, 0x1p-24f, HUGE_VALF, 0.f));
}

TEST(Npy, ReadsAllVersionsHalvesAndOddSpelling) {
  EXPECT_EQ(
      parse(array("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 24, 2)).rows, 2);
  EXPECT_EQ(
      parse(array("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3), }\n", 0, 3)).cols, 3);
  const Matrix odd = parse(array("{\"shape\":(1L,1L),'fortran_order':False,'descr':\"<f2\"}", 0) +
                           std::string("\x00\xBE", 2));
  EXPECT_THAT(odd.values, ElementsAre(-1.5f));
}

TEST(Npy, ReadsWhatNumpySavesByItself) {
  const auto bytes_of = [](auto values) {
    return std::string(reinterpret_cast<const char*>(values.data()), sizeof(values));
  };
  const std::array<double, 6> doubles = {1, 2.5, -3, 4, 5, 0.1};
  EXPECT_THAT(parse(array("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }\n", 0) +
                    bytes_of(doubles))
                  .values,
              ElementsAre(1.f, 2.5f, -3.f, 4.f, 5.f, 0.1f));
  // array.T of a matrix is stored column by column.
  const std::array<float, 6> columns = {1, 4, 2, 5, 3, 6};
  const Matrix matrix = parse(
      array("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }\n", 0) + bytes_of(columns));
  EXPECT_EQ(matrix.rows, 2);
  EXPECT_THAT(matrix.values, ElementsAre(1.f, 2.f, 3.f, 4.f, 5.f, 6.f));
}

TEST(Npy, RefusesWhatItCannotReadWithTheReason) {
  const auto dictionary = [](const char* type, const char* order, const char* shape) {
    return fmt::format("{{'descr': '{}', 'fortran_order': {}, 'shape': {}, }}\n", type, order,
                       shape);
  };
  EXPECT_THAT(error_of("PK\x03\x04 some zip archive"), HasSubstr("expected a NumPy array"));
  EXPECT_THAT(error_of(""), HasSubstr("expected a NumPy array"));
  EXPECT_THAT(error_of(array(dictionary("<i8", "False", "(1, 1)"), 8)), HasSubstr("astype"));
  EXPECT_THAT(error_of(array(dictionary(">f4", "False", "(1, 1)"), 4)), HasSubstr("little-endian"));
  EXPECT_THAT(error_of(array(dictionary("<f4", "False", "(4,)"), 16)), HasSubstr("reshape(1, -1)"));
  EXPECT_THAT(error_of(array(dictionary("<f4", "False", "(2, 2)"), 15)), HasSubstr("truncated"));
  EXPECT_THAT(error_of(array(dictionary("<f4", "False", "(2, 2)"), 17)), HasSubstr("damaged"));
  EXPECT_THAT(error_of(array(dictionary("<f4", "False", "(4611686018427387904, 4)"), 0)),
              HasSubstr("truncated"));
  EXPECT_THAT(error_of(array(dictionary("<f4", "False", "(-1, 4)"), 0)),
              HasSubstr("damaged .npy header"));
  EXPECT_THAT(error_of(array("{'descr': [('a', '<f4')], ", 0)), HasSubstr("records"));
  EXPECT_THAT(error_of(array("{'descr': '<f4'}", 0)), HasSubstr("damaged .npy header"));
  EXPECT_THAT(error_of(array("{'descr': '<f4", 0)), HasSubstr("damaged .npy header"));
  EXPECT_THAT(error_of(array("{}", 0, 9)), HasSubstr("version 9"));
  EXPECT_THAT(error_of(array(dictionary("<f4", "False", "(1, 1)"), 4).substr(0, 30)),
              HasSubstr("truncated .npy header"));
  EXPECT_THROW(read_npy("nowhere.npy"), UserError);
}

}  // namespace
}  // namespace barcodemae
