// SPDX-License-Identifier: MIT
// Fine-tuning against PyTorch and transformers (tests/golden/classifier.safetensors). Bounds as in
// parity_test.cc.
#include "nn/classifier.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "backend/backends.h"
#include "devices.h"
#include "golden.h"
#include "model_run.h"

namespace barcodemae {
namespace {

class ClassifierTest : public testing::TestWithParam<std::string> {
 protected:
  ClassifierTest()
      : golden("classifier"),
        run(make_backend(GetParam()), DType::kFloat32,
            [&](Parameters& parameters) {
              return std::make_unique<Classifier>(parameters, golden.config, Rank::kSpecies,
                                                  static_cast<int>(golden.number("classes")));
            }),
        plan(plan_without_masks(golden.batch)) {
    golden.load_weights(run.parameters);
    plan.labels.push_back({golden.integers("labels"), {}, {}, 0});
    plan.labels[0].count = count_labelled(plan.labels[0].labels);
    counts.auxiliary = {plan.labels[0].count};
  }

  std::vector<float> train() {
    const auto losses = run.train(golden.batch, plan, counts, 1, /*auxiliary=*/1);
    EXPECT_EQ(losses.size(), 1u);
    return losses.at(0);
  }
  void step(int number) {
    const auto schedule = golden.floats("schedule", 3, 2);
    AdamWStep adamw;
    adamw.learning_rate = schedule[static_cast<std::size_t>(2 * number)];
    adamw.beta1 = schedule[static_cast<std::size_t>(2 * number + 1)];
    adamw.weight_decay = golden.number("weight_decay");
    adamw.bias_correction1 = 1 - std::pow(adamw.beta1, number + 1);
    adamw.bias_correction2 = 1 - std::pow(adamw.beta2, number + 1);
    run.backend->adamw(run.parameters, adamw);
  }
  Classifier& classifier() { return dynamic_cast<Classifier&>(*run.objective); }

  Golden golden;
  ModelRun run;
  MaskingPlan plan;
  GlobalCounts counts;
};

TEST_P(ClassifierTest, LossAndGradients) {
  EXPECT_EQ(plan.encoder_rows, golden.plan.encoder_rows);
  const std::vector<float> loss = train(), expected = golden.floats("class_loss", 1, 2);
  EXPECT_NEAR(loss[0], expected[0], 1e-5);
  EXPECT_EQ(loss[1], expected[1]) << "sequences classified right";
  for (const auto& [name, rows, cols, matmul] : run.parameters.names()) {
    const auto gradient = golden.floats("gradients/" + name, rows, cols);
    EXPECT_LE(distance(run.parameters.download_gradient(name), gradient),
              1e-4 * largest(gradient) + 1e-7)
        << name << ", largest " << largest(gradient);
  }
}

TEST_P(ClassifierTest, ThreeSteps) {
  double path = 0;
  for (int number = 0; number < 3; ++number) {
    train();
    step(number);
    path += golden.floats("schedule", 3, 2)[static_cast<std::size_t>(2 * number)];
  }
  for (const auto& [name, rows, cols, matmul] : run.parameters.names()) {
    if (name.ends_with("key.bias")) continue;  // no gradient but rounding noise
    EXPECT_LE(distance(run.parameters.download(name), golden.floats("stepped/" + name, rows, cols)),
              0.01 * path)
        << name;
  }
}

TEST_P(ClassifierTest, AFrozenEncoderStaysAsItIsAndTheHeadLearnsTheSame) {
  classifier().set_encoder_rate(run.parameters, 0);
  train();
  for (const auto& [name, rows, cols, matmul] : run.parameters.names()) {
    const auto expected = name.starts_with("auxiliary.")
                              ? golden.floats("gradients/" + name, rows, cols)
                              : std::vector<float>(static_cast<std::size_t>(rows * cols), 0.0f);
    EXPECT_LE(distance(run.parameters.download_gradient(name), expected), 1e-4 * largest(expected))
        << name;
  }
  step(0);
  for (const auto& [name, rows, cols, matmul] : run.parameters.names()) {
    const bool same = run.parameters.download(name) == golden.floats("weights/" + name, rows, cols);
    EXPECT_EQ(same, !name.starts_with("auxiliary.")) << name;
  }
  classifier().set_encoder_rate(run.parameters, 0.5);
  EXPECT_GT(train()[0], 0);
  EXPECT_GT(largest(run.parameters.download_gradient("embeddings.word_embeddings.weight")), 0);
}

INSTANTIATE_TEST_SUITE_P(Device, ClassifierTest, testing::ValuesIn(test_devices()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace barcodemae
