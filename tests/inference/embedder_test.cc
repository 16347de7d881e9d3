// SPDX-License-Identifier: MIT
#include "inference/embedder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "backend/backends.h"
#include "base/threads.h"
#include "tiny_model.h"

namespace barcodemae {
namespace {

std::vector<TokenSequence> tokens_of(const std::vector<std::string>& sequences,
                                     const SequenceCoder& coder) {
  std::vector<TokenSequence> tokens;
  for (const std::string& sequence : sequences) tokens.push_back(coder.encode(sequence));
  return tokens;
}

bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

/// Device and precision.
class EmbedderTest : public testing::TestWithParam<std::pair<const char*, DType>> {
 protected:
  void SetUp() override {
    if (!cpu::has_precision(GetParam().second))
      GTEST_SKIP() << "skipped: this CPU has no " << to_string(GetParam().second);
  }
  EmbedderOptions options(std::int64_t batch_tokens) const {
    return {GetParam().second, batch_tokens, GetParam().first};
  }
};

TEST_P(EmbedderTest, AVectorDependsNeitherOnItsBatchNorOnThreads) {
  const ModelDescription description = tiny_description();
  const auto sequences = tokens_of(odd_sequences(70), description.coder);
  Embedder one_at_a_time = Embedder::random(description, 3, options(1));
  Embedder packed = Embedder::random(description, 3, options(500));
  const Matrix expected = one_at_a_time.embed(sequences);
  ASSERT_EQ(expected.rows, 70);
  ASSERT_EQ(expected.cols, 48);

  const int threads = thread_count();
  set_thread_count(1);
  const Matrix single = packed.embed(sequences);
  set_thread_count(3);
  const Matrix several = packed.embed(sequences);
  set_thread_count(threads);
  EXPECT_TRUE(same_bits(single.values, expected.values));
  EXPECT_TRUE(same_bits(several.values, expected.values));

  // Alone, each is what it was among the others: the order of the input is kept.
  for (const std::size_t i : {0u, 13u, 69u})
    EXPECT_TRUE(
        same_bits(packed.embed({sequences[i]}).values, expected.row(static_cast<std::int64_t>(i))));
}

TEST_P(EmbedderTest, SequencesWithoutTokensGetZerosInTheirPlace) {
  const ModelDescription description = tiny_description();
  Embedder embedder = Embedder::random(description, 3, options(64));
  const TokenSequence full = description.coder.encode("ACGTACGTT");
  const Matrix vectors = embedder.embed({{}, full, {}});
  EXPECT_EQ(vectors.row(0)[0], 0.f);
  EXPECT_EQ(vectors.row(2)[47], 0.f);
  EXPECT_TRUE(same_bits(vectors.row(1), embedder.embed({full}).values));
  double norm = 0;
  for (const float value : vectors.row(1)) norm += std::abs(value);
  EXPECT_GT(norm, 1);  // LayerNorm's output is far from zero
  EXPECT_EQ(embedder.embed(std::vector<TokenSequence>{}).rows, 0);
}

INSTANTIATE_TEST_SUITE_P(
    Devices, EmbedderTest,
    testing::Values(std::pair("reference", DType::kFloat32), std::pair("cpu", DType::kFloat32),
                    std::pair("cpu", DType::kBFloat16), std::pair("reference", DType::kInt8),
                    std::pair("cpu", DType::kInt8)),
    [](const auto& values) {
      return std::string(values.param.first) + "_" + to_string(values.param.second);
    });

TEST(Embedder, LoadedBorrowedAndRandomAreTheSameModel) {
  const ModelDescription description = tiny_description();
  const auto sequences = tokens_of(odd_sequences(20), description.coder);
  EmbedderOptions options;
  const Matrix expected = Embedder::random(description, 5, options).embed(sequences);
  EXPECT_NE(Embedder::random(description, 6, options).embed(sequences).values, expected.values);

  const auto backend = make_backend("cpu");
  Parameters parameters(*backend);
  const Encoder encoder(parameters, description.config);
  parameters.allocate(false);
  parameters.initialise(5);
  backend->refresh_weights(parameters, options.precision, false);
  EXPECT_TRUE(
      same_bits(Embedder::borrow(description, encoder, *backend, options).embed(sequences).values,
                expected.values));

  const auto directory = std::filesystem::path(testing::TempDir()) / "barcodemae_embedder_model";
  std::filesystem::create_directories(directory);
  write_model(directory, description, parameters, false);
  EXPECT_TRUE(
      same_bits(Embedder::load(directory, options).embed(sequences).values, expected.values));
  std::filesystem::remove_all(directory);
}

TEST(Embedder, RecordsOfADataSetComeInTheOrderAskedFor) {
  const ModelDescription description = tiny_description();
  const auto sequences = odd_sequences(300);
  Dataset data;
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    Record record;
    record.id = std::to_string(i);
    record.sequence = sequences[i] + "ACG";  // every record has a token
    data.append(record);
  }
  Embedder embedder = Embedder::random(description, 3, {});
  const std::vector<std::int64_t> wanted{299, 4, 4, 120};
  const Matrix vectors = embedder.embed(data, wanted);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const auto tokens =
        description.coder.encode(sequences[static_cast<std::size_t>(wanted[i])] + "ACG");
    EXPECT_TRUE(
        same_bits(vectors.row(static_cast<std::int64_t>(i)), embedder.embed({tokens}).values));
  }
}

}  // namespace
}  // namespace barcodemae
