// SPDX-License-Identifier: MIT
// Losses of labels: batch-hard triplets against PyTorch (which pairs are the hardest, also of
// equally hard ones, shows in the gradient), the others against their definitions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>

#include "backend/backends.h"
#include "devices.h"
#include "formats/safetensors.h"
#include "ops/ops.h"

namespace barcodemae {
namespace {

/// Memory of a backend.
class Buffer {
 public:
  Buffer(Backend& backend, std::int64_t rows, std::int64_t cols, DType dtype)
      : backend_(backend), view{nullptr, rows, cols, dtype} {
    view.data = backend.allocate(view.bytes());
  }
  ~Buffer() { backend_.release(view.data, view.bytes()); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

 private:
  Backend& backend_;

 public:
  View view;
};

/// What a kernel asked for, forward or backward.
Buffer scratch_of(Backend& backend, const KernelMemory& memory) {
  const std::size_t bytes = std::max(memory.forward_scratch, memory.backward_scratch);
  return {backend, 1, static_cast<std::int64_t>(bytes / sizeof(float) + 1), DType::kFloat32};
}

struct Computed {
  std::vector<float> loss, gradient;  ///< {mean over the anchors, hits}; [vectors, width]
};

/// `groups` may be empty: none.
Computed label_loss(Backend& backend, const std::vector<float>& values,
                    const std::vector<std::int32_t>& labels,
                    const std::vector<std::int32_t>& groups, const LabelLoss& options,
                    int anchors) {
  const auto count = static_cast<std::int64_t>(labels.size());
  const std::int64_t width = static_cast<std::int64_t>(values.size()) / count;
  const Buffer x(backend, count, width, DType::kFloat32),
      dx(backend, count, width, DType::kFloat32), of(backend, count, 1, DType::kInt32),
      group(backend, count, 1, DType::kInt32), loss(backend, 1, 2, DType::kFloat32);
  backend.upload(x.view, values.data());
  backend.upload(of.view, labels.data());
  if (!groups.empty()) backend.upload(group.view, groups.data());
  const View grouped = groups.empty() ? View{} : group.view;
  const Buffer scratch = scratch_of(backend, backend.label_loss_memory(x.view));
  const Bytes room{scratch.view.data, scratch.view.bytes()};
  const double scale = 1.0 / anchors;
  backend.label_loss_forward(loss.view, x.view, of.view, grouped, scale, options, room);
  backend.label_loss_backward(dx.view, /*accumulate=*/false, /*dloss=*/1, x.view, of.view, grouped,
                              scale, options, room);
  Computed result{std::vector<float>(2), std::vector<float>(values.size())};
  backend.download(result.loss.data(), loss.view);
  backend.download(result.gradient.data(), dx.view);
  return result;
}

class LabelLosses : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(On, LabelLosses, testing::ValuesIn(test_devices()),
                         [](const auto& test) { return test.param; });

TEST_P(LabelLosses, TripletsAreThoseOfPyTorch) {
  const SafetensorsFile golden(BARCODEMAE_TEST_DATA "/golden/triplet.safetensors");
  const auto rows = golden.entries().at("x").shape[0], width = golden.entries().at("x").shape[1];
  const auto integers = [&](const char* name) {
    const auto bytes = golden.bytes(name);
    std::vector<std::int32_t> values(bytes.size() / sizeof(std::int32_t));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  };
  const std::vector<std::int32_t> pairs = integers("first/pairs");
  int anchors = 0;
  for (std::size_t i = 0; i < pairs.size(); i += 2) anchors += pairs[i] >= 0 ? 1 : 0;
  ASSERT_EQ(anchors, 8);
  const auto backend = make_backend(GetParam());
  const Computed ours = label_loss(
      *backend, golden.floats("x", rows, width), integers("labels"), {},
      {.kind = LabelLoss::Kind::kTriplet, .margin = std::stod(golden.metadata().at("margin"))},
      anchors);
  const std::vector<float> loss = golden.floats("first/loss", 1, 2);
  EXPECT_NEAR(ours.loss[0], loss[0], 1e-6);
  EXPECT_EQ(ours.loss[1], loss[1]);
  EXPECT_THAT(ours.gradient, testing::Pointwise(testing::FloatNear(1e-6f),
                                                golden.floats("first/gradient", rows, width)));
  // Another choice among equally hard ones costs the same and moves other vectors.
  EXPECT_NEAR(golden.floats("last/loss", 1, 2)[0], loss[0], 1e-7);
  EXPECT_THAT(ours.gradient,
              testing::Not(testing::Pointwise(testing::FloatNear(1e-2f),
                                              golden.floats("last/gradient", rows, width))));
}

/// Supervised contrastive loss (Khosla et al., 2020, eq. 2), with u = x / |x|: of an anchor i
/// −1/|P| Σ_{p ∈ P} log(exp(u_i·u_p / τ) / Σ_{a ∈ A} exp(u_i·u_a / τ)), A all others with a label
/// and not of i's group, P those of A with i's label. The mean over anchors with some of both.
double contrastive(const std::vector<double>& x, const std::vector<std::int32_t>& labels,
                   const std::vector<std::int32_t>& groups, double temperature, int* anchors) {
  const std::size_t count = labels.size(), width = x.size() / count;
  const auto similarity = [&](std::size_t i, std::size_t j) {
    double product = 0, first = 0, second = 0;
    for (std::size_t c = 0; c < width; ++c) {
      product += x[i * width + c] * x[j * width + c];
      first += x[i * width + c] * x[i * width + c];
      second += x[j * width + c] * x[j * width + c];
    }
    return product / std::sqrt(first * second) / temperature;
  };
  double loss = 0;
  *anchors = 0;
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<std::size_t> others, alike;
    for (std::size_t a = 0; a < count; ++a) {
      if (a == i || labels[a] < 0) continue;
      if (!groups.empty() && groups[a] >= 0 && groups[a] == groups[i]) continue;
      others.push_back(a);
      if (labels[a] == labels[i]) alike.push_back(a);
    }
    if (labels[i] < 0 || alike.empty() || alike.size() == others.size()) continue;
    ++*anchors;
    double sum = 0, of_anchor = 0;
    for (const std::size_t a : others) sum += std::exp(similarity(i, a));
    for (const std::size_t p : alike) of_anchor -= std::log(std::exp(similarity(i, p)) / sum);
    loss += of_anchor / static_cast<double>(alike.size());
  }
  return loss / *anchors;
}

TEST_P(LabelLosses, ContrastiveIsItsDefinition) {
  const std::vector<std::int32_t> labels{0, 0, 0, 1, 1, 1, -1, 2, 0};
  const std::vector<std::int32_t> species{0, 0, 1, 2, 3, 3, 4, 5, -1};
  constexpr double kTemperature = 0.3, kStep = 1e-5;
  std::mt19937 random(4);
  std::vector<float> values(labels.size() * 5);
  for (float& value : values) value = static_cast<float>(random() % 2001) / 500 - 2;
  const auto backend = make_backend(GetParam());
  for (const std::vector<std::int32_t>& groups : {std::vector<std::int32_t>{}, species}) {
    std::vector<double> x(values.begin(), values.end());
    int anchors = 0, ignored = 0;
    const double expected = contrastive(x, labels, groups, kTemperature, &anchors);
    ASSERT_EQ(anchors, 7) << "all but the unlabelled one and the only one of its label";
    const Computed ours =
        label_loss(*backend, values, labels, groups,
                   {.kind = LabelLoss::Kind::kContrastive, .temperature = kTemperature}, anchors);
    EXPECT_NEAR(ours.loss[0], expected, 1e-5);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double here = x[i];
      x[i] = here + kStep;
      const double above = contrastive(x, labels, groups, kTemperature, &ignored);
      x[i] = here - kStep;
      const double below = contrastive(x, labels, groups, kTemperature, &ignored);
      x[i] = here;
      EXPECT_NEAR(ours.gradient[i], (above - below) / (2 * kStep), 1e-5) << i;
    }
  }
}

TEST_P(LabelLosses, PairsAreALogisticRegressionOnAHiddenLayer) {
  const auto backend = make_backend(GetParam());
  const auto buffer = [&](std::int64_t rows, std::int64_t cols, std::vector<float> values) {
    auto made = std::make_unique<Buffer>(*backend, rows, cols, DType::kFloat32);
    backend->upload(made->view, values.data());
    return made;
  };
  // relu(1 · x₀ of the first + 1 · x₁ of the second + 0.5) = 3.5 one way, relu(−2.5) the other.
  const auto x = buffer(2, 2, {1, -3, 0, 2}), in_weight = buffer(1, 4, {1, 0, 0, 1}),
             in_bias = buffer(1, 1, {0.5}), out_weight = buffer(1, 1, {-1}),
             out_bias = buffer(1, 1, {1}), loss = buffer(1, 2, {0, 0});
  const PairClassifier classifier{
      {in_weight->view, {}}, {in_bias->view, {}}, {out_weight->view, {}}, {out_bias->view, {}}};
  const std::vector<std::int32_t> pairs{0, 1, 1, 0, 1, 0, 1, 0, 1};  // two vectors, and: alike?
  const Buffer asked(*backend, 3, 3, DType::kInt32);
  backend->upload(asked.view, pairs.data());
  const Buffer scratch = scratch_of(*backend, backend->pair_loss_memory(classifier, 3));
  backend->pair_loss_forward(loss->view, x->view, asked.view, 1.0 / 3, classifier,
                             {scratch.view.data, scratch.view.bytes()});
  float found[2];
  backend->download(found, loss->view);
  // Logits 1 − 3.5 twice, then 1: log(1 + e^2.5), log(1 + e^−2.5), log(1 + e^−1).
  EXPECT_NEAR(found[0], (2.578889734 + 0.078889734 + 0.313261688) / 3, 1e-6);
  EXPECT_EQ(found[1], 2);
}

}  // namespace
}  // namespace barcodemae
