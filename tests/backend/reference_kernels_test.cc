// SPDX-License-Identifier: MIT
// The elementary kernels of the reference backend, one by one. Numbers without a derivation were
// computed with PyTorch in float64; block ops and gradients are checked in ops_test.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "backend/reference/adamw.h"
#include "backend/reference/attention.h"
#include "backend/reference/cross_entropy.h"
#include "backend/reference/dropout.h"
#include "backend/reference/gelu.h"
#include "backend/reference/layer_norm.h"
#include "backend/reference/linear.h"
#include "backend/reference/rows.h"
#include "backend/reference/softmax.h"

namespace barcodemae::reference {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::Pointwise;

using Numbers = std::vector<double>;

Matrix<double> matrix(Numbers& values, std::int64_t cols) {
  return {values.data(), static_cast<std::int64_t>(values.size()) / cols, cols};
}

Index column(const std::vector<std::int32_t>& values) {
  return {values.data(), static_cast<std::int64_t>(values.size()), 1};
}

void expect_near(const Numbers& actual, const Numbers& expected, double tolerance = 1e-11) {
  EXPECT_THAT(actual, Pointwise(DoubleNear(tolerance), expected));
}

TEST(ReferenceLinear, MapsRowsByTheTransposedWeight) {
  Numbers x{1, -2, 0.5, 0.25, 3, -1}, weight{0.5, -1, 2, 1.5, 0.25, -0.75}, bias{0.1, -0.2}, y(4);
  linear_forward(matrix(y, 2), matrix(x, 3), matrix(weight, 3), matrix(bias, 2));
  expect_near(y, {3.6, 0.425, -4.775, 1.675});
}

TEST(ReferenceLinear, Gradients) {
  Numbers x{1, -2, 0.5, 0.25, 3, -1}, weight{0.5, -1, 2, 1.5, 0.25, -0.75}, dy{1, -0.5, 2, 0.25};
  Numbers dx(6, 10), dweight(6, 1), dbias(2, 1);
  linear_backward_input(matrix(dx, 3), false, matrix(dy, 2), matrix(weight, 3));
  expect_near(dx, {-0.25, -1.125, 2.375, 1.375, -1.9375, 3.8125});
  linear_backward_input(matrix(dx, 3), true, matrix(dy, 2), matrix(weight, 3));
  expect_near(dx, {-0.5, -2.25, 4.75, 2.75, -3.875, 7.625});
  linear_backward_parameters(matrix(dweight, 3), matrix(dbias, 2), matrix(dy, 2), matrix(x, 3));
  expect_near(dweight, {2.5, 5, -0.5, 0.5625, 2.75, 0.5});
  expect_near(dbias, {4, 0.75});
}

TEST(ReferenceLayerNorm, DividesTheVarianceByTheWidth) {
  Numbers x{1, 2, 4, -3, 0.5, 0.5, 0.5, 0.75}, weight{1, 0.5, -2, 1.5}, bias{0, 0.1, -0.1, 1}, y(8);
  layer_norm_forward(matrix(y, 4), matrix(x, 4), matrix(weight, 4), matrix(bias, 4), 1e-12);
  expect_near(y, {0, 0.296116135138, -2.45339362166, -1.35339362166, -0.577350269165,
                  -0.188675134582, 1.05470053833, 3.59807621124});
}

TEST(ReferenceLayerNorm, Gradients) {
  Numbers x{1, 2, 4, -3, 0.5, 0.5, 0.5, 0.75}, weight{1, 0.5, -2, 1.5};
  Numbers dy{1, -1, 0.5, 2, 0.25, 1, -2, 3}, dx(8), dweight(4), dbias(4);
  layer_norm_backward(matrix(dx, 4), matrix(dweight, 4), matrix(dbias, 4), matrix(dy, 4),
                      matrix(x, 4), matrix(weight, 4), 1e-12);
  expect_near(dx,
              {0.147087101354, -0.20743052755, 0.0641148903335, -0.00377146413713, -12.3168057428,
               -10.0074046661, 22.3242104071, 1.72435221657e-09},
              1e-10);
  expect_near(dweight, {-0.144337567291, -0.969582539441, 1.74304894374, 2.05829426027});
  expect_near(dbias, {1.25, 0, -1.5, 5});
}

TEST(ReferenceLayerNorm, EpsilonIsAddedToTheVariance) {
  Numbers x{-1, 1}, weight{1, 1}, bias{0, 0}, y(2);
  layer_norm_forward(matrix(y, 2), matrix(x, 2), matrix(weight, 2), matrix(bias, 2), 3.0);
  expect_near(y, {-0.5, 0.5});
}

// Below −5, where 1 + erf(z / √2) loses its digits, the numbers come from erfc.
TEST(ReferenceGelu, IsTheExactOneIntoTheTails) {
  const Numbers z{-10, -6, -3, -1, -0.1, 0, 0.5, 2, 7};
  const Numbers values{-7.61985302416e-23, -5.91952587023e-09, -0.00404969409489,
                       -0.158655253931,    -0.0460172162723,   0,
                       0.345731230637,     1.9544997361,       6.99999999999};
  const Numbers derivatives{-7.61840009646e-22, -3.54687094539e-08, -0.0119456472042,
                            -0.0833154705877,   0.420476907975,     0.5,
                            0.867495124656,     1.08523180108,      1.00000000006};
  for (std::size_t i = 0; i < z.size(); ++i) {
    EXPECT_NEAR(gelu(z[i]), values[i], 1e-11 * std::abs(values[i])) << z[i];
    EXPECT_NEAR(gelu_derivative(z[i]), derivatives[i], 1e-11 * std::abs(derivatives[i])) << z[i];
  }
}

TEST(ReferenceSoftmax, SurvivesLargeScores) {
  Numbers scores{1000, 1001, 998.5};
  const double log_sum = softmax(scores.data(), 3);
  expect_near(scores, {0.253716181635, 0.689672086125, 0.0566117322405});
  EXPECT_NEAR(log_sum, 1001 - std::log(0.689672086125), 1e-10);
  Numbers gradient{1, -2, 0.5};
  softmax_backward(gradient.data(), scores.data(), 3);
  expect_near(gradient, {0.532124561085, -0.622551733499, 0.0904271724136});
}

// Sequences of 3 rows and of 1 row, two heads of two channels.
TEST(ReferenceAttention, EachSequenceForItself) {
  Numbers qkv(48), context(16);
  for (int i = 0; i < 48; ++i) qkv[static_cast<std::size_t>(i)] = (i * 7 % 11 - 5) / 4.0;
  std::vector<std::int32_t> records{0, 1}, positions{0, 1, 2, 0};
  Segments segments;
  segments.begins = {0, 3, 4};
  segments.records = {records.data(), 2, 1, DType::kInt32};
  segments.positions = {positions.data(), 4, 1, DType::kInt32};

  attention_forward(matrix(context, 4), matrix(qkv, 12), segments, 2, false, {});
  expect_near(context, {0.357176919626, -0.196770815294, 0.177811181442, -0.529253083994,
                        -0.406325636728, -0.25, -0.379799619583, -0.761995597647, 0.397098808156,
                        -0.303229184706, -0.619596759255, -0.267213761908, -1.25, 0.5, -0.5, 1.25});
  attention_forward(matrix(context, 4), matrix(qkv, 12), segments, 2, true, {});
  expect_near(context, {-1, 0.75, -0.25, -1.25, -0.519751155513, 0.475572088864, -0.507183315227,
                        -0.799929198353, 0.397098808156, -0.303229184706, -0.619596759255,
                        -0.267213761908, -1.25, 0.5, -0.5, 1.25});
}

// The definition in tensor/backend.h, word by word.
TEST(ReferenceDropout, LanesOfPhilox) {
  const Dropout dropout{.probability = 0.3f, .seed = 42, .step = 9, .site = 5};
  const RowName name{.record = 1234, .position = 56};
  Numbers values(24, 2.0);
  dropout_row(values.data(), 24, dropout, name, 4096);
  const auto threshold = static_cast<std::uint32_t>(std::lround(0.3f * 65536));
  for (std::uint32_t i = 0; i < 24; ++i) {
    const std::uint32_t channel = 4096 + i;
    const auto words = philox4x32({0x1000 + 5, 9, 1234, (56u << 16) | channel / 8}, 42);
    const std::uint32_t word = words[channel % 8 / 2];
    const std::uint32_t lane = channel % 2 == 0 ? word & 0xFFFF : word >> 16;
    const double kept = 2.0 * static_cast<double>(65536.0f / static_cast<float>(65536 - threshold));
    EXPECT_EQ(values[i], lane < threshold ? 0.0 : kept) << i;
  }
}

TEST(ReferenceDropout, KeepsTheMeanAndDropsTheShare) {
  const Dropout dropout{.probability = 0.1f, .seed = 1, .step = 2, .site = 3};
  double sum = 0;
  int dropped = 0;
  for (std::uint32_t position = 0; position < 500; ++position) {
    Numbers values(200, 1.0);
    dropout_row(values.data(), 200, dropout, {.record = 7, .position = position});
    sum += std::accumulate(values.begin(), values.end(), 0.0);
    dropped += static_cast<int>(std::count(values.begin(), values.end(), 0.0));
  }
  EXPECT_NEAR(dropped / 1e5, 0.1, 5 * std::sqrt(0.1 * 0.9 / 1e5));
  EXPECT_NEAR(sum / 1e5, 1.0, 5 * std::sqrt(0.1 / 0.9 / 1e5));
}

TEST(ReferenceDropout, ProbabilityZeroIsTheIdentity) {
  Numbers values{1, 2, 3};
  dropout_row(values.data(), 3, {.probability = 0, .seed = 1}, {});
  EXPECT_THAT(values, ElementsAre(1, 2, 3));
}

TEST(ReferenceCrossEntropy, LossAndGradientOfOneSoftmax) {
  Numbers logits{1, -2, 0.5, 3};
  const CrossEntropy result = softmax_cross_entropy<double>(logits, 2, nullptr);
  EXPECT_NEAR(result.loss, 2.70225344768, 1e-11);
  EXPECT_FALSE(result.hit);
  expect_near(logits, {0.110553750362, 0.00550414712758, -0.932945760859, 0.81688786337});
}

TEST(ReferenceCrossEntropy, TheFirstOfEqualLogitsIsThePrediction) {
  Numbers logits{0, 0, 0}, same = logits;
  EXPECT_TRUE(softmax_cross_entropy<double>(logits, 0, nullptr).hit);
  EXPECT_FALSE(softmax_cross_entropy<double>(same, 1, nullptr).hit);
}

TEST(ReferenceRows, TablesAreAddedByIndex) {
  Numbers table{1, 2, 3, 4, 5, 6}, y{10, 10, 20, 20, 30, 30}, gradients(6, 0.5);
  const std::vector<std::int32_t> index{2, 0, 2};
  add_rows(matrix(y, 2), matrix(table, 2), column(index));
  EXPECT_THAT(y, ElementsAre(15, 16, 21, 22, 35, 36));
  add_to_rows(matrix(gradients, 2), matrix(y, 2), column(index));
  EXPECT_THAT(gradients, ElementsAre(21.5, 22.5, 0.5, 0.5, 50.5, 52.5));
}

TEST(ReferenceRows, AnIndexOutsideOfTheTableIsRefused) {
  Numbers table{1, 2}, y(1);
  EXPECT_THROW(add_rows(matrix(y, 1), matrix(table, 1), column({2})), InternalError);
  EXPECT_THROW(add_rows(matrix(y, 1), matrix(table, 1), column({-1})), InternalError);
}

TEST(ReferenceRows, GatherAndScatter) {
  Numbers x{1, 2, 3, 4, 5, 6}, gathered(4), fill{-1, -2}, scattered(8);
  gather_rows(matrix(gathered, 2), matrix(x, 2), column({0, 2}));
  EXPECT_THAT(gathered, ElementsAre(1, 2, 5, 6));
  scatter_rows(matrix(scattered, 2), matrix(gathered, 2), column({1, 2}), matrix(fill, 2));
  EXPECT_THAT(scattered, ElementsAre(-1, -2, 1, 2, 5, 6, -1, -2));
  EXPECT_THROW(
      scatter_rows(matrix(scattered, 2), matrix(gathered, 2), column({2, 1}), matrix(fill, 2)),
      InternalError);
}

TEST(ReferenceRows, MeanOfAnEmptySequenceIsZero) {
  Numbers x{1, 2, 3, 6}, y(6, 99);
  Segments segments;
  segments.begins = {0, 0, 2, 2};
  mean_pool(matrix(y, 2), matrix(x, 2), segments);
  EXPECT_THAT(y, ElementsAre(0, 0, 2, 4, 0, 0));
}

// Two steps of torch.optim.AdamW([1, −2, 0.5], lr 0.1, betas (0.9, 0.99), weight_decay 0.05).
TEST(ReferenceAdamW, TwoStepsOfPyTorch) {
  Numbers value{1, -2, 0.5}, first(3), second(3);
  AdamWStep step{.learning_rate = 0.1, .beta1 = 0.9, .beta2 = 0.99, .weight_decay = 0.05};
  step.bias_correction1 = 1 - 0.9;
  step.bias_correction2 = 1 - 0.99;
  Numbers gradient{0.5, -0.01, 0};
  adamw(value.data(), gradient.data(), first.data(), second.data(), 3, step, {});
  expect_near(value, {0.895000002, -1.8900001, 0.4975});

  step.bias_correction1 = 1 - 0.9 * 0.9;
  step.bias_correction2 = 1 - 0.99 * 0.99;
  step.gradient_scale = 0.5;
  gradient = {-2, 0.04, 6};
  adamw(value.data(), gradient.data(), first.data(), second.data(), 3, step, {});
  expect_near(value, {0.927085772862, -1.91711084775, 0.420766521509});
  expect_near(first, {-0.055, 0.0011, 0.3});
  expect_near(second, {0.012475, 4.99e-06, 0.09});
}

TEST(ReferenceAdamW, OptionsOfARange) {
  const AdamWStep step{.learning_rate = 0.1,
                       .weight_decay = 0.5,
                       .bias_correction1 = 0.1,
                       .bias_correction2 = 0.001};
  Numbers value{1, 1}, gradient{0, 0}, first(2), second(2);
  adamw(value.data(), gradient.data(), first.data(), second.data(), 2, step,
        {.weight_decay = false});
  EXPECT_THAT(value, ElementsAre(1, 1));
  adamw(value.data(), gradient.data(), first.data(), second.data(), 2, step,
        {.learning_rate_factor = 2});
  expect_near(value, {0.9, 0.9});
}

}  // namespace
}  // namespace barcodemae::reference
