// SPDX-License-Identifier: MIT
#include "kernel_test.h"

namespace barcodemae::cpu {
namespace {

class LossKernel : public KernelTest {};

TEST_P(LossKernel, CrossEntropyOfGroups) {
  struct Shape {
    std::int64_t groups, classes;
  };
  const std::int64_t rows = 4, positions = 3;
  for (const Shape& s : {Shape{1, 4096}, Shape{6, 4}, Shape{3, 17}, Shape{1, 1}}) {
    SCOPED_TRACE(testing::Message() << s.groups << " groups of " << s.classes);
    const std::int64_t width = s.groups * s.classes, stride = width + 3;
    const auto at = [](std::int64_t i) { return static_cast<std::size_t>(i); };
    const Doubles logits = random_values(rows * stride, 1, 4), bias = random_values(width, 2),
                  site = random_values(positions * width, 3);
    const std::vector<std::int32_t> where = {2, 0, 1, 2};
    std::vector<std::int32_t> targets;
    double loss = 0;
    std::int64_t hits = 0;
    Doubles gradient;
    for (std::int64_t r = 0; r < rows; ++r) {
      bool hit = true;
      for (std::int64_t g = 0; g < s.groups; ++g) {
        Doubles z;
        double sum = 0;
        for (std::int64_t c = 0; c < s.classes; ++c) {
          const std::int64_t column = g * s.classes + c;
          z.push_back(logits[at(r * stride + column)] + bias[at(column)] +
                      site[at(where[at(r)] * width + column)]);
          sum += std::exp(z.back());
        }
        const auto best = std::max_element(z.begin(), z.end()) - z.begin();
        const bool right = r % 2 == 0;  // of every other row the target is the best
        targets.push_back(static_cast<std::int32_t>(right ? best : (best + 1) % s.classes));
        const auto target = static_cast<std::size_t>(targets.back());
        hit = hit && targets.back() == best;
        loss += std::log(sum) - z[target];
        for (std::size_t c = 0; c < z.size(); ++c) {
          gradient.push_back(0.25 * (std::exp(z[c]) / sum - (c == target ? 1.0 : 0.0)));
        }
      }
      hits += hit;
    }
    const DType f32 = DType::kFloat32;
    Guarded logits_(f32, logits), bias_(f32, bias), site_(f32, site), dlogits(type, rows * width);
    CrossEntropyRows call{.rows = rows,
                          .groups = s.groups,
                          .classes = s.classes,
                          .logits = logits_.floats(),
                          .logits_stride = stride,
                          .bias = bias_.floats(),
                          .site = site_.floats(),
                          .positions = where.data(),
                          .targets = targets.data(),
                          .dlogits = dlogits.data(),
                          .dlogits_type = type,
                          .dlogits_stride = width,
                          .dscale = 0.25f};
    const CrossEntropySums sums = k.cross_entropy(call);
    EXPECT_NEAR(sums.loss, loss, 1e-6 * loss + 1e-6);
    EXPECT_EQ(sums.hits, hits);
    if (s.classes > 1) {
      EXPECT_LE(relative_error(dlogits.values(), gradient), tolerance(type));
    }
    EXPECT_TRUE(logits_.intact() && dlogits.intact());
  }
}

TEST_P(LossKernel, OfEqualLogitsTheFirstIsTheLargest) {
  std::vector<float> logits = {1, 2, 2, 0};
  for (std::int32_t target : {1, 2}) {
    const CrossEntropySums sums = k.cross_entropy({.rows = 1,
                                                   .groups = 1,
                                                   .classes = 4,
                                                   .logits = logits.data(),
                                                   .logits_stride = 4,
                                                   .targets = &target});
    EXPECT_EQ(sums.hits, target == 1);
  }
}

TEST_P(LossKernel, NonFiniteLogitsShow) {
  for (float bad : {NAN, INFINITY}) {
    std::vector<float> logits(40, 0.5f);
    logits[23] = bad;
    const std::int32_t target = 3;
    const CrossEntropySums sums = k.cross_entropy({.rows = 1,
                                                   .groups = 1,
                                                   .classes = 40,
                                                   .logits = logits.data(),
                                                   .logits_stride = 40,
                                                   .targets = &target});
    EXPECT_FALSE(std::isfinite(sums.loss)) << bad;
  }
}

INSTANTIATE_TEST_SUITE_P(, LossKernel, testing::ValuesIn(variants()), variant_name);

}  // namespace
}  // namespace barcodemae::cpu
