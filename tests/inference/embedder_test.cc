// SPDX-License-Identifier: MIT
#include "inference/embedder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <memory>
#include <utility>

#include "backend/backends.h"
#include "base/error.h"
#include "base/threads.h"
#include "devices.h"
#include "inference/readout_layers.h"
#include "ops/ops.h"
#include "readouts.h"
#include "temporary_folder.h"
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

/// What training begins with for a seed, as a model directory.
class ModelOnDisk {
 public:
  ModelOnDisk(ModelDescription description, std::uint64_t seed,
              std::shared_ptr<const Readout> readout) {
    const auto backend = make_backend("cpu");
    Parameters parameters(*backend);
    const Encoder encoder(parameters, description.config);
    parameters.allocate(false);
    parameters.initialise(seed);
    description.readout = std::move(readout);
    write_model(folder_.path(), description, parameters, false);
  }
  const std::filesystem::path& path() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
};

ModelDescription with_cls(ModelDescription description) {
  KmerVocabulary vocabulary = description.coder.tokenizer.vocabulary();
  vocabulary.specials.emplace_back(KmerVocabulary::kCls);
  description.config.cls = true;
  description.config.vocabulary = vocabulary.size();
  description.coder.tokenizer = KmerTokenizer(vocabulary, 3, 90);
  return description;
}

/// Last hidden states of one sequence under the weights of seed 3, each as the vector of a batch:
/// the mean over a segment of one token.
Matrix hidden_states(const ModelDescription& description, const TokenSequence& sequence,
                     const std::pair<std::string, DType>& where) {
  const auto backend = make_backend(where.first);
  Parameters parameters(*backend);
  const Encoder encoder(parameters, description.config);
  parameters.allocate(false);
  parameters.initialise(3);
  backend->refresh_weights(parameters, where.second, false);
  Arena arena(*backend);
  arena.reserve(std::size_t{1} << 22);
  Context context{*backend, arena, nullptr, backend->activation_type(where.second)};
  const auto count = static_cast<std::int32_t>(sequence.ids.size());
  const Tensor hidden = encoder(context, context.upload(sequence.ids),
                                make_segments(context, {0, count}, {0}, sequence.positions));
  std::vector<std::int32_t> begins, records(sequence.ids.size(), 0);
  for (std::int32_t i = 0; i <= count; ++i) begins.push_back(i);
  const Tensor rows =
      ops::mean_pool(context, hidden, make_segments(context, begins, records, sequence.positions));
  Matrix matrix{count, rows.cols(), {}};
  matrix.values.resize(static_cast<std::size_t>(matrix.rows * matrix.cols));
  backend->download(matrix.values.data(), rows.view);
  return matrix;
}

