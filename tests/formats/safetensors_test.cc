// SPDX-License-Identifier: MIT
#include "formats/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "base/error.h"
#include "formats/float_types.h"
#include "temporary_folder.h"
#include "user_error.h"

namespace barcodemae {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::byte> file_bytes(const std::string& header, std::size_t data_bytes) {
  std::vector<std::byte> bytes(8 + header.size() + data_bytes);
  const std::uint64_t size = header.size();
  std::memcpy(bytes.data(), &size, 8);
  std::memcpy(bytes.data() + 8, header.data(), header.size());
  return bytes;
}

std::string error_of(std::vector<std::byte> bytes) {
  return user_error([&] { SafetensorsFile::from_memory(std::move(bytes), "x.safetensors"); });
}

TEST(Safetensors, RoundTripKeepsNamesShapesTypesAndMetadata) {
  const TemporaryFolder folder;
  const auto path = folder / "round_trip.safetensors";
  const std::vector<float> matrix{1.5f, -2.25f, 0.f, 3e-5f, 1e30f, -0.f}, vector{7.f, 8.f};
  const std::int64_t step = -42;
  write_safetensors(path,
                    {{"b.weight", StoredType::kF32, {2, 3}, matrix, {}},
                     {"a.half", StoredType::kBF16, {2}, vector, {}},
                     {"empty", StoredType::kF32, {0, 5}, {}, {}},
                     {"step", StoredType::kI64, {}, {}, std::as_bytes(std::span(&step, 1))}},
                    {{"format", "pt"}});
  const SafetensorsFile file(path);
  EXPECT_EQ(file.floats("b.weight", 2, 3), matrix);
  EXPECT_EQ(file.floats("a.half", 1, 2), vector);
  EXPECT_THAT(file.entries().at("empty").shape, ElementsAre(0, 5));
  std::int64_t stored = 0;
  ASSERT_EQ(file.bytes("step").size(), sizeof(stored));
  std::memcpy(&stored, file.bytes("step").data(), sizeof(stored));
  EXPECT_EQ(stored, step);
  EXPECT_EQ(file.metadata().at("format"), "pt");
}

// The very bytes of the reference writer: descending alignment, then name; a header of whole
// eights.
TEST(Safetensors, WritesTheReferenceLayout) {
  const TemporaryFolder folder;
  const auto path = folder / "layout.safetensors";
  const std::vector<float> one{1.f}, two{2.f};
  const std::int64_t step = 3;
  write_safetensors(path, {{"z", StoredType::kF32, {1}, one, {}},
                           {"h", StoredType::kF16, {1}, two, {}},
                           {"a", StoredType::kF32, {1}, {}, {}, [&] { return two; }},
                           {"i", StoredType::kI64, {1}, {}, std::as_bytes(std::span(&step, 1))}});
  const std::string content = read_file(path);
  std::string header = R"({"i":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},)"
                       R"("a":{"dtype":"F32","shape":[1],"data_offsets":[8,12]},)"
                       R"("z":{"dtype":"F32","shape":[1],"data_offsets":[12,16]},)"
                       R"("h":{"dtype":"F16","shape":[1],"data_offsets":[16,18]}})";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  EXPECT_EQ(content.substr(8),
            header + std::string("\3\0\0\0\0\0\0\0\0\0\0\x40\0\0\x80\x3F\0\x40", 18));
  EXPECT_EQ(static_cast<unsigned char>(content[0]), header.size());
}

TEST(Safetensors, RefusesEveryMalformedFileWithTheReason) {
  const struct {
    std::string header;
    std::size_t data;
    const char* reason;
  } cases[] = {
      {R"([])", 0, "no JSON object"},
      {R"({"a":)", 0, "malformed JSON"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4, "holds 4 bytes"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 9,
       "1 bytes follow the last tensor"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4,
       "needs 8 bytes, but is given 4"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4, "lies at bytes 4 to 0"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
       R"("b":{"dtype":"F32","shape":[2],"data_offsets":[2,10]}})",
       10, "overlapping"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
       R"("b":{"dtype":"F32","shape":[1],"data_offsets":[6,10]}})",
       10, "leaving a hole"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
       R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
       4, "occurs twice"},
      {R"({"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}})", 4, "unknown type \"F99\""},
      {R"({"a":{"dtype":"F4","shape":[1],"data_offsets":[0,1]}})", 1, "does not end on a byte"},
      {R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4, "array of sizes"},
      {R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0,
       "too large"},
      {R"({"a":{"dtype":"F32","shape":[0,4294967296,4294967296],"data_offsets":[0,0]}})", 0,
       "too large"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4.5]}})", 4, "two positions"},
      {R"({"a":{"dtype":"F32","shape":[1]}})", 4, "and nothing else"},
      {R"({"__metadata__":{"a":1}})", 0, "object of strings"},
      {R"({"a":)" + std::string(100, '[') + std::string(100, ']') + "}", 0, "deeper than"},
  };
  for (const auto& test : cases)
    EXPECT_THAT(error_of(file_bytes(test.header, test.data)), HasSubstr(test.reason))
        << test.header;

  auto truncated = file_bytes("{}", 0);
  truncated.pop_back();
  EXPECT_THAT(error_of(truncated), HasSubstr("truncated"));
  EXPECT_THAT(error_of(std::vector<std::byte>(7)), HasSubstr("found 7 bytes"));
  EXPECT_THAT(error_of(std::vector<std::byte>(64, std::byte{0xFF})), HasSubstr("first 8 bytes"));
  const TemporaryFolder folder;
  EXPECT_THROW(SafetensorsFile(folder / "nowhere.safetensors"), UserError);
  EXPECT_THROW(SafetensorsFile{folder.path()}, UserError);
}

