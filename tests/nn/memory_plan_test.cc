// SPDX-License-Identifier: MIT
#include "nn/memory_plan.h"

#include <gtest/gtest.h>

#include "backend/backends.h"
#include "base/error.h"
#include "base/random.h"
#include "devices.h"
#include "model_run.h"
#include "nn/presets.h"

namespace barcodemae {
namespace {

constexpr WorstBatch kWorst{.sequences = 6, .tokens = 20};

// Any lengths up to the worst ones, each token masked or not by chance.
PackedBatch random_batch(const ModelConfig& config, std::uint32_t number) {
  RandomSequence random(1, Stream::kSimulate, number);
  PackedBatch batch;
  for (std::int64_t i = 0; i < kWorst.sequences; ++i) {
    TokenSequence sequence;
    const std::uint32_t length = random.below(static_cast<std::uint32_t>(kWorst.tokens) + 1);
    for (std::uint32_t t = 0; t < length; ++t) {
      sequence.ids.push_back(
          config.first_kmer() +
          static_cast<std::int32_t>(random.below(static_cast<std::uint32_t>(config.kmers()))));
      sequence.positions.push_back(static_cast<std::int32_t>(t));
    }
    batch.append(sequence, static_cast<std::int32_t>(i));
  }
  return batch;
}

class MemoryPlanTest : public testing::TestWithParam<std::tuple<std::string, DType>> {
 protected:
  MemoryPlanTest() : run(make_backend(std::get<0>(GetParam())), config(), dtype()) {}
  static DType dtype() { return std::get<1>(GetParam()); }
  static ModelConfig config() {
    ModelConfig config = preset("tiny");
    config.k = 2;
    config.vocabulary = 18;
    config.decoder.width = 96;
    return config;
  }
  void step(std::uint32_t number) {
    const PackedBatch batch = random_batch(config(), number);
    const MaskingPlan plan = plan_masking(
        batch, {.first_kmer = config().first_kmer(), .kmers = config().kmers()}, 1, number);
    run.model(run.context, batch, plan, {batch.tokens(), batch.tokens()}, {0.7});
    run.tape.backward();
  }
  ModelRun run;
};

TEST_P(MemoryPlanTest, SufficesForAnyBatchWithin) {
  if (!has_precision(parse_device(std::get<0>(GetParam()))->kind, dtype())) {
    GTEST_SKIP() << "skipped: bfloat16 needs AVX-512";
  }
  const std::size_t planned =
      plan_training_memory(*run.backend, run.model, dtype(), kWorst, {}, {0.7});
  std::size_t most = 0;
  for (std::uint32_t number = 0; number < 500; ++number) {  // dry
    run.arena.begin_measuring();
    step(number);
    most = std::max(most, run.arena.end_measuring());
  }
  EXPECT_LE(most, planned);
  EXPECT_GT(most, planned / 3) << "the plan is far above what is used";

  run.parameters.initialise(1);
  run.backend->refresh_weights(run.parameters, dtype(), /*backward=*/true);
  run.arena.reserve(planned);
  for (std::uint32_t number = 0; number < 5; ++number) {
    run.arena.rewind();
    ASSERT_NO_THROW(step(number));
  }
}

std::vector<std::tuple<std::string, DType>> devices_and_types() {
  std::vector<std::tuple<std::string, DType>> all;
  for (const std::string& device : test_devices()) {
    all.emplace_back(device, DType::kFloat32);
    if (device != "reference") all.emplace_back(device, DType::kBFloat16);
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Backends, MemoryPlanTest, testing::ValuesIn(devices_and_types()),
                         [](const auto& test) {
                           return std::get<0>(test.param) + "_" +
                                  to_string(std::get<1>(test.param));
                         });

TEST(MemoryPlan, EmbeddingKeepsNoLayers) {
  ModelConfig config = preset("tiny");
  const auto bytes = [&](int layers) {
    config.encoder.layers = layers;
    ModelRun run(make_reference_backend(), config, DType::kFloat32);
    return plan_embedding_memory(*run.backend, run.model.encoder(), DType::kFloat32, kWorst);
  };
  EXPECT_EQ(bytes(2), bytes(12));
}

TEST(MemoryPlan, RefusesMoreTokensThanCanBeCounted) {
  ModelRun run(make_reference_backend(), preset("tiny"), DType::kFloat32);
  EXPECT_THROW(
      plan_training_memory(*run.backend, run.model, DType::kFloat32, {1 << 20, 2048}, {}, {}),
      UserError);
}

}  // namespace
}  // namespace barcodemae
