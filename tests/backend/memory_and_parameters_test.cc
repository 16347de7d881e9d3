// SPDX-License-Identifier: MIT
// What every backend does beside the differentiable ops: memory, weights' copies, the optimiser.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>

#include "backend/backends.h"
#include "base/random.h"
#include "base/threads.h"
#include "guarded_buffer.h"
#include "linear_fixture.h"
#include "precision.h"
#include "user_error.h"

namespace barcodemae::test {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<double> random_numbers(std::size_t count, std::uint32_t seed, double spread = 1) {
  RandomSequence random(seed, Stream::kInitialisation);
  std::vector<double> values(count);
  for (double& value : values) value = static_cast<float>(spread * (2 * random.uniform() - 1));
  return values;
}

class AnyBackend : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    std::string why_not;
    if (tested_precisions(why_not).empty()) GTEST_SKIP() << "skipped: " << why_not;
    backend_ = make_backend(GetParam());
  }
  bool has(DType type) const { return has_precision(parse_device(GetParam())->kind, type); }
  std::unique_ptr<Backend> backend_;
};

INSTANTIATE_TEST_SUITE_P(On, AnyBackend, testing::ValuesIn(tested_backends()),
                         [](const auto& test) { return test.param; });

TEST_P(AnyBackend, MemoryIsAlignedAndZeroed) {
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{63}, std::size_t{1} << 20}) {
    void* memory = backend_->allocate(bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory) % 64, 0u);
    std::vector<std::int32_t> values(bytes / 4);
    backend_->download(values.data(),
                       {memory, 1, static_cast<std::int64_t>(bytes / 4), DType::kInt32});
    EXPECT_THAT(values, Each(0));
    backend_->release(memory, bytes);
  }
}

TEST_P(AnyBackend, TooMuchMemoryIsRefusedWithTheNumber) {
  EXPECT_THAT(user_error([&] { backend_->allocate(std::size_t{1} << 60); }),
              HasSubstr("1152921504606846976"));
}

TEST_P(AnyBackend, UploadZeroAndDownloadARange) {
  const GuardedBuffer buffer(*backend_, 6 * sizeof(float));
  const View view = buffer.view(3, 2, DType::kFloat32);
  upload(*backend_, view, {1, 2, 3, 4, 5, 6});
  backend_->zero(view.slice_rows(1, 1));
  EXPECT_THAT(download(*backend_, view), ElementsAre(1, 2, 0, 0, 5, 6));
  EXPECT_TRUE(buffer.sentinels_intact());
}

TEST_P(AnyBackend, AddRoundsOnceAndMayBeInPlace) {
  for (const std::int64_t size : {1, 7, 64, 257}) {
    const auto count = static_cast<std::size_t>(size);
    const GuardedBuffer a(*backend_, count * 4), b(*backend_, count * 4), y(*backend_, count * 4);
    const auto view = [&](const GuardedBuffer& buffer) {
      return buffer.view(1, size, DType::kFloat32);
    };
    const std::vector<double> left = random_numbers(count, 1), right = random_numbers(count, 2);
    upload(*backend_, view(a), left);
    upload(*backend_, view(b), right);
    std::vector<double> sum(count);
    for (std::size_t i = 0; i < count; ++i) sum[i] = static_cast<float>(left[i] + right[i]);
    backend_->add_forward(view(y), view(a), view(b));
    EXPECT_EQ(download(*backend_, view(y)), sum);
    backend_->add_forward(view(a), view(a), view(b));
    EXPECT_EQ(download(*backend_, view(a)), sum);
    EXPECT_TRUE(y.sentinels_intact() && a.sentinels_intact());
  }
}

// Copies of weights ---------------------------------------------------------------------------

TEST_P(AnyBackend, RefreshedWeightsAreTheNewOnes) {
  LinearFixture linear(*backend_);
  for (const double weight : {2.0, -3.0}) {
    upload(*backend_, linear.parameters.get(0).value, std::vector<double>(64, weight));
    backend_->refresh_weights(linear.parameters, DType::kFloat32, true);
    EXPECT_THAT(linear.forward(*backend_), Each(weight));
  }
}

