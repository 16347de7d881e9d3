// SPDX-License-Identifier: MIT
// gzip and zstd: many members, blocks that end anywhere, truncation, corruption.
#include <zlib.h>
#include <zstd.h>

#include "reading.h"
#include "user_error.h"

namespace barcodemae {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string gzip(std::string_view text) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string zstd(std::string_view text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

/// 40,000 records, 6 MB: more than any buffer on the way.
std::string long_text() {
  std::string text;
  for (int i = 0; i < 40000; ++i) {
    text += ">r" + std::to_string(i) + "\n";
    for (int j = 0; j < 35; ++j) text += "ACGT"[(i * (j + 1) + j * j) >> 2 & 3], text += "TAT";
    text += '\n';
  }
  return text;
}

using Compress = std::string (*)(std::string_view);
class Compression : public ::testing::TestWithParam<Compress> {};
INSTANTIATE_TEST_SUITE_P(Formats, Compression, ::testing::Values(&gzip, &zstd));

TEST_P(Compression, ReadsOneMemberAndManyAlike) {
  const std::string text = long_text();
  const Reading plain = read_text(text);
  ASSERT_EQ(plain.records.size(), 40000u);
  EXPECT_EQ(sequences(read_text(GetParam()(text))), sequences(plain));

  // Members as bgzip makes them, an empty one among them and at the end.
  std::string members;
  for (std::size_t i = 0; i < text.size(); i += 65280) {
    members += GetParam()(std::string_view(text).substr(i, 65280));
    if (i == 0) members += GetParam()("");
  }
  members += GetParam()("");
  EXPECT_EQ(sequences(read_text(members)), sequences(plain));
}

TEST_P(Compression, TruncationAnywhereIsAnError) {
  const std::string compressed = GetParam()(long_text());
  for (const std::size_t size :
       {std::size_t{5}, std::size_t{12}, compressed.size() / 2, compressed.size() - 1}) {
    EXPECT_THAT(user_error([&] { read_text(std::string_view(compressed).substr(0, size)); }),
                HasSubstr("truncated"))
        << size;
  }
}

TEST_P(Compression, CorruptionIsAnError) {
  std::string compressed = GetParam()(long_text());
  for (std::size_t i = 0; i < 64; ++i) compressed[compressed.size() / 2 + i] ^= '\x5a';
  EXPECT_THAT(user_error([&] { read_text(compressed); }), HasSubstr("corrupt"));
}

TEST(Gzip, ZerosAfterTheLastMemberAreFillingAndOtherBytesAreNot) {
  const std::string member = gzip(">a\nACGT\n");
  EXPECT_EQ(read_text(member + std::string(1000, '\0')).records.size(), 1u);
  EXPECT_THAT(user_error([&] { read_text(member + "ACGT"); }), HasSubstr("corrupt"));
}

/// Hands out one byte at a time.
class Trickle : public ByteSource {
 public:
  explicit Trickle(std::string_view bytes) : bytes_(memory_source(bytes, "trickle")) {}
  std::size_t read(char* into, std::size_t size) override {
    return bytes_->read(into, std::min<std::size_t>(size, 1));
  }
  std::int64_t position() const override { return bytes_->position(); }
  std::int64_t total() const override { return bytes_->total(); }
  const std::string& name() const override { return bytes_->name(); }

 private:
  std::unique_ptr<ByteSource> bytes_;
};

TEST(Gzip, HeaderWithEveryFieldMayComeInAnyPieces) {
  const std::string plain = gzip(">a\nACGT\n");
  std::string header = plain.substr(0, 10);
  header[3] = '\x1e';  // extra field, name, comment, checksum of the header
  header += std::string(
                "\x03\x00"
                "ext",
                5) +
            std::string("name\0comment\0", 13);
  const auto checksum =
      crc32(0, reinterpret_cast<const Bytef*>(header.data()), static_cast<uInt>(header.size()));
  header += static_cast<char>(checksum & 0xff);
  header += static_cast<char>(checksum >> 8 & 0xff);
  const std::string member = header + plain.substr(10), two = member + plain + member;
  EXPECT_EQ(read_text(two).records.size(), 3u);
  RecordReader reader(decompress(std::make_unique<Trickle>(two)));
  Record record;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(reader.next(record)) << i;
  EXPECT_FALSE(reader.next(record));
  for (std::size_t size = 2; size < header.size(); ++size) {
    EXPECT_THAT(user_error([&] { read_text(member.substr(0, size)); }), HasSubstr("truncated"));
  }
}

TEST(Zstd, SkippableFrameMayComeFirst) {
  const std::string skippable("\x50\x2a\x4d\x18\x03\x00\x00\x00xyz", 11);
  EXPECT_EQ(read_text(skippable + zstd(">a\nACGT\n")).records.size(), 1u);
}

TEST(Zstd, TooLargeAWindowIsNoCorruption) {
  std::string frame = zstd(">a\nACGT\n").substr(0, 4);
  frame += '\0';    // no size of the content: a window follows
  frame += '\x98';  // 2^(10 + 19) bytes
  EXPECT_THAT(user_error([&] { read_text(frame + std::string(20, '\0')); }),
              AllOf(HasSubstr("a window of more than 256 MB"), HasSubstr("--long=31")));
}

TEST(Compressed, NothingInsideIsAnEmptyFile) {
  EXPECT_THAT(user_error([] { read_text(gzip("")); }), HasSubstr("is empty"));
  EXPECT_THAT(user_error([] { read_text(zstd("")); }), HasSubstr("is empty"));
}

}  // namespace
}  // namespace barcodemae
