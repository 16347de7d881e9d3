// SPDX-License-Identifier: MIT
// Byte pairs: the ids of the `tokenizers` library (tools/dump_interop.py), and files that would
// make others.
#include "formats/bpe_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "temporary_folder.h"
#include "user_error.h"

namespace barcodemae {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string kGolden = BARCODEMAE_TEST_DATA "/golden/interop/";

TEST(BpeJson, AgreesWithTheTokenizersLibrary) {
  std::ifstream table(kGolden + "bpe_tokens.tsv");
  std::string line, name, sequence, expected;
  std::getline(table, line);
  int compared = 0;
  while (std::getline(table, line)) {
    std::istringstream columns(line);
    std::getline(columns, name, '\t');
    std::getline(columns, sequence, '\t');
    std::getline(columns, expected);
    const std::string file = kGolden + "bpe_" + name + ".json";
    const BpeVocabulary vocabulary = read_bpe_json(read_file(file), file).vocabulary;
    // As it comes back from our own file, too.
    for (const BpeVocabulary& each :
         {vocabulary, read_bpe_json(write_bpe_json(vocabulary), "ours").vocabulary}) {
      const TokenSequence tokens = BpeTokenizer(each, 2048).tokenize(sequence);
      ASSERT_EQ(fmt::format("{}", fmt::join(tokens.ids, " ")), expected) << name << " " << sequence;
    }
    ++compared;
  }
  EXPECT_EQ(compared, 300);
}

TEST(BpeJson, CutsLastAsTheReferenceDoes) {
  const std::string file = kGolden + "bpe_whitespace.json";
  const BpeTokenizer tokenizer(read_bpe_json(read_file(file), file).vocabulary, 4);
  const TokenSequence tokens = tokenizer.tokenize("NACGTNACNGTACGTNNN", 1);
  EXPECT_THAT(tokens.positions, ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(tokens.ids.front(), 2);
  EXPECT_NE(tokens.ids.back(), 3) << "[SEP] was cut off";
  EXPECT_TRUE(tokenizer.tokenize("NNN").ids.empty());
  EXPECT_TRUE(tokenizer.tokenize("A", 5).ids.empty());
}

TEST(BpeJson, MergesTheLowestRankThenTheLeftmost) {
  BpeVocabulary vocabulary;
  vocabulary.tokens = {"[MASK]", "[UNK]", "A", "C", "AA", "CA", "AAA"};
  vocabulary.specials = 2;
  vocabulary.merges = {{2, 2}, {3, 2}, {4, 2}};
  EXPECT_THAT(BpeTokenizer(vocabulary, 99).tokenize("AAAAA").ids, ElementsAre(4, 6));
  EXPECT_THAT(BpeTokenizer(vocabulary, 99).tokenize("CAANNGA").ids, ElementsAre(3, 4, 1, 1, 1, 2));
  vocabulary.fuse_unknown = true;
  EXPECT_THAT(BpeTokenizer(vocabulary, 99).tokenize("CAANNGA").ids, ElementsAre(3, 4, 1, 2));
  vocabulary.tokens.emplace_back("CAA");
  vocabulary.ignore_merges = true;
  EXPECT_THAT(BpeTokenizer(vocabulary, 99).tokenize("CAA").ids, ElementsAre(7));
}

std::string refusal(const std::function<void(nlohmann::json&)>& change) {
  nlohmann::json json = nlohmann::json::parse(read_file(kGolden + "bpe_whitespace.json"));
  change(json);
  return user_error([&] { read_bpe_json(json.dump(), "x.json"); });
}

TEST(BpeJson, RefusesWhatWouldMakeOtherTokens) {
  using Json = nlohmann::json;
  const Json unchanged = Json::parse(read_file(kGolden + "bpe_whitespace.json"));
  EXPECT_NO_THROW(read_bpe_json(unchanged.dump(), "x.json"));
  EXPECT_THAT(refusal([](Json& j) { j["model"]["type"] = "Unigram"; }), HasSubstr("model.type"));
  EXPECT_THAT(refusal([](Json& j) { j["model"]["dropout"] = 0.1; }), HasSubstr("model.dropout"));
  EXPECT_THAT(refusal([](Json& j) { j["model"]["byte_fallback"] = true; }),
              HasSubstr("byte_fallback"));
  EXPECT_THAT(refusal([](Json& j) { j["model"]["end_of_word_suffix"] = "</w>"; }),
              HasSubstr("end_of_word_suffix"));
  EXPECT_THAT(refusal([](Json& j) { j["model"]["unk_token"] = nullptr; }), HasSubstr("unk_token"));
  EXPECT_THAT(refusal([](Json& j) {
                j["normalizer"] = {{"type", "Lowercase"}};
              }),
              HasSubstr("normalizer.type"));
  EXPECT_THAT(refusal([](Json& j) {
                j["pre_tokenizer"] = {{"type", "Metaspace"}};
              }),
              HasSubstr("pre_tokenizer.type"));
  EXPECT_THAT(refusal([](Json& j) { j["post_processor"]["single"] = Json::array(); }),
              HasSubstr("post_processor.single"));
  EXPECT_THAT(refusal([](Json& j) { j["model"]["merges"][0] = "A Z"; }), HasSubstr("\"Z\""));
  EXPECT_THAT(refusal([](Json& j) { j["model"]["vocab"].erase("C"); }),
              HasSubstr("must have the ids 0 to"));
  EXPECT_THAT(refusal([](Json& j) {
                j["added_tokens"].push_back({{"id", 5}, {"content", "A"}});
              }),
              HasSubstr("added_tokens.content"));
  EXPECT_THAT(refusal([](Json& j) { j["model"]["merges"] = Json::array({Json::array({"A"})}); }),
              HasSubstr("pairs of tokens"));
}

}  // namespace
}  // namespace barcodemae