TEST_P(AnyBackend, TwoModelsKeepTheirOwnWeights) {
  LinearFixture first(*backend_), second(*backend_);
  upload(*backend_, first.parameters.get(0).value, std::vector<double>(64, 2.0));
  upload(*backend_, second.parameters.get(0).value, std::vector<double>(64, 5.0));
  backend_->refresh_weights(first.parameters, DType::kFloat32, false);
  backend_->refresh_weights(second.parameters, DType::kFloat32, false);
  EXPECT_THAT(first.forward(*backend_), Each(2.0));
  EXPECT_THAT(second.forward(*backend_), Each(5.0));
}

/// A linear layer whose sides are no multiples of anything.
class UnevenLinear {
 public:
  UnevenLinear(Backend& backend, DType type)
      : backend_(backend),
        type_(type),
        parameters_(backend),
        x_(backend, kIn * 4),
        dy_(backend, kOut * 4) {
    parameters_.declare({"weight"}, kOut, kIn, {Initialisation::Kind::kNormal, 1.0}, true);
    parameters_.declare({"bias"}, 1, kOut, {});
    parameters_.declare({"frozen"}, kOut, kIn, {Initialisation::Kind::kNormal, 1.0}, true,
                        {.frozen = true});
    parameters_.allocate(true);
    parameters_.initialise(1);
    upload(backend, x(), random_numbers(kIn, 2));
    upload(backend, dy(), random_numbers(kOut, 3));
    refresh();
  }
  void refresh() { backend_.refresh_weights(parameters_, type_, true); }
  void step() {
    upload(backend_, parameters_.get(0).gradient, random_numbers(kOut * kIn, 4));
    AdamWStep step{.learning_rate = 0.5, .beta1 = 0.9, .beta2 = 0.99};
    step.bias_correction1 = 0.1;
    step.bias_correction2 = 0.01;
    backend_.adamw(parameters_, step);
  }
  /// x · Wᵀ and dy · W of both layers.
  std::vector<double> products() {
    std::vector<double> all;
    for (const int weight : {0, 2}) {
      const LinearLayer layer{parameters_.get(weight), parameters_.get(1)};
      const GuardedBuffer y(backend_, kOut * 4), dx(backend_, kIn * 4);
      backend_.linear_forward(y.view(1, kOut, type_), x(), layer);
      backend_.linear_backward(dx.view(1, kIn, type_), false, dy(), x(), layer);
      for (const double value : download(backend_, y.view(1, kOut, type_))) all.push_back(value);
      for (const double value : download(backend_, dx.view(1, kIn, type_))) all.push_back(value);
    }
    backend_.zero_gradients(parameters_);
    return all;
  }

 private:
  static constexpr std::int64_t kOut = 75, kIn = 1100;
  View x() { return x_.view(1, kIn, type_); }
  View dy() { return dy_.view(1, kOut, type_); }
  Backend& backend_;
  DType type_;
  Parameters parameters_;
  GuardedBuffer x_, dy_;
};

TEST_P(AnyBackend, AdamWRenewsTheCopiesOfWeights) {
  for (const DType type : {DType::kFloat32, DType::kBFloat16}) {
    if (!has(type)) continue;
    UnevenLinear linear(*backend_, type);
    const std::vector<double> before = linear.products();
    linear.step();
    const std::vector<double> after = linear.products();
    linear.refresh();
    EXPECT_EQ(after, linear.products());
    EXPECT_NE(after, before);
  }
}

// Optimiser -----------------------------------------------------------------------------------

