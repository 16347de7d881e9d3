// SPDX-License-Identifier: MIT
#include "data/anchor.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "base/random.h"
#include "data/packing.h"
#include "records.h"
#include "temporary_folder.h"

namespace barcodemae {
namespace {

constexpr int kLength = 200;

/// Records of one made-up marker, 5 % of the bases changed; the first is complete.
class AnchorTest : public ::testing::Test {
 protected:
  AnchorTest() : random_(11, Stream::kSimulate), consensus_(bases(kLength)) {}

  std::string bases(int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += "ACGT"[random_.below(4)];
    return text;
  }
  std::string record() {
    std::string record = consensus_;
    for (char& base : record) {
      if (random_.uniform() < 0.05) base = "ACGT"[random_.below(4)];
    }
    return record;
  }
  Dataset marker_data(int related, int unrelated) {
    std::vector<std::string> sequences;
    for (int i = 0; i < related; ++i) sequences.push_back(record());
    for (int i = 0; i < unrelated; ++i) sequences.push_back(bases(kLength - 1 - i % 50));
    return testing_data::make_dataset(sequences);
  }

  RandomSequence random_;
  std::string consensus_;
};

TEST_F(AnchorTest, ReadsShiftedAndReversedRecordsAlike) {
  Dataset training = marker_data(100, 5);
  const auto profile = resolve_anchor("auto", training);
  ASSERT_TRUE(profile);
  EXPECT_TRUE(training.anchored());
  const SequenceCoder coder{KmerTokenizer{KmerVocabulary{}}, profile};

  const std::string whole = record();
  const std::string cut = whole.substr(20);
  Dataset data = testing_data::make_dataset(
      {whole, cut, reverse_complement(cut), "ACG" + whole, bases(kLength)});
  anchor_by_model(profile, data);
  const TokenSequence expected = data.tokens(0, coder);
  EXPECT_EQ(expected.positions.front(), 0);
  EXPECT_EQ(data.tokens(3, coder, 4).ids, expected.ids);  // the offset has no effect
  for (const std::int64_t record : {1, 2}) {
    const TokenSequence tokens = data.tokens(record, coder);
    ASSERT_LT(tokens.ids.size(), expected.ids.size());
    const std::size_t missing = expected.ids.size() - tokens.ids.size();
    EXPECT_TRUE(std::ranges::equal(tokens.ids, std::span(expected.ids).subspan(missing)));
    EXPECT_EQ(tokens.positions.front(), missing);
    EXPECT_EQ(coder.encode(data.sequence(record)).ids, tokens.ids);
  }
  // Not explained: as it is, with the offset.
  EXPECT_FALSE(data.placement(4).explained);
  EXPECT_EQ(data.tokens(4, coder, 2).ids, coder.tokenizer.tokenize(data.sequence(4), 2).ids);
}

TEST_F(AnchorTest, AutoIsDroppedBelowFourFifths) {
  Dataset data = marker_data(79, 21);
  EXPECT_FALSE(resolve_anchor("auto", data));
  EXPECT_FALSE(data.anchored());
  Dataset enough = marker_data(81, 19);
  EXPECT_TRUE(resolve_anchor("auto", enough));
  EXPECT_FALSE(resolve_anchor("none", enough));
  EXPECT_FALSE(enough.anchored());
}

TEST_F(AnchorTest, AProfileOnFileIsUsedInAnyCase) {
  Dataset training = marker_data(50, 0);
  const TemporaryFolder folder;
  const auto file = folder / "anchor.json";
  std::ofstream(file) << resolve_anchor("auto", training).value().to_json();
  Dataset data = marker_data(10, 40);
  ASSERT_TRUE(resolve_anchor(file.string(), data));
  EXPECT_TRUE(data.anchored());
  EXPECT_TRUE(data.placement(0).explained);
  EXPECT_THROW(resolve_anchor("no/such/file.json", data), UserError);
  EXPECT_THROW(resolve_anchor(folder.path(), data), UserError);
}

}  // namespace
}  // namespace barcodemae