TEST(Safetensors, AcceptsEmptyTensorsScalarsAndOrderByOffset) {
  const auto file = SafetensorsFile::from_memory(
      file_bytes(R"({"late":{"dtype":"F64","shape":[],"data_offsets":[4,12]},)"
                 R"("none":{"dtype":"BOOL","shape":[0],"data_offsets":[4,4]},)"
                 R"("early":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}  )",
                 12),
      "x");
  EXPECT_EQ(file.entries().at("late").elements(), 1);
  EXPECT_EQ(file.bytes("none").size(), 0u);
  EXPECT_THROW(file.floats("early", 1, 4), UserError);  // U8 is no float
}

TEST(Safetensors, NamesTheTensorThatDoesNotFit) {
  const auto file = SafetensorsFile::from_memory(
      file_bytes(R"({"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}})", 8),
      "x.safetensors");
  const auto message = [&](const std::string& name, std::int64_t rows, std::int64_t cols) {
    return user_error([&] { file.floats(name, rows, cols); });
  };
  EXPECT_NO_THROW(file.floats("a", 2, 1));
  EXPECT_THAT(message("a", 1, 2), HasSubstr("\"a\" has the shape [2, 1], expected [2]"));
  EXPECT_THAT(message("b", 2, 1), HasSubstr("no tensor \"b\""));
}

TEST(FloatTypes, EveryHalfAndBfloat16SurvivesARoundTrip) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const auto stored = static_cast<std::uint16_t>(bits);
    if (const float value = float_from_half(stored); std::isnan(value))
      EXPECT_TRUE(std::isnan(float_from_half(half_from_float(value))));
    else
      ASSERT_EQ(half_from_float(value), stored);
    if (const float value = float_from_bfloat16(stored); std::isnan(value))
      EXPECT_TRUE(std::isnan(float_from_bfloat16(bfloat16_from_float(value))));
    else
      ASSERT_EQ(bfloat16_from_float(value), stored);
  }
}

TEST(FloatTypes, RoundsToNearestEven) {
  EXPECT_EQ(half_from_float(1.f + 0x1p-11f), 0x3C00);      // halfway: down to even
  EXPECT_EQ(half_from_float(1.f + 3 * 0x1p-11f), 0x3C02);  // halfway: up to even
  EXPECT_EQ(half_from_float(65519.99f), 0x7BFF);
  EXPECT_EQ(half_from_float(65520.f), 0x7C00);
  EXPECT_EQ(half_from_float(0x1p-25f), 0x0000);  // halfway to the least subnormal
  EXPECT_EQ(half_from_float(0x1.8p-25f), 0x0001);
  EXPECT_EQ(bfloat16_from_float(1.f + 0x1p-8f), 0x3F80);
  EXPECT_EQ(bfloat16_from_float(1.f + 3 * 0x1p-8f), 0x3F82);
  EXPECT_EQ(bfloat16_from_float(std::numeric_limits<float>::max()), 0x7F80);
}

}  // namespace
}  // namespace barcodemae
