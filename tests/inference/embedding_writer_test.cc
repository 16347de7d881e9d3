// SPDX-License-Identifier: MIT
#include "inference/embedding_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "communication/single_process.h"
#include "formats/npy.h"
#include "inference/embed_stream.h"
#include "temporary_folder.h"
#include "tiny_model.h"
#include "user_error.h"

namespace barcodemae {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kRecords =
    "processid,genus,species,split,dna_barcode\n"
    "one,Apis,Apis mellifera,train,ACGTACGTACGTTT\n"
    "short,Apis,,train,AC\n"
    "two,,,test,TTTACGNNN\n"
    "empty,Bombus,,train,\n"
    "three,Bombus,Bombus terrestris,train,ACGTACGTACGTTTGGG\n";

class EmbedStream : public testing::Test {
 protected:
  EmbedStreamResult embed(const std::string& out, const EmbedStreamOptions& options) {
    RecordReader reader(memory_source(kRecords, "records.csv"));
    EmbeddingWriter writer(folder_ / out, {embedder_.width(), reader.has_splits(), false});
    SingleProcess alone;
    const auto result = embed_stream(
        embedder_, reader, options,
        [&](const Record& record, const Placement& placement, std::span<const float> vector) {
          writer.append(record, placement, vector);
        },
        alone);
    writer.commit(result.skips);
    return result;
  }
  std::string read(const std::string& name) const { return read_file(folder_ / name); }

  const TemporaryFolder folder_;
  Embedder embedder_ = Embedder::random(tiny_description(), 3, {});
};

TEST_F(EmbedStream, WritesVectorsLabelsAndSkippedRecords) {
  const EmbedStreamResult result = embed("x.npy", {});
  EXPECT_EQ(result.embedded, 3);
  EXPECT_THAT(folder_.names(), ElementsAre("x.npy", "x.skipped.tsv", "x.tsv"));
  EXPECT_EQ(read("x.tsv"),
            "id\tkingdom\tphylum\tclass\torder\tfamily\tsubfamily\tgenus\tspecies\tdna_bin\tsplit\n"
            "one\t\t\t\t\t\t\tApis\tApis mellifera\t\ttrain\n"
            "two\t\t\t\t\t\t\t\t\t\ttest\n"
            "three\t\t\t\t\t\t\tBombus\tBombus terrestris\t\ttrain\n");
  const std::string skipped = read("x.skipped.tsv");
  EXPECT_THAT(skipped,
              HasSubstr("line\tid\treason\n3\tshort\tno whole 3-mer to embed in its 2 bases\n"));
  EXPECT_THAT(skipped, HasSubstr("5\tempty\t"));
  const Matrix vectors = read_npy(folder_ / "x.npy");
  ASSERT_EQ(vectors.rows, 3);
  const Matrix two = embedder_.embed({embedder_.description().coder.encode("TTTACG")});
  EXPECT_EQ(
      std::memcmp(vectors.row(1).data(), two.values.data(), two.values.size() * sizeof(float)), 0);
}

TEST_F(EmbedStream, ChunksDoNotShowAndTextKeepsEveryBit) {
  embed("whole.npy", {});
  embed("chunks.npy", {{}, 2});
  EXPECT_EQ(read("whole.npy"), read("chunks.npy"));
  EXPECT_EQ(read("whole.tsv"), read("chunks.tsv"));

  embed("text.tsv", {});
  std::istringstream lines(read("text.tsv"));
  std::string line;
  std::getline(lines, line);
  EXPECT_THAT(line, HasSubstr("\tsplit\te0\te1\t"));
  const Matrix vectors = read_npy(folder_ / "whole.npy");
  for (std::int64_t r = 0; r < vectors.rows; ++r) {
    std::getline(lines, line);
    std::istringstream cells(line);
    std::string cell;
    for (int i = 0; i < 11; ++i) std::getline(cells, cell, '\t');
    for (const float value : vectors.row(r)) {
      std::getline(cells, cell, '\t');
      ASSERT_EQ(std::strtof(cell.c_str(), nullptr), value);
    }
  }
}

TEST_F(EmbedStream, OnlySplitsThatAreThere) {
  EXPECT_EQ(embed("x.npy", {{"test", "train"}}).embedded, 3);
  EXPECT_EQ(embed("x.npy", {{"test"}}).embedded, 1);
  for (const std::vector<std::string>& splits :
       {std::vector<std::string>{"tset"}, {"test", "tset"}}) {
    EXPECT_THAT(user_error([&] { embed("y.npy", {splits}); }),
                AllOf(HasSubstr("No record is of the split \"tset\""),
                      HasSubstr("Splits of this file: test, train")));
  }
  // Nothing half-written: neither y.npy nor a temporary file.
  EXPECT_THAT(folder_.names(), ElementsAre("x.npy", "x.skipped.tsv", "x.tsv"));
}

TEST_F(EmbedStream, AnEarlierRunsSkippedListGoesAway) {
  std::ofstream(folder_ / "x.skipped.tsv") << "old";
  EmbeddingWriter(folder_ / "x.npy", {2, false, true}).commit({});
  EXPECT_THAT(folder_.names(), ElementsAre("x.npy", "x.tsv"));
  EXPECT_THROW(EmbeddingWriter(folder_ / "x.csv", {2, false, false}), UserError);
  EXPECT_THROW(EmbeddingWriter(folder_ / "x.tsv", {2, false, false, NpyType::kFloat16}), UserError);
  EXPECT_THROW(EmbeddingWriter("/no/such/folder/x.npy", {2, false, false}), UserError);
}

}  // namespace
}  // namespace barcodemae