/// Device and precision.
class EmbedderTest : public testing::TestWithParam<std::pair<std::string, DType>> {
 protected:
  void SetUp() override {
    if (GetParam().first == "cpu" && !cpu::has_precision(GetParam().second))
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

TEST_P(EmbedderTest, SegmentsAndReadoutDependNeitherOnTheBatchNorOnThreads) {
  ModelDescription description = tiny_description();
  description.config.pooling = Pooling(Pooling::kSegments, 4);
  const auto sequences = tokens_of(odd_sequences(70), description.coder);
  const ModelOnDisk model(description, 3, some_readout(192, 10, 7));
  const int threads = thread_count();
  for (const char* pooling : {"model", "segments:4"}) {
    EmbedderOptions one = options(1), several = options(500);
    one.pooling = several.pooling = pooling;
    set_thread_count(1);
    const Matrix expected = Embedder::load(model.path(), one).embed(sequences);
    set_thread_count(3);
    const Matrix packed = Embedder::load(model.path(), several).embed(sequences);
    set_thread_count(threads);
    ASSERT_EQ(expected.cols, std::string(pooling) == "model" ? 10 : 192);
    EXPECT_TRUE(same_bits(packed.values, expected.values)) << pooling;
  }
}

TEST_P(EmbedderTest, AVectorReadOutDependsOnNoOther) {
  // More than are read out at once.
  const ModelDescription description = tiny_description();
  const ModelOnDisk model(description, 3, some_readout(48, 10, 7));
  std::vector<std::string> bases;
  for (int i = 0; i < 1100; ++i) {
    std::string one;
    for (int digit = i; one.size() < 9; digit /= 4) one += "ACGT"[digit % 4];
    bases.push_back(one);
  }
  const auto sequences = tokens_of(bases, description.coder);
  Embedder embedder = Embedder::load(model.path(), options(500));
  const Matrix all = embedder.embed(sequences);
  for (const std::size_t i : {0u, 500u, 1023u, 1024u, 1099u}) {
    EXPECT_TRUE(
        same_bits(embedder.embed({sequences[i]}).values, all.row(static_cast<std::int64_t>(i))))
        << i;
  }
}

TEST_P(EmbedderTest, SegmentsAreMeansOverTheirPlaces) {
  // 30 places: ranges of 5 or 4 of them begin at 0, 5, 9, 13, 18, 22, 26.
  constexpr int kRanges = 7, kPlaces = 30;
  const std::vector<int> begins{0, 5, 9, 13, 18, 22, 26, kPlaces};
  for (const bool cls : {false, true}) {
    const ModelDescription description = cls ? with_cls(tiny_description()) : tiny_description();
    const std::int32_t shift = cls ? 1 : 0;
    TokenSequence sequence;
    if (cls) sequence = {{2}, {0}};
    for (const std::int32_t place : {0, 4, 5, 6, 11, 14, 18, 23, 29}) {  // none from 26 to 28
      sequence.ids.push_back(10 + place);
      sequence.positions.push_back(place + shift);
    }
    const std::vector<TokenSequence> sequences{sequence, {}, sequence};
    EmbedderOptions segments = options(1000);
    segments.pooling = "segments:7";
    const Matrix vectors = Embedder::random(description, 3, segments).embed(sequences);
    ASSERT_EQ(vectors.cols, 48 * kRanges);
    EXPECT_TRUE(same_bits(vectors.row(0), vectors.row(2)));
    for (const float value : vectors.row(1)) EXPECT_EQ(value, 0);

    const Matrix hidden = hidden_states(description, sequence, GetParam());
    for (int range = 0; range < kRanges; ++range) {
      for (std::size_t c = 0; c < 48; ++c) {
        double sum = 0;
        int count = 0;
        for (std::size_t token = static_cast<std::size_t>(shift); token < sequence.ids.size();
             ++token) {
          const std::int32_t place = sequence.positions[token] - shift;
          if (place < begins[static_cast<std::size_t>(range)] ||
              place >= begins[static_cast<std::size_t>(range) + 1]) {
            continue;
          }
          sum += hidden.row(static_cast<std::int64_t>(token))[c];
          ++count;
        }
        const float found = vectors.row(0)[static_cast<std::size_t>(48 * range) + c];
        EXPECT_NEAR(found, count == 0 ? 0 : sum / count, 1e-5) << cls << " " << range << " " << c;
      }
    }
  }
}

TEST_P(EmbedderTest, MeanLeavesClsOutAndBothHasItBehindTheMean) {
  const ModelDescription description = with_cls(tiny_description());
  const TokenSequence sequence{{2, 10, 20, 30}, {0, 1, 2, 5}};
  const Matrix hidden = hidden_states(description, sequence, GetParam());
  const auto pooled = [&](const char* pooling) {
    EmbedderOptions some = options(1000);
    some.pooling = pooling;
    return Embedder::random(description, 3, some).embed({sequence}).values;
  };
  const std::vector<float> mean = pooled("mean"), cls = pooled("cls");
  ASSERT_EQ(mean.size(), 48u);
  ASSERT_EQ(cls.size(), 48u);
  for (std::size_t c = 0; c < 48; ++c) {
    EXPECT_NEAR(cls[c], hidden.row(0)[c], 1e-5);
    EXPECT_NEAR(mean[c], (hidden.row(1)[c] + hidden.row(2)[c] + hidden.row(3)[c]) / 3, 1e-5);
  }
  std::vector<float> both = mean;
  both.insert(both.end(), cls.begin(), cls.end());
  EXPECT_TRUE(same_bits(pooled("both"), both));
}

TEST_P(EmbedderTest, AReadoutIsAppliedToWhatIsPooled) {
  const ModelDescription description = tiny_description();
  const auto sequences = tokens_of(odd_sequences(20), description.coder);
  const ModelOnDisk model(description, 3, some_readout(48, 6));
  Embedder embedder = Embedder::load(model.path(), options(300));
  EXPECT_EQ(embedder.width(), 6);
  EmbedderOptions plain = options(300);
  plain.pooling = "mean";
  const Matrix means = Embedder::load(model.path(), plain).embed(sequences);
  const Matrix same = Embedder::random(embedder.description(), 3, options(300)).embed(sequences);
  EXPECT_TRUE(same_bits(means.values, same.values)) << "--pooling mean is the paper's vector, and "
                                                       "a random encoder has no readout";
  for (const int hidden_units : {0, 11}) {
    const auto readout = some_readout(48, 6, hidden_units);
    const ModelOnDisk mapping(description, 3, readout);
    const Matrix mapped = Embedder::load(mapping.path(), options(300)).embed(sequences);
    for (std::int64_t r = 0; r < mapped.rows; ++r) {
      const bool empty = sequences[static_cast<std::size_t>(r)].ids.empty();
      const auto expected = empty ? std::vector<float>(6) : read_out(*readout, means.row(r));
      for (std::size_t i = 0; i < expected.size(); ++i) {
        EXPECT_NEAR(mapped.row(r)[i], expected[i], 1e-3) << hidden_units << " " << r;
      }
    }
  }
}

TEST_P(EmbedderTest, AReadoutTakesMoreRowsThanABlock) {
  const auto backend = make_backend(GetParam().first);
  const auto readout = some_readout(9, 4, 5);
  ReadoutLayers layers(readout, *backend);
  const std::int64_t rows = 2 * layers.worthwhile_rows() + 3;
  Matrix vectors{rows, 9, {}};
  RandomSequence random(2, Stream::kSimulate);
  for (std::int64_t i = 0; i < rows * 9; ++i) {
    vectors.values.push_back(static_cast<float>(random.normal()));
  }
  const Matrix mapped = layers(vectors);
  ASSERT_EQ(mapped.rows, rows);
  for (std::int64_t r = 0; r < rows; r += 97) {
    const auto expected = read_out(*readout, vectors.row(r));
    for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(mapped.row(r)[i], expected[i], 1e-4) << r;
  }
}

std::vector<std::pair<std::string, DType>> devices_and_precisions() {
  std::vector<std::pair<std::string, DType>> all;
  for (const std::string& device : test_devices()) {
    all.emplace_back(device, DType::kFloat32);
    if (device != "reference") all.emplace_back(device, DType::kBFloat16);
    if (device != "cuda") all.emplace_back(device, DType::kInt8);
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Devices, EmbedderTest, testing::ValuesIn(devices_and_precisions()),
                         [](const auto& values) {
                           return values.param.first + "_" + to_string(values.param.second);
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

  const TemporaryFolder folder;
  write_model(folder.path(), description, parameters, false);
  EXPECT_TRUE(
      same_bits(Embedder::load(folder.path(), options).embed(sequences).values, expected.values));
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
