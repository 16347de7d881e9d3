// SPDX-License-Identifier: MIT
#include "nn/masked_autoencoder.h"

#include <gtest/gtest.h>

#include <cmath>

#include "backend/backends.h"
#include "base/random.h"
#include "base/threads.h"
#include "golden.h"
#include "model_run.h"
#include "nn/presets.h"

namespace barcodemae {
namespace {

ModelConfig tiny() {
  ModelConfig config = preset("tiny");
  config.k = 2;
  config.vocabulary = 18;
  config.encoder.width = config.decoder.width = 32;
  config.encoder.feed_forward = config.decoder.feed_forward = 64;
  config.max_positions = 32;
  return config;
}

double deviation(const std::vector<float>& values) {
  double sum = 0, squares = 0;
  for (const float value : values) {
    sum += value;
    squares += double{value} * value;
  }
  const auto count = static_cast<double>(values.size());
  return std::sqrt(squares / count - sum / count * sum / count);
}

TEST(Initialisation, IsThePapers) {
  ModelConfig config;
  config.encoder.layers = config.decoder.layers = 1;
  const auto backend = make_reference_backend();
  Parameters parameters(*backend);
  const MaskedAutoencoder model(parameters, config);
  parameters.allocate(/*training=*/false);
  parameters.initialise(7);
  model.initialise(parameters, 7, {});
  for (const char* name : {"embeddings.word_embeddings.weight", "head.weight",
                           "encoder.layer.0.attention.self.key.weight",
                           "decoder.encoder.layer.0.output.dense.weight"}) {
    EXPECT_NEAR(deviation(parameters.download(name)), 0.02, 1e-4) << name;
  }
  const double bound = 1 / std::sqrt(768.0);
  const auto projection = parameters.download("projection.weight");
  EXPECT_NEAR(deviation(projection), bound / std::sqrt(3.0), 1e-4);
  EXPECT_LE(*std::max_element(projection.begin(), projection.end()), bound);
  EXPECT_EQ(parameters.download("decoder.mask_vector"), std::vector<float>(768, 0.0f));
  EXPECT_EQ(parameters.download("encoder.layer.0.output.LayerNorm.weight"),
            std::vector<float>(768, 1.0f));
  EXPECT_EQ(parameters.download("encoder.layer.0.attention.self.query.bias"),
            std::vector<float>(768, 0.0f));
}

TEST(Initialisation, OfKmersFromBases) {
  ModelConfig config = preset("tiny");  // 6-mers
  const auto backend = make_reference_backend();
  Parameters parameters(*backend);
  const MaskedAutoencoder model(parameters, config);
  parameters.allocate(/*training=*/false);
  parameters.initialise(7);
  const auto before = parameters.download("embeddings.word_embeddings.weight");
  model.initialise(parameters, 7, {});
  const auto words = parameters.download("embeddings.word_embeddings.weight");
  const auto width = static_cast<std::size_t>(config.encoder.width);
  EXPECT_TRUE(std::equal(words.begin(), words.begin() + 2 * 64, before.begin()))
      << "special tokens have no bases";
  EXPECT_NEAR(deviation({words.begin() + 2 * 64, words.end()}), 0.02, 0.002);
  // AAAAAA − CAAAAA = AAAAAG − CAAAAG: the first base's share does not depend on the others.
  const auto row = [&](std::size_t kmer, std::size_t c) { return words[(2 + kmer) * width + c]; };
  for (std::size_t c = 0; c < width; ++c) {
    EXPECT_NEAR(row(0, c) - row(1024, c), row(2, c) - row(1026, c), 1e-7);
    EXPECT_NE(row(0, c), row(1024, c));
  }
}

TEST(Initialisation, SiteBiasesAreLogFrequencies) {
  const ModelConfig config = tiny();
  ModelRun run(make_reference_backend(), config, DType::kFloat32);
  run.parameters.initialise(1);
  const std::vector<float> frequencies(32 * 8, std::log(0.25f));
  run.model.initialise(run.parameters, 1, frequencies);
  EXPECT_EQ(run.parameters.download("head.site_bias"), frequencies);
}

// With dropout, what happens to a sequence depends on its record, not on the batch around it.
TEST(MaskedAutoencoderTest, GradientsAddUpOverMicroBatches) {
  ModelConfig config = tiny();
  config.dropout = 0.2f;
  const Golden golden("kmer_head");
  config.head = HeadKind::kKmer;
  const auto gradients = [&](const std::vector<std::pair<std::size_t, std::size_t>>& parts) {
    ModelRun run(make_reference_backend(), config, DType::kFloat64);
    run.context.seed = 3;
    run.parameters.initialise(5);
    for (const auto& [first, last] : parts) {
      PackedBatch batch;
      MaskingPlan plan;
      for (std::size_t s = first; s < last; ++s) {
        TokenSequence sequence;
        const auto begin = golden.batch.begins[s], end = golden.batch.begins[s + 1];
        const auto shift = static_cast<std::int32_t>(batch.tokens()) - begin;
        for (auto t = begin; t < end; ++t) {
          sequence.ids.push_back(golden.batch.ids[static_cast<std::size_t>(t)]);
          sequence.positions.push_back(golden.batch.positions[static_cast<std::size_t>(t)]);
        }
        batch.append(sequence, golden.batch.records[s]);
        const auto copy = [&](const std::vector<std::int32_t>& from,
                              std::vector<std::int32_t>& to) {
          for (const auto row : from) {
            if (row >= begin && row < end) to.push_back(row + shift);
          }
        };
        copy(golden.plan.encoder_rows, plan.encoder_rows);
        copy(golden.plan.masked_rows, plan.masked_rows);
        copy(golden.plan.visible_rows, plan.visible_rows);
        plan.encoder_begins.push_back(static_cast<std::int32_t>(plan.encoder_rows.size()));
      }
      run.train(batch, plan, golden.counts, 0.8);
    }
    std::vector<std::vector<float>> all;
    for (const auto& shape : run.parameters.names()) {
      all.push_back(run.parameters.download_gradient(shape.name));
    }
    return all;
  };
  const std::size_t sequences = golden.batch.records.size();
  const auto whole = gradients({{0, sequences}});
  const auto parts = gradients({{0, 3}, {3, 5}, {5, sequences}});
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (std::size_t j = 0; j < whole[i].size(); ++j) {
      ASSERT_NEAR(whole[i][j], parts[i][j], 1e-7 + 1e-6 * std::abs(whole[i][j])) << i;
    }
  }
}

// Same bits for any number of threads, dropout included.
TEST(MaskedAutoencoderTest, ThreadsDoNotMatter) {
  ModelConfig config = preset("tiny");
  config.k = 3;
  config.vocabulary = 66;
  PackedBatch batch;
  RandomSequence random(1, Stream::kSimulate);
  for (std::int32_t record = 0; record < 40; ++record) {
    TokenSequence sequence;
    for (std::int32_t t = 0; t < 5 + 2 * record; ++t) {
      sequence.ids.push_back(config.first_kmer() + static_cast<std::int32_t>(random.below(64)));
      sequence.positions.push_back(t);
    }
    batch.append(sequence, record);
  }
  const MaskingPlan plan =
      plan_masking(batch, {.first_kmer = config.first_kmer(), .kmers = config.kmers()}, 1, 0);
  const auto results = [&](int threads) {
    const int before = thread_count();
    set_thread_count(threads);
    ModelRun run(make_cpu_backend(), config, DType::kFloat32);
    run.context.seed = 11;
    run.parameters.initialise(5);
    auto all = run.train(batch, plan, {batch.tokens(), batch.tokens()}, 0.9);
    for (const auto& shape : run.parameters.names()) {
      all.push_back(run.parameters.download_gradient(shape.name));
    }
    set_thread_count(before);
    return all;
  };
  const auto one = results(1);
  EXPECT_EQ(one, results(2));
  EXPECT_EQ(one, results(3));
}

PackedBatch batch_of(const std::vector<std::vector<std::int32_t>>& sequences) {
  PackedBatch batch;
  for (const auto& ids : sequences) {
    TokenSequence sequence;
    sequence.ids = ids;
    for (std::size_t t = 0; t < ids.size(); ++t) {
      sequence.positions.push_back(static_cast<std::int32_t>(t));
    }
    batch.append(sequence, static_cast<std::int32_t>(batch.records.size()));
  }
  return batch;
}

// Legal, if useless: nothing masked, nothing visible, nothing at all.
TEST(MaskedAutoencoderTest, DegenerateBatches) {
  struct Degenerate {
    PackedBatch batch;
    MaskingPlan plan;
    GlobalCounts counts;
  };
  std::vector<Degenerate> cases;
  {
    Degenerate all_visible{batch_of({{5, 6, 7}, {}}), {}, {10, 10}};
    all_visible.plan.encoder_rows = all_visible.plan.visible_rows = {0, 1, 2};
    all_visible.plan.encoder_begins = {0, 3, 3};
    cases.push_back(all_visible);
    Degenerate all_masked{batch_of({{5, 6, 7}, {}}), {}, {10, 10}};
    all_masked.plan.masked_rows = {0, 1, 2};
    all_masked.plan.encoder_begins = {0, 0, 0};
    cases.push_back(all_masked);
    Degenerate empty{batch_of({{}, {}}), {}, {0, 0}};
    empty.plan.encoder_begins = {0, 0, 0};
    cases.push_back(empty);
  }
  for (const Degenerate& c : cases) {
    ModelRun run(make_reference_backend(), tiny(), DType::kFloat32);
    run.parameters.initialise(1);
    const auto losses = run.train(c.batch, c.plan, c.counts, 0.5);
    const bool scored = c.batch.tokens() > 0;
    const bool masked = !c.plan.masked_rows.empty();
    // Three 2-mers of a batch with ten, each ln 16 nats but for what random weights guess.
    EXPECT_NEAR(losses[0][0], masked ? 0.3 * std::log(16.0) : 0.0, 0.15);
    EXPECT_NEAR(losses[1][0], scored && !masked ? 0.3 * std::log(16.0) : 0.0, 0.15);
    double norm = 0;
    for (const auto& shape : run.parameters.names()) {
      for (const float g : run.parameters.download_gradient(shape.name)) norm += double{g} * g;
      if (shape.name.starts_with("encoder.") && masked) {
        EXPECT_EQ(run.parameters.download_gradient(shape.name),
                  std::vector<float>(static_cast<std::size_t>(shape.rows * shape.cols), 0.0f));
      }
    }
    EXPECT_TRUE(std::isfinite(norm));
    EXPECT_EQ(norm > 0, scored);
  }
}

}  // namespace
}  // namespace barcodemae
