// SPDX-License-Identifier: MIT
#include "nn/flops.h"

#include <gtest/gtest.h>

#include "nn/presets.h"

namespace barcodemae {
namespace {

// The paper's model and a barcode of 110 tokens, half of them masked; worked out by hand: a layer
// has 12 · 768² weights, eight of them its feed-forward block's, the projection 768², the head
// 768 · 4096. The last feed-forward block sees what the head sees.
TEST(Flops, OfThePaper) {
  const ModelConfig base = preset("base");
  EXPECT_NEAR(embedding_flops(base, 110), 9.34e9, 0.005e9);
  EXPECT_NEAR(training_flops(base, {.encoder = 55, .decoder = 110, .head = 55}), 41.7e9, 0.05e9);
  EXPECT_EQ(training_flops(base, {.encoder = 55, .decoder = 110, .head = 55}),
            6.0 * 768 * 768 * (55 * 72 + 55 + 110 * 64 + 55 * 8) + 6.0 * 768 * 4096 * 55);
}

TEST(Flops, OfHeadPerBase) {
  ModelConfig config = preset("base");
  config.head = HeadKind::kBase;
  EXPECT_EQ(training_flops(config, {.encoder = 0, .decoder = 0, .head = 10}),
            6.0 * 768 * (24 + 8 * 768) * 10);
}

TEST(Flops, OfEachObjective) {
  ModelConfig config = preset("base");
  const auto of = [&](ObjectiveKind objective) {
    config.objective = objective;
    return training_flops(config, training_tokens(config, 110, 55, 44, false));
  };
  const double layer = 6.0 * 12 * 768 * 768, projection = 6.0 * 768 * 768, head = 6.0 * 768 * 4096;
  const double decoder = 110 * 5 * layer + (110 * 4 + 55 * 8) * layer / 12;
  EXPECT_EQ(of(ObjectiveKind::kMaskedAutoencoder),
            66 * (6 * layer + projection) + decoder + 55 * head);
  EXPECT_EQ(of(ObjectiveKind::kMaskedAutoencoderSeeing),
            110 * (6 * layer + projection) + decoder + 55 * head);
  EXPECT_EQ(of(ObjectiveKind::kMaskedLanguageModel), 110 * 6 * layer + 55 * head);
  EXPECT_EQ(of(ObjectiveKind::kCausalLanguageModel), 110 * (6 * layer + head));
}

TEST(Flops, OfAShareThatIsPredicted) {
  ModelConfig config = preset("base");
  const auto of = [&](ObjectiveKind objective, bool visible_scored) {
    config.objective = objective;
    const TrainingTokens tokens = training_tokens(config, 110, 60, 40, visible_scored, 0.5);
    return std::vector{tokens.encoder, tokens.decoder, tokens.head};
  };
  using Counts = std::vector<std::int64_t>;
  EXPECT_EQ(of(ObjectiveKind::kMaskedAutoencoder, false), (Counts{70, 90, 30}));
  EXPECT_EQ(of(ObjectiveKind::kMaskedAutoencoder, true), (Counts{70, 90, 80}));
  EXPECT_EQ(of(ObjectiveKind::kMaskedAutoencoderSeeing, false), (Counts{110, 110, 30}));
  EXPECT_EQ(of(ObjectiveKind::kMaskedLanguageModel, false), (Counts{110, 0, 30}));
}

TEST(Flops, OfABatchAsItIsPlanned) {
  PackedBatch batch;
  batch.ids.resize(12);
  MaskingPlan plan;
  plan.encoder_rows.resize(7);
  plan.masked_rows.resize(5);
  plan.visible_rows.resize(6);
  const TrainingTokens tokens = training_tokens(preset("base"), batch, plan, true);
  EXPECT_EQ(tokens.encoder, 7);
  EXPECT_EQ(tokens.decoder, 12);
  EXPECT_EQ(tokens.head, 11);
  plan.decoder_rows.emplace(9);
  EXPECT_EQ(training_tokens(preset("base"), batch, plan, true).decoder, 9);
  ModelConfig mlm = preset("base");
  mlm.objective = ObjectiveKind::kMaskedLanguageModel;
  EXPECT_EQ(training_tokens(mlm, batch, plan, false).decoder, 0);
  EXPECT_EQ(training_tokens(mlm, batch, plan, false).head, 5);
}

}  // namespace
}  // namespace barcodemae
