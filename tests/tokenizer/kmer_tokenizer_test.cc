// SPDX-License-Identifier: MIT
#include "tokenizer/kmer_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "sequence/normalise.h"

namespace barcodemae {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

KmerTokenizer tokenizer(int k, int stride, int max_bases = 660) {
  KmerVocabulary vocabulary;
  vocabulary.k = k;
  return KmerTokenizer(vocabulary, stride, max_bases);
}

TEST(KmerTokenizer, AgreesWithTheReferenceOnOddSequences) {
  std::ifstream file(BARCODEMAE_TEST_DATA "/golden/tokens.tsv");
  std::string line;
  ASSERT_TRUE(std::getline(file, line)) << "tests/golden/tokens.tsv";
  int cases = 0;
  for (; std::getline(file, line); ++cases) {
    std::istringstream fields(line);
    std::string text, sequence;
    int k = 0, offset = 0, max_bases = 0;
    fields >> text >> k >> offset >> max_bases;
    std::vector<std::int32_t> ids;
    for (std::int32_t id = 0; fields >> id;) ids.push_back(id);

    SequenceNormaliser normaliser(sequence);
    SequenceTraits traits;
    normaliser.append(text);
    normaliser.finish(traits);
    const TokenSequence tokens = tokenizer(k, k, max_bases).tokenize(sequence, offset);
    ASSERT_EQ(tokens.ids, ids) << line;
    ASSERT_EQ(tokens.positions.size(), ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) ASSERT_EQ(tokens.positions[i], i);
  }
  EXPECT_EQ(cases, 1000);
}

TEST(KmerTokenizer, OverlappingKmersHaveConsistentPositions) {
  const std::string sequence = "ACGTNACGTACGTTGCA";
  for (const int stride : {1, 2, 3, 7}) {
    const KmerTokenizer kmers = tokenizer(4, stride, 16);
    const TokenSequence tokens = kmers.tokenize(sequence, 1);
    ASSERT_EQ(tokens.ids.size(), (16 - 4) / stride + 1);
    ASSERT_EQ(tokens.ids.size(), kmers.max_tokens());
    for (std::size_t i = 0; i < tokens.ids.size(); ++i) {
      EXPECT_EQ(tokens.positions[i], i);
      const std::string kmer = sequence.substr(1 + i * static_cast<std::size_t>(stride), 4);
      const bool known = kmer.find('N') == std::string::npos;
      EXPECT_EQ(kmers.vocabulary().token(tokens.ids[i]), known ? kmer : "[UNK]");
    }
  }
}

TEST(KmerTokenizer, AnchoredTokensKeepTheirCoordinatesAndLeaveOutWhatIsMissing) {
  const KmerTokenizer kmers = tokenizer(3, 3);
  //                 coordinates 4 ... 15, tokens from site 1: [4,7) [7,10) [10,13) [13,16)
  const std::string sequence = "AAACCNGGGTTT";
  const TokenSequence tokens = kmers.tokenize_anchored(sequence, 4, 1, 20);
  EXPECT_THAT(tokens.positions, ElementsAre(1, 3, 4));
  EXPECT_EQ(kmers.vocabulary().token(tokens.ids[0]), "AAA");
  EXPECT_EQ(kmers.vocabulary().token(tokens.ids[1]), "GGG");
  EXPECT_EQ(kmers.vocabulary().token(tokens.ids[2]), "TTT");
  // The marker ends at 15: the last token no longer fits.
  EXPECT_THAT(kmers.tokenize_anchored(sequence, 4, 1, 15).positions, ElementsAre(1, 3));
  // A sequence that begins before the marker: coordinates −2 ... 9, tokens [1,4) [4,7) [7,10).
  const TokenSequence early = kmers.tokenize_anchored(sequence, -2, 1, 20);
  EXPECT_THAT(early.positions, ElementsAre(1, 2));
  EXPECT_EQ(kmers.vocabulary().token(early.ids[0]), "GGG");
  EXPECT_THAT(kmers.tokenize_anchored(sequence, 25, 1, 20).ids, IsEmpty());
  EXPECT_THAT(kmers.tokenize_anchored(sequence, -40, 1, 20).ids, IsEmpty());
  EXPECT_THAT(kmers.tokenize_anchored("", 0, 0, 20).ids, IsEmpty());
}

TEST(KmerTokenizer, AnchoredAndPlainTokensAgreeOnACompleteSequence) {
  std::string sequence;
  for (int i = 0; i < 66; ++i) sequence += "ACGTTGCAGT"[i * i % 10];
  for (const int stride : {2, 6}) {
    const KmerTokenizer kmers = tokenizer(6, stride);
    const TokenSequence plain = kmers.tokenize(sequence, 1);
    const TokenSequence anchored = kmers.tokenize_anchored(sequence, 0, 1, 66);
    EXPECT_EQ(plain.ids, anchored.ids);
    EXPECT_EQ(plain.positions, anchored.positions);
  }
}

TEST(KmerVocabulary, SpecialTokensShiftTheKmers) {
  KmerVocabulary vocabulary{4, {"[MASK]", "[UNK]", "[CLS]"}};
  EXPECT_EQ(vocabulary.size(), 259);
  EXPECT_EQ(vocabulary.token(2), "[CLS]");
  EXPECT_EQ(vocabulary.token(3), "AAAA");
  EXPECT_EQ(vocabulary.token(4), "AAAC");
  EXPECT_EQ(vocabulary.token(258), "TTTT");
  EXPECT_THAT(KmerTokenizer(vocabulary).tokenize("AAAAACGTAAN").ids, ElementsAre(2, 3, 30));
  EXPECT_THROW(vocabulary.token(259), InternalError);
}

TEST(KmerTokenizer, RefusesUnusableSizes) {
  EXPECT_THROW(tokenizer(0, 1), UserError);
  EXPECT_THROW(tokenizer(11, 11), UserError);
  EXPECT_THROW(tokenizer(6, 0), UserError);
  EXPECT_THROW(tokenizer(6, 6, 5), UserError);
  EXPECT_THROW(KmerTokenizer(KmerVocabulary{4, {"[UNK]", "[MASK]"}}), UserError);
}

TEST(KmerTokenizer, KmersWithNComeAfterTheOthers) {
  KmerVocabulary vocabulary{3};
  vocabulary.n_kmers = true;
  EXPECT_EQ(vocabulary.size(), 2 + 125);
  // In the order A < C < G < T < N among themselves.
  std::vector<std::string> with_n;
  for (const char a : std::string("ACGTN"))
    for (const char b : std::string("ACGTN"))
      for (const char c : std::string("ACGTN")) {
        const std::string kmer{a, b, c};
        if (kmer.find('N') != std::string::npos) with_n.push_back(kmer);
      }
  const KmerTokenizer tokenizer(vocabulary);
  for (std::size_t i = 0; i < with_n.size(); ++i) {
    const auto id = static_cast<std::int32_t>(2 + 64 + i);
    EXPECT_EQ(vocabulary.token(id), with_n[i]);
    EXPECT_EQ(tokenizer.tokenize(with_n[i] + "AAA").ids.front(), id) << with_n[i];
  }
  EXPECT_EQ(tokenizer.tokenize("ACR").ids.front(), KmerVocabulary::kUnknown) << "R is not N";
  EXPECT_EQ(tokenizer.tokenize("TTT").ids.front(), 2 + 63);
}

TEST(KmerTokenizer, ClsComesFirst) {
  const KmerTokenizer tokenizer(KmerVocabulary{3, {"[MASK]", "[UNK]", "[CLS]"}}, 3, 12);
  const TokenSequence tokens = tokenizer.tokenize("AAATTTNNA");
  EXPECT_EQ(tokens.ids, (std::vector<std::int32_t>{2, 3, 66, 1}));
  EXPECT_EQ(tokens.positions, (std::vector<std::int32_t>{0, 1, 2, 3}));
  EXPECT_EQ(tokenizer.max_tokens(), 5);
  EXPECT_TRUE(tokenizer.tokenize("AA").ids.empty());
  const TokenSequence anchored = tokenizer.tokenize_anchored("AAATTT", 3, 0, 12);
  EXPECT_EQ(anchored.ids, (std::vector<std::int32_t>{2, 3, 66}));
  EXPECT_EQ(anchored.positions, (std::vector<std::int32_t>{0, 2, 3}));
}

}  // namespace
}  // namespace barcodemae
