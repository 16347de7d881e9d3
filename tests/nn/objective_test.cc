// SPDX-License-Identifier: MIT
// What holds for every objective.
#include "nn/objective.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "backend/backends.h"
#include "base/random.h"
#include "base/threads.h"
#include "model_run.h"
#include "nn/memory_plan.h"
#include "nn/presets.h"

namespace barcodemae {
namespace {

constexpr ObjectiveKind kObjectives[] = {
    ObjectiveKind::kMaskedAutoencoder, ObjectiveKind::kMaskedAutoencoderSeeing,
    ObjectiveKind::kMaskedLanguageModel, ObjectiveKind::kCausalLanguageModel};

ModelConfig tiny(ObjectiveKind objective) {
  ModelConfig config = preset("tiny");
  config.objective = objective;
  config.k = 2;
  config.vocabulary = 18;
  config.encoder = {.width = 16, .layers = 2, .heads = 2, .feed_forward = 32};
  config.decoder = {.width = 24, .layers = 1, .heads = 3, .feed_forward = 48};
  config.max_positions = 64;
  config.dropout = 0.2f;
  return config;
}

PackedBatch random_batch(const ModelConfig& config, std::int32_t records) {
  PackedBatch batch;
  RandomSequence random(1, Stream::kSimulate);
  for (std::int32_t record = 0; record < records; ++record) {
    TokenSequence sequence;
    if (config.cls) {
      sequence.ids.push_back(2);
      sequence.positions.push_back(0);
    }
    const auto kmers = static_cast<std::uint32_t>(config.all_kmers());
    for (std::int32_t t = 0; t < record + 1; ++t) {
      const bool unknown = random.below(8) == 0;
      sequence.ids.push_back(unknown ? KmerVocabulary::kUnknown
                                     : config.first_kmer() +
                                           static_cast<std::int32_t>(random.below(kmers)));
      sequence.positions.push_back((config.cls ? 1 : 0) + t + t / 4);
    }
    batch.append(sequence, record);
  }
  return batch;
}

MaskingPlan plan_for(const ModelConfig& config, const PackedBatch& batch,
                     double predict_share = 1) {
  MaskingRules rules;
  rules.predict_share = predict_share;
  rules.random_share = rules.keep_share = 0.2;
  rules.leave_out = config.objective == ObjectiveKind::kMaskedAutoencoder;
  rules.first_kmer = config.first_kmer();
  rules.kmers = config.predicted_kmers();
  return config.causal() ? plan_next_tokens(batch, rules) : plan_masking(batch, rules, 1, 0);
}

GlobalCounts counts_of(const MaskingPlan& plan) {
  return {static_cast<std::int64_t>(plan.masked_rows.size()),
          static_cast<std::int64_t>(plan.visible_rows.size())};
}

class ObjectiveTest : public testing::TestWithParam<ObjectiveKind> {
 protected:
  ModelConfig config = tiny(GetParam());
  PackedBatch batch = random_batch(config, 9);
  MaskingPlan plan = plan_for(config, batch);
};

INSTANTIATE_TEST_SUITE_P(All, ObjectiveTest, testing::ValuesIn(kObjectives), [](const auto& test) {
  std::string name = to_string(test.param);
  std::erase(name, '-');
  return name;
});

// The whole model in double, dropout and replaced tokens included, along two random directions: by
// the central difference of fourth order.
void expect_slopes(const ModelConfig& config, const PackedBatch& batch, const MaskingPlan& plan) {
  GlobalCounts counts = counts_of(plan);
  for (const LabelTargets& targets : plan.labels) counts.auxiliary.push_back(targets.count);
  const LossWeights weights{.masked = 0.7, .auxiliary = 0.8};
  ModelRun run(make_reference_backend(), config, DType::kFloat64);
  run.context.seed = 3;
  run.parameters.initialise(5);
  run.objective->initialise(run.parameters, 5, {});
  const View values = run.parameters.values();
  std::vector<double> start(static_cast<std::size_t>(values.size()));
  run.backend->download(start.data(), values);
  const auto loss_at = [&](const std::vector<double>& direction, double distance) {
    std::vector<double> moved = start;
    for (std::size_t i = 0; i < moved.size(); ++i) moved[i] += distance * direction[i];
    run.backend->upload(values, moved.data());
    run.arena.rewind();
    const auto terms =
        run.run([&] { return run.model(run.context, batch, plan, counts, weights); });
    run.tape.clear();
    double loss = 0;
    for (const LossTerm& term : terms) {
      double of_term[2];
      run.backend->download(of_term, term.loss.values);
      loss += term.weight * of_term[0];
    }
    return loss;
  };
  run.run([&] {
    run.model(run.context, batch, plan, counts, weights);
    run.tape.backward();
    return 0;
  });
  std::vector<double> gradient(start.size());
  run.backend->download(gradient.data(), run.parameters.gradients());
  for (std::uint32_t seed = 1; seed <= 2; ++seed) {
    RandomSequence random(seed, Stream::kSimulate);
    std::vector<double> direction(start.size());
    double product = 0;
    for (const auto& entry : run.parameters.entries()) {  // padding stays 0
      const bool words = entry.names.front() == "embeddings.word_embeddings.weight";
      const std::int64_t frozen = words && config.freeze_mask_row ? entry.cols : 0;
      for (std::int64_t i = entry.offset; i < entry.offset + entry.rows * entry.cols; ++i) {
        const auto at = static_cast<std::size_t>(i);
        if (i < entry.offset + frozen) {
          EXPECT_EQ(gradient[at], 0) << "of the frozen row";
          EXPECT_EQ(start[at], 0);
          continue;
        }
        direction[at] = random.normal();
        product += direction[at] * gradient[at];
      }
    }
    constexpr double kStep = 1e-5;
    const double slope = (8 * (loss_at(direction, kStep) - loss_at(direction, -kStep)) -
                          (loss_at(direction, 2 * kStep) - loss_at(direction, -2 * kStep))) /
                         (12 * kStep);
    EXPECT_GT(std::abs(product), 1e-3);
    EXPECT_NEAR(slope, product, 1e-6 * (1 + std::abs(product)));
  }
}

TEST_P(ObjectiveTest, GradientsAreSlopes) {
  for (const HeadKind head : {HeadKind::kKmer, HeadKind::kBase}) {
    config.head = head;
    expect_slopes(config, batch, plan);
  }
}

TEST_P(ObjectiveTest, GradientsOfAPredictedShareAreSlopes) {
  if (config.causal()) GTEST_SKIP() << "skipped: nothing is masked";
  expect_slopes(config, batch, plan_for(config, batch, 0.5));
}

// What is masked and not predicted is not there at all for the decoder of mae; for the others it is
// a [MASK] that nobody asks about. Both planned by hand.
TEST_P(ObjectiveTest, PredictsOnlyWhatIsPlanned) {
  if (config.causal()) GTEST_SKIP() << "skipped: nothing is masked";
  config.dropout = 0;
  const bool leaves = config.objective == ObjectiveKind::kMaskedAutoencoder;
  batch = {};
  batch.append({{2, 3, 4, 5, 6, 7}, {0, 1, 2, 3, 4, 9}}, 0);
  batch.append({{8, 9}, {5, 6}}, 1);
  batch.append({{10, 11, 12}, {0, 1, 2}}, 2);
  // Masked: 1, 3, 4 | 6, 7 | 10; predicted: 3 | 7 | 10.
  plan = {};
  plan.masked_rows = {3, 7, 10};
  plan.visible_rows = {0, 2, 5, 8, 9};
  PackedBatch by_hand = batch;
  MaskingPlan by_hand_plan = plan;
  if (leaves) {
    plan.encoder_rows = by_hand_plan.encoder_rows = {0, 2, 5, 8, 9};
    plan.encoder_begins = {0, 3, 3, 5};
    plan.decoder_rows = {0, 2, 3, 5, 7, 8, 9, 10};
    by_hand = {};
    by_hand.append({{2, 4, 5, 7}, {0, 2, 3, 9}}, 0);
    by_hand.append({{9}, {6}}, 1);
    by_hand.append({{10, 11, 12}, {0, 1, 2}}, 2);
    by_hand_plan.encoder_rows = {0, 1, 3, 5, 6};
    by_hand_plan.encoder_begins = plan.encoder_begins;
    by_hand_plan.masked_rows = {2, 4, 7};
    by_hand_plan.visible_rows = {0, 1, 3, 5, 6};
  } else {
    plan.encoder_rows = by_hand_plan.encoder_rows = first_rows(batch.tokens());
    plan.encoder_begins = by_hand_plan.encoder_begins = batch.begins;
    plan.ids = by_hand_plan.ids = {2, 0, 4, 0, 0, 7, 0, 0, 10, 11, 0};
    // All that is masked is predicted: the mean over the three is not that over the six.
    by_hand_plan.masked_rows = {1, 3, 4, 6, 7, 10};
  }
  for (const double masked_weight : {1.0, 0.6}) {
    ModelRun run(make_reference_backend(), config, DType::kFloat32);
    run.parameters.initialise(5);
    const auto losses = run.train(batch, plan, counts_of(plan), masked_weight);
    if (leaves) {
      EXPECT_EQ(run.train(by_hand, by_hand_plan, counts_of(by_hand_plan), masked_weight), losses);
      plan.decoder_rows.reset();
      EXPECT_NE(run.train(batch, plan, counts_of(plan), masked_weight), losses)
          << "the others take part in the decoder's attention";
      plan.decoder_rows = {0, 2, 3, 5, 7, 8, 9, 10};
    } else {
      double sum = 0;
      for (const std::int32_t row : plan.masked_rows) {
        MaskingPlan one = by_hand_plan;
        one.masked_rows = {row};
        sum += run.train(batch, one, counts_of(one), masked_weight)[0][0];
      }
      EXPECT_NEAR(losses[0][0], sum / 3, 1e-5);
      EXPECT_NE(run.train(batch, by_hand_plan, counts_of(by_hand_plan), masked_weight)[0][0],
                losses[0][0]);
    }
  }
}

TEST_P(ObjectiveTest, APredictedShareIsTheSameOnTheCpu) {
  if (config.causal()) GTEST_SKIP() << "skipped: nothing is masked";
  batch = random_batch(config, 40);
  plan = plan_for(config, batch, 0.5);
  const auto results = [&](std::unique_ptr<Backend> backend) {
    ModelRun run(std::move(backend), config, DType::kFloat32);
    run.context.seed = 11;
    run.parameters.initialise(5);
    std::vector<std::vector<float>> all = run.train(batch, plan, counts_of(plan), 0.9);
    for (const auto& shape : run.parameters.names()) {
      all.push_back(run.parameters.download_gradient(shape.name));
    }
    return all;
  };
  const auto expected = results(make_reference_backend()), cpu = results(make_cpu_backend());
  ASSERT_EQ(cpu.size(), expected.size());
  for (std::size_t i = 0; i < cpu.size(); ++i) {
    EXPECT_THAT(cpu[i], testing::Pointwise(testing::FloatNear(2e-5f), expected[i])) << i;
  }
}

// The same with all that can be added to an objective: auxiliary losses, [CLS], soft targets, a
// frozen row, k-mers with N. (The pair classifier's rectifiers have kinks wherever one looks: its
// gradients are tested by themselves, in tests/backend.)
TEST_P(ObjectiveTest, GradientsOfAdditionsAreSlopes) {
  config.head = HeadKind::kKmer;
  config.cls = !config.causal();
  config.n_kmers = config.predict_n = true;
  config.vocabulary = 25 + (config.cls ? 3 : 2);
  config.freeze_mask_row = GetParam() == ObjectiveKind::kMaskedLanguageModel;
  config.auxiliary = {{.rank = Rank::kGenus, .kind = AuxiliaryKind::kContrastive, .weight = 0.5},
                      {.rank = Rank::kGenus, .kind = AuxiliaryKind::kContrastiveOthers},
                      {.rank = Rank::kGenus, .kind = AuxiliaryKind::kTriplet},
                      {.rank = Rank::kGenus, .kind = AuxiliaryKind::kCrossEntropy, .classes = 3}};
  batch = random_batch(config, 9);
  plan = plan_for(config, batch);
  for (const AuxiliaryLoss& loss : config.auxiliary) {
    LabelTargets targets;
    for (std::int32_t n = 0; n < 9; ++n) targets.labels.push_back(n == 4 ? -1 : n % 3);
    if (loss.kind == AuxiliaryKind::kContrastiveOthers) {
      targets.groups = {0, 1, 2, 0, 3, 4, 5, -1, -1};
    }
    targets.pairs = draw_pairs(targets.labels, 8, 1, 0);
    targets.count = 8;
    plan.labels.push_back(targets);
  }
  for (const SoftTargets soft : {SoftTargets::kNone, SoftTargets::kHamming}) {
    config.predict_n = config.predict_n && soft == SoftTargets::kNone;
    config.soft_targets = soft;
    if (soft != SoftTargets::kNone) {  // k-mers with N are tokens, but not predicted
      auto labels = plan.labels;
      plan = plan_for(config, batch);
      plan.labels = labels;
    }
    expect_slopes(config, batch, plan);
  }
}

TEST_P(ObjectiveTest, ThreadsDoNotMatter) {
  batch = random_batch(config, 40);
  plan = plan_for(config, batch);
  const auto results = [&](int threads) {
    const int before = thread_count();
    set_thread_count(threads);
    ModelRun run(make_cpu_backend(), config, DType::kFloat32);
    run.context.seed = 11;
    run.parameters.initialise(5);
    auto all = run.train(batch, plan, counts_of(plan), 0.9);
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

TEST_P(ObjectiveTest, ThePlannedMemorySuffices) {
  for (const char* device : {"reference", "cpu"}) {
    std::size_t of_all = 0;
    for (const double share : {1.0, 0.3}) {
      ModelRun run(make_backend(device), config, DType::kFloat32);
      const std::size_t planned = plan_training_memory(
          *run.backend, run.model, DType::kFloat32, {.sequences = 9, .tokens = 9},
          {.fewest = 0.5, .most = 0.5, .left_out = 0.6, .predicted = share}, {0.7});
      plan = plan_for(config, batch, share);
      run.arena.begin_measuring();
      run.model(run.context, batch, plan, counts_of(plan), {0.7});
      run.tape.backward();
      const std::size_t needed = run.arena.end_measuring();
      EXPECT_LE(needed, planned) << device;
      EXPECT_GT(needed, planned / 8) << device;
      if (share == 1) of_all = planned;
      EXPECT_LE(planned, of_all) << device;
    }
  }
}

// Another k-mer in a masked place changes no hidden state from which it is predicted.
TEST_P(ObjectiveTest, TheEncoderDoesNotSeeWhatIsMasked) {
  if (config.causal()) GTEST_SKIP() << "skipped: nothing is masked; see below";
  config.dropout = 0;
  const MaskingRules rules{.leave_out = config.objective == ObjectiveKind::kMaskedAutoencoder,
                           .first_kmer = config.first_kmer(),
                           .kmers = config.kmers()};
  ModelRun run(make_reference_backend(), config, DType::kFloat32);
  run.parameters.initialise(5);
  const auto states = [&](const PackedBatch& tokens) {
    run.arena.rewind();
    plan = plan_masking(tokens, rules, 1, 0);
    const View hidden = run.run([&] { return run.model.encode(run.context, tokens, plan); }).view;
    run.tape.clear();
    return run.download(hidden);
  };
  const auto before = states(batch);
  PackedBatch masked_changed = batch, visible_changed = batch;
  const auto change = [&](PackedBatch& tokens, std::int32_t row) {
    std::int32_t& id = tokens.ids[static_cast<std::size_t>(row)];
    id = id == config.first_kmer() ? id + 1 : config.first_kmer();
  };
  change(masked_changed, plan.masked_rows.front());
  change(visible_changed, plan.visible_rows.front());
  EXPECT_EQ(states(masked_changed), before);
  EXPECT_NE(states(visible_changed), before);
}

// The first tokens' states do not change with the last token, and only then is it causal.
TEST_P(ObjectiveTest, OnlyCausalEncodersLookBackAlone) {
  config.dropout = 0;
  ModelRun run(make_reference_backend(), config, DType::kFloat32);
  run.parameters.initialise(5);
  const auto states = [&](std::int32_t last) {
    PackedBatch one;
    one.append({{3, 4, 5, last}, {0, 1, 2, 3}}, 0);
    MaskingPlan whole = plan_next_tokens(one, {.first_kmer = 2, .kmers = 16});
    run.arena.rewind();
    const View hidden = run.run([&] { return run.model.encode(run.context, one, whole); }).view;
    run.tape.clear();
    std::vector<float> values = run.download(hidden);
    values.resize(3 * 16);
    return values;
  };
  EXPECT_EQ(states(6) == states(7), config.causal());
}

}  // namespace
}  // namespace barcodemae