/// Ranges of every kind, one of them larger than the pieces that work is cut into.
class OptimiserFixture {
 public:
  explicit OptimiserFixture(Backend& backend) : backend_(backend), parameters_(backend) {
    parameters_.declare({"large"}, 301, 1009, {});
    parameters_.declare({"odd"}, 3, 5, {}, false, {.weight_decay = false});
    parameters_.declare({"frozen"}, 1, 33, {}, false, {.frozen = true});
    parameters_.declare({"slow"}, 1, 1, {}, false, {.learning_rate_factor = 0.25f});
    parameters_.allocate(true);
    for (int i = 0; i < 4; ++i) fill(parameters_.get(i).value, 100 + static_cast<unsigned>(i), 1);
  }
  void fill_gradients(std::uint32_t seed) {
    for (int i = 0; i < 4; ++i) {
      const View gradient = parameters_.get(i).gradient;
      if (gradient.data != nullptr) fill(gradient, seed + static_cast<unsigned>(i), 1e-2);
    }
  }
  Parameters& parameters() { return parameters_; }
  std::vector<double> values() const { return download(backend_, parameters_.values()); }
  std::vector<double> gradients() const { return download(backend_, parameters_.gradients()); }
  /// Values and moments after two steps with a clipped gradient.
  std::vector<std::vector<double>> after_two_steps() {
    AdamWStep step{.learning_rate = 1e-2, .beta1 = 0.9, .beta2 = 0.99, .weight_decay = 0.1};
    for (const int t : {1, 2}) {
      fill_gradients(static_cast<unsigned>(10 * t));
      step.bias_correction1 = 1 - std::pow(step.beta1, t);
      step.bias_correction2 = 1 - std::pow(step.beta2, t);
      step.gradient_scale = 0.5 * t;
      backend_.adamw(parameters_, step);
      EXPECT_THAT(gradients(), Each(0.0));
    }
    return {values(), download(backend_, parameters_.first_moments()),
            download(backend_, parameters_.second_moments())};
  }

 private:
  void fill(View view, std::uint32_t seed, double spread) {
    upload(backend_, view, random_numbers(static_cast<std::size_t>(view.size()), seed, spread));
  }
  Backend& backend_;
  Parameters parameters_;
};

// A few float32 roundings of numbers as large as the largest.
TEST_P(AnyBackend, AdamWAgreesWithTheReference) {
  const auto reference = make_backend("reference");
  const auto expected = OptimiserFixture(*reference).after_two_steps();
  OptimiserFixture here(*backend_);
  const std::vector<double> frozen = download(*backend_, here.parameters().get(2).value);
  const auto actual = here.after_two_steps();
  EXPECT_EQ(download(*backend_, here.parameters().get(2).value), frozen);
  for (std::size_t kind = 0; kind < actual.size(); ++kind) {
    double largest_error = 0, largest = 0;
    for (std::size_t i = 0; i < actual[kind].size(); ++i) {
      ASSERT_TRUE(std::isfinite(actual[kind][i]));
      largest_error = std::max(largest_error, std::abs(actual[kind][i] - expected[kind][i]));
      largest = std::max(largest, std::abs(expected[kind][i]));
    }
    EXPECT_LE(largest_error, 3e-7 * largest) << "0 values, 1 and 2 moments: " << kind;
  }
}

TEST_P(AnyBackend, OptimiserGivesTheSameBitsForAnyThreadCount) {
  const int before = thread_count();
  const auto run = [&](int threads) {
    set_thread_count(threads);
    OptimiserFixture fixture(*backend_);
    fixture.fill_gradients(1);
    const double norm = backend_->squared_gradient_norm(fixture.parameters());
    return std::pair(norm, fixture.after_two_steps());
  };
  const auto expected = run(1);
  EXPECT_TRUE(run(2) == expected);
  EXPECT_TRUE(run(3) == expected);
  set_thread_count(before);
}

TEST_P(AnyBackend, SquaredGradientNorm) {
  OptimiserFixture fixture(*backend_);
  fixture.fill_gradients(5);
  double expected = 0;
  for (const double gradient : fixture.gradients()) expected += gradient * gradient;
  EXPECT_NEAR(backend_->squared_gradient_norm(fixture.parameters()), expected, 1e-12 * expected);
}

TEST_P(AnyBackend, GradientNormIsNotFiniteWhenAGradientIsNot) {
  for (const double bad : {std::numeric_limits<double>::infinity(), std::nan("")}) {
    OptimiserFixture fixture(*backend_);
    upload(*backend_, fixture.parameters().get(3).gradient, {bad});
    EXPECT_FALSE(std::isfinite(backend_->squared_gradient_norm(fixture.parameters())));
  }
}

TEST_P(AnyBackend, GradientsAreForgottenWithoutAStep) {
  OptimiserFixture fixture(*backend_);
  const std::vector<double> before = fixture.values();
  fixture.fill_gradients(6);
  backend_->zero_gradients(fixture.parameters());
  EXPECT_THAT(fixture.gradients(), Each(0.0));
  EXPECT_EQ(fixture.values(), before);
}

}  // namespace
}  // namespace barcodemae::test
