// SPDX-License-Identifier: MIT
#include "tensor/parameters.h"

#include <gtest/gtest.h>

#include <numeric>

#include "backend/reference/reference_backend.h"
#include "base/error.h"
#include "base/threads.h"

namespace barcodemae {
namespace {

constexpr Initialisation kNormal{Initialisation::Kind::kNormal, 0.5};
constexpr Initialisation kUniform{Initialisation::Kind::kUniform, 0.5};

class ParametersTest : public testing::Test {
 protected:
  std::unique_ptr<Backend> backend = make_reference_backend();
};

TEST_F(ParametersTest, EntriesBeginOnCacheLinesAndPaddingIsZero) {
  Parameters parameters(*backend);
  const int a = parameters.declare({"a"}, 3, 5, kNormal);
  const int b = parameters.declare({"b"}, 1, 2, kNormal);
  parameters.allocate(true);
  parameters.initialise(1);
  EXPECT_EQ(parameters.count(), 17);
  EXPECT_EQ(parameters.values().size(), 32);
  EXPECT_EQ(static_cast<std::byte*>(parameters.get(b).value.data) -
                static_cast<std::byte*>(parameters.get(a).value.data),
            64);
  std::vector<float> flat(32);
  backend->download(flat.data(), parameters.values());
  EXPECT_EQ(flat[15], 0.0f);
  for (std::size_t i = 18; i < 32; ++i) EXPECT_EQ(flat[i], 0.0f);
}

TEST_F(ParametersTest, RowBlocksHaveNamesOfTheirOwn) {
  Parameters parameters(*backend);
  const int qkv = parameters.declare({"q", "k", "v"}, 6, 2, kNormal);
  parameters.allocate(false);
  const std::vector<float> k{1, 2, 3, 4};
  parameters.upload("k", k);
  std::vector<float> all(12);
  backend->download(all.data(), parameters.get(qkv).value);
  EXPECT_EQ(all, (std::vector<float>{0, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0}));
  EXPECT_EQ(parameters.download("k"), k);
  EXPECT_EQ(parameters.names().size(), 3u);
  EXPECT_EQ(parameters.names()[1].rows, 2);
}

// A value depends on seed and name alone: not on the order, the shape around it, the number of
// threads or the type.
TEST_F(ParametersTest, InitialisationDependsOnSeedAndNameOnly) {
  const auto values = [&](std::uint64_t seed, bool other_first, int threads, DType dtype) {
    const int before = thread_count();
    set_thread_count(threads);
    Parameters parameters(*backend, dtype);
    if (other_first) parameters.declare({"other"}, 7, 7, kUniform);
    parameters.declare({"x"}, 50, 1001, kNormal);
    parameters.allocate(false);
    parameters.initialise(seed);
    set_thread_count(before);
    return parameters.download("x");
  };
  const auto x = values(3, false, 1, DType::kFloat32);
  EXPECT_EQ(x, values(3, true, 2, DType::kFloat32));
  EXPECT_EQ(x, values(3, true, 1, DType::kFloat64));
  EXPECT_NE(x, values(4, false, 1, DType::kFloat32));
  // From FNV-1a of the name, Philox and Box-Muller, worked out by another program: versions of this
  // one must agree on it.
  EXPECT_NEAR(x[0], -0.9365991472302572, 1e-7);
}

TEST_F(ParametersTest, Distributions) {
  Parameters parameters(*backend);
  parameters.declare({"normal"}, 100, 1000, kNormal);
  parameters.declare({"uniform"}, 100, 1000, kUniform);
  parameters.allocate(false);
  parameters.initialise(1);
  const auto moments = [&](const char* name) {
    double sum = 0, squares = 0, fourth = 0;
    const auto values = parameters.download(name);
    for (const float v : values) {
      sum += v;
      squares += double{v} * v;
      fourth += double{v} * v * v * v;
    }
    const auto n = static_cast<double>(values.size());
    return std::array{sum / n, squares / n, fourth / n};
  };
  // Standard errors over 1e5 numbers: 0.0016 and 0.0011 (normal), 0.0009 and 0.0002 (uniform).
  const auto normal = moments("normal");
  EXPECT_NEAR(normal[0], 0, 0.006);
  EXPECT_NEAR(normal[1], 0.25, 0.005);
  EXPECT_NEAR(normal[2], 3 * 0.0625, 0.01);
  const auto uniform = moments("uniform");
  EXPECT_NEAR(uniform[0], 0, 0.004);
  EXPECT_NEAR(uniform[1], 0.25 / 3, 0.001);
  EXPECT_NEAR(uniform[2], 0.0625 / 5, 0.0003);
}

TEST_F(ParametersTest, GradientsOnlyWhereWanted) {
  Parameters parameters(*backend);
  const int a = parameters.declare({"a"}, 2, 2, kNormal);
  const int b = parameters.declare({"b"}, 2, 2, kNormal, false, {.frozen = true});
  parameters.allocate(true);
  EXPECT_NE(parameters.get(a).gradient.data, nullptr);
  EXPECT_EQ(parameters.get(b).gradient.data, nullptr);
}

TEST_F(ParametersTest, Misuse) {
  Parameters parameters(*backend);
  parameters.declare({"a"}, 2, 2, kNormal);
  EXPECT_THROW(parameters.declare({"a"}, 1, 1, kNormal), InternalError);
  EXPECT_THROW(parameters.get(0), InternalError);
  parameters.allocate(false);
  EXPECT_THROW(parameters.declare({"b"}, 1, 1, kNormal), InternalError);
  EXPECT_THROW(parameters.download("b"), InternalError);
  EXPECT_THROW(parameters.download_gradient("a"), InternalError);
  EXPECT_THROW(parameters.upload("a", std::vector<float>(3)), InternalError);
}

}  // namespace
}  // namespace barcodemae
