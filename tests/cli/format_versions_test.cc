// SPDX-License-Identifier: MIT
// One old file of each format (tests/golden/format_N), as the version that introduced it wrote it:
// barcodes, a run stopped after step 17 of 150, its model directory, and its embeddings.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "formats/npy.h"
#include "run_binary.h"
#include "temporary_folder.h"

namespace barcodemae {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class FormatVersion1 : public testing::Test {
 protected:
  FormatVersion1() {
    fs::copy(fs::path(BARCODEMAE_TEST_DATA) / "golden/format_1", folder_.path(),
             fs::copy_options::recursive);
  }
  TemporaryFolder folder_;
};

TEST_F(FormatVersion1, AModelStillGivesItsVectors) {
  const Outcome outcome = run_barcodemae({"embed", folder_ / "run", folder_ / "data.csv.zst",
                                          "--precision", "f32", "--out", folder_ / "now.npy"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(read_file(folder_ / "now.tsv"), read_file(folder_ / "embeddings.tsv"));
  const Matrix then = read_npy(folder_ / "embeddings.npy"), now = read_npy(folder_ / "now.npy");
  ASSERT_EQ(now.rows, then.rows);
  ASSERT_EQ(now.cols, then.cols);
  for (std::size_t i = 0; i < now.values.size(); ++i) {
    ASSERT_NEAR(now.values[i], then.values[i], 1e-4) << "number " << i;
  }
}

TEST_F(FormatVersion1, ARunGoesOn) {
  // Another version of barcodemae refuses to go on, by its number alone: here it is this one.
  std::string version = run_barcodemae({"--version"}).out;
  version.erase(version.find_last_not_of('\n') + 1);
  std::string run = read_file(folder_ / "run/run.json");
  run.replace(run.find("0.1.0"), 5, version);
  folder_.write("run/run.json", run);
  const Outcome outcome = run_barcodemae({"pretrain",
                                          folder_ / "data.csv.zst",
                                          "--out",
                                          folder_ / "run",
                                          "--preset",
                                          "tiny",
                                          "--k",
                                          "3",
                                          "--width",
                                          "8",
                                          "--layers",
                                          "1",
                                          "--heads",
                                          "1",
                                          "--feed-forward",
                                          "16",
                                          "--decoder-width",
                                          "8",
                                          "--decoder-heads",
                                          "1",
                                          "--decoder-feed-forward",
                                          "16",
                                          "--max-positions",
                                          "224",
                                          "--batch",
                                          "8",
                                          "--micro-batch",
                                          "8",
                                          "--checkpoint-minutes",
                                          "0.00001",
                                          "--validate-every",
                                          "20",
                                          "--steps",
                                          "150",
                                          "--precision",
                                          "f32"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("Resuming at step 17 of 150"));
  EXPECT_THAT(outcome.err, HasSubstr("step 150/150"));
  EXPECT_TRUE(fs::exists(folder_ / "run/last/model.safetensors"));
}

}  // namespace
}  // namespace barcodemae
