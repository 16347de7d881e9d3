// SPDX-License-Identifier: MIT
#include "evaluation/sequence_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "temporary_folder.h"
#include "user_error.h"

namespace barcodemae {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using Program = SequenceSearch::Program;

/// PATH begins with a folder of scripts that stand for the programs.
class SequenceSearchTest : public testing::Test {
 protected:
  void SetUp() override {
    old_path_ = std::getenv("PATH");
    ::setenv("PATH", (folder_.path().string() + ":/usr/bin:/bin").c_str(), 1);
    for (const char* id : {"K0", "K1", "K2", "Q0", "Q1"}) {
      Record record;
      record.id = id;
      record.sequence = std::string(id[0] == 'K' ? "ACGT" : "TTTT") + std::string(20, 'A');
      data_.append(record);
    }
  }
  void TearDown() override { ::setenv("PATH", old_path_.c_str(), 1); }

  void script(const std::string& name, const std::string& text) {
    const fs::path path = folder_ / name;
    std::ofstream(path) << "#!/bin/sh\n" << text;
    fs::permissions(path, fs::perms::owner_all);
  }
  std::vector<Neighbour> nearest(Program program) {
    return SequenceSearch::find(program)->nearest(data_, keys_, queries_);
  }
  std::string refusal(Program program) {
    return user_error([&] { nearest(program); });
  }

  TemporaryFolder folder_;
  std::string old_path_;
  Dataset data_;
  const std::vector<std::int64_t> keys_ = {0, 1, 2}, queries_ = {3, 4};
};

constexpr const char* kBlastVersion =
    "if [ \"$1\" = -version ]; then echo 'blastn: 9.9.9+'; echo ' Package'; exit 0; fi\n";

TEST_F(SequenceSearchTest, TakesBlastsBestHit) {
  script("makeblastdb", "grep -c '>' keys.fasta > \"$PATH_OF_COUNT\"\n");
  ::setenv("PATH_OF_COUNT", (folder_ / "count").c_str(), 1);
  // Equal scores: the lower key, whatever the order; the second query has no hit.
  script("blastn", std::string(kBlastVersion) +
                       "echo \"$@\" > \"$PATH_OF_COUNT.words\"\n"
                       "cp queries.fasta \"$PATH_OF_COUNT.fasta\"\n"
                       "printf 'r0\\tr0\\t 99\\nr0\\tr2\\t1.2e2\\nr0\\tr1\\t120\\n' > hits.tsv\n");
  const auto blast = SequenceSearch::find(Program::kBlast);
  ASSERT_TRUE(blast);
  EXPECT_EQ(blast->version(), "blastn: 9.9.9+");
  const auto hits = blast->nearest(data_, keys_, queries_);
  ASSERT_EQ(hits.size(), 2u);
  EXPECT_EQ(hits[0].key, 1);
  EXPECT_FLOAT_EQ(hits[0].similarity, 120);
  EXPECT_EQ(hits[1].key, -1);
  EXPECT_EQ(read_file(folder_ / "count"), "3\n");
  EXPECT_THAT(read_file(folder_ / "count.words"), HasSubstr("-task megablast"));
  EXPECT_THAT(read_file(folder_ / "count.words"), HasSubstr("-db keys"));
  EXPECT_EQ(read_file(folder_ / "count.fasta"),
            ">r0\nTTTT" + std::string(20, 'A') + "\n>r1\nTTTT" + std::string(20, 'A') + "\n");
}

TEST_F(SequenceSearchTest, ReadsVsearch) {
  script("vsearch",
         "if [ \"$1\" = --version ]; then echo 'vsearch v9.9_x, 1GB RAM' >&2; exit 0; fi\n"
         "printf 'r1\\tr2\\t98.5\\n' > hits.tsv\n");
  EXPECT_EQ(SequenceSearch::find(Program::kVsearch)->version(), "vsearch v9.9_x");
  const auto hits = nearest(Program::kVsearch);
  EXPECT_EQ(hits[0].key, -1);
  EXPECT_EQ(hits[1].key, 2);
}

TEST_F(SequenceSearchTest, SaysWhatWentWrong) {
  ::setenv("PATH", folder_.path().c_str(), 1);
  EXPECT_FALSE(SequenceSearch::find(Program::kBlast)) << "not installed";
  ::setenv("PATH", (folder_.path().string() + ":/usr/bin:/bin").c_str(), 1);
  script("blastn", "exit 1\n");
  EXPECT_FALSE(SequenceSearch::find(Program::kBlast)) << "tells no version";
  script("makeblastdb", "exit 0\n");
  script("blastn", std::string(kBlastVersion) + "echo 'no memory left' >&2; exit 4\n");
  EXPECT_THAT(refusal(Program::kBlast), HasSubstr("exit code 4: no memory left"));
  script("blastn", std::string(kBlastVersion) + "printf 'r0\\tr7\\t99\\n' > hits.tsv\n");
  EXPECT_THAT(refusal(Program::kBlast), HasSubstr("line 1 of its hits"));
  script("blastn", std::string(kBlastVersion) + "printf 'r0\\tr1\\n' > hits.tsv\n");
  EXPECT_THAT(refusal(Program::kBlast), HasSubstr("cannot be read"));
}

}  // namespace
}  // namespace barcodemae
