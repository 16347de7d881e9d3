// SPDX-License-Identifier: MIT
#include "nn/memory_plan.h"

#include <gtest/gtest.h>

#include "backend/backends.h"
#include "base/error.h"
#include "base/random.h"
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

TEST(MemoryPlan, SufficesForAnyBatchWithin) {
  ModelConfig config = preset("tiny");
  config.k = 2;
  config.vocabulary = 18;
  ModelRun run(make_reference_backend(), config, DType::kFloat32);
  run.parameters.initialise(1);
  run.backend->refresh_weights(run.parameters, DType::kFloat32, true);

  const std::size_t planned =
      plan_training_memory(*run.backend, run.model, DType::kFloat32, kWorst, 0.5, 0.7);
  run.arena.reserve(planned);
  std::size_t most = 0;
  for (std::uint32_t step = 0; step < 20; ++step) {
    const PackedBatch batch = random_batch(config, step);
    const MaskingPlan plan =
        plan_masking(batch, MaskingScheme::kBernoulli, 0.5, config.first_kmer(), 1, step);
    run.arena.rewind();
    run.model(run.context, batch, plan, {batch.tokens(), batch.tokens()}, 0.7);
    ASSERT_NO_THROW(run.tape.backward());
    most = std::max(most, run.arena.high_water());
  }
  EXPECT_LE(most, planned);
  EXPECT_GT(most, planned / 4) << "the plan is far above what is used";
}

TEST(MemoryPlan, EmbeddingKeepsNoLayers) {
  ModelConfig config = preset("tiny");
  const auto bytes = [&](int layers) {
    config.encoder.layers = layers;
    ModelRun run(make_reference_backend(), config, DType::kFloat32);
    return plan_embedding_memory(*run.backend, run.model.encoder(), DType::kFloat32, kWorst);
  };
  EXPECT_EQ(bytes(2), bytes(12));
}

}  // namespace
}  // namespace barcodemae
