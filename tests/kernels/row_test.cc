// SPDX-License-Identifier: MIT
#include <numbers>

#include "base/index.h"
#include "kernel_test.h"

namespace barcodemae::cpu {
namespace {

/// Records, positions and a mask of `rows` rows.
struct Mask {
  Mask(const Kernels& k, std::int64_t rows, std::int64_t cols, std::uint32_t threshold = 6554)
      : dropout(test_dropout(threshold)), cols_(cols), bits(keep_bytes(rows, cols), 0xFF) {
    for (std::int64_t r = 0; r < rows; ++r) {
      records.push_back(static_cast<std::int32_t>(r / 3 + 4));
      positions.push_back(static_cast<std::int32_t>(r % 3 * 50));
    }
    k.keep_bits({.rows = rows,
                 .cols = cols,
                 .dropout = dropout,
                 .records = records.data(),
                 .positions = positions.data(),
                 .keep = bits.data()});
  }
  bool expected(std::int64_t r, std::int64_t c) const {
    return kept_by_definition(dropout, static_cast<std::uint32_t>(records[index(r)]),
                              static_cast<std::uint32_t>(positions[index(r)]),
                              static_cast<std::uint32_t>(c));
  }
  double factor(std::int64_t r, std::int64_t c) const {
    return expected(r, c) ? static_cast<double>(dropout.scale) : 0;
  }
  bool bit(std::int64_t r, std::int64_t c) const {
    return bits[index(r * keep_stride(cols_) + c / 8)] >> (c % 8) & 1;
  }

  DropoutStream dropout;
  std::int64_t cols_;
  std::vector<std::uint8_t> bits;
  std::vector<std::int32_t> records, positions;
};

struct Normalised {
  double mean, rstd;
  Doubles values;
};
Normalised normalise(const Doubles& row, double epsilon) {
  const auto width = static_cast<double>(row.size());
  double mean = 0, variance = 0;
  for (double v : row) mean += v / width;
  for (double v : row) variance += (v - mean) * (v - mean) / width;
  Normalised n{mean, 1 / std::sqrt(variance + epsilon), row};
  for (double& v : n.values) v = (v - n.mean) * n.rstd;
  return n;
}
/// Gradient before the norm from that after it, of one row.
Doubles norm_gradient(const Normalised& n, const Doubles& gradient, const Doubles& gamma) {
  const auto width = static_cast<double>(gamma.size());
  double mean = 0, projection = 0;
  Doubles out(gamma.size());
  for (std::size_t c = 0; c < gamma.size(); ++c) {
    mean += gradient[c] * gamma[c] / width;
    projection += gradient[c] * gamma[c] * n.values[c] / width;
  }
  for (std::size_t c = 0; c < gamma.size(); ++c) {
    out[c] = (gradient[c] * gamma[c] - mean - n.values[c] * projection) * n.rstd;
  }
  return out;
}

constexpr double kEpsilon = 1e-5;
const std::vector<std::int64_t> kWidths = {3, 7, 8, 24, 64, 100, 768};

class RowKernel : public KernelTest {};

TEST_P(RowKernel, MasksAreThoseOfTheDefinition) {
  for (std::int64_t cols : {1, 8, 20, 64, 72, 129, 768}) {
    const std::int64_t rows = 5;
    const Mask mask(k, rows, cols);
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t c = 0; c < cols; ++c) ASSERT_EQ(mask.bit(r, c), mask.expected(r, c));
    }
    for (std::size_t i = index(rows * keep_stride(cols)); i < mask.bits.size(); ++i) {
      ASSERT_EQ(mask.bits[i], 0xFF);
    }
  }
}

TEST_P(RowKernel, DropoutRows) {
  const std::int64_t rows = 4, cols = 37;
  const Mask mask(k, rows, cols);
  const Doubles x = random_values(rows * cols, 1, 1, type);
  Guarded input(type, x), output(type, rows * cols);
  k.dropout_rows({.rows = rows,
                  .cols = cols,
                  .type = type,
                  .y = output.data(),
                  .x = input.data(),
                  .keep = mask.bits.data(),
                  .keep_scale = mask.dropout.scale});
  Doubles expected = x;
  for (std::int64_t i = 0; i < rows * cols; ++i) {
    expected[index(i)] = round_to(type, x[index(i)] * mask.factor(i / cols, i % cols));
  }
  EXPECT_EQ(output.values(), expected);
  EXPECT_TRUE(output.intact());
}

TEST_P(RowKernel, ResidualNorm) {
  const std::int64_t rows = 5;
  for (std::int64_t cols : kWidths) {
    for (DType product_type : {DType::kFloat32, DType::kBFloat16}) {
      for (bool from_sum : {false, true}) {
        SCOPED_TRACE(testing::Message()
                     << cols << " columns, product type " << static_cast<int>(product_type)
                     << ", from sum " << from_sum);
        const Mask mask(k, rows, cols);
        const Doubles x = random_values(rows * cols, 1, 1, type);
        const Doubles product = random_values(rows * cols, 2, 1, product_type);
        const Doubles dy = random_values(rows * cols, 3, 1, type);
        const Doubles before = random_values(rows * cols, 4, 1, type);
        const Doubles bias = random_values(cols, 5), beta = random_values(cols, 6);
        Doubles gamma = random_values(cols, 7);
        for (double& v : gamma) v = static_cast<double>(static_cast<float>(v < 0 ? v - 1 : v + 1));

        Doubles y, dsum, dproduct, dgamma(index(cols)), dbeta(index(cols)), dbias(index(cols));
        for (std::int64_t r = 0; r < rows; ++r) {
          Doubles sum(index(cols)), gradient(index(cols));
          for (std::int64_t c = 0; c < cols; ++c) {
            const std::int64_t i = r * cols + c;
            sum[index(c)] = x[index(i)] + (product[index(i)] + bias[index(c)]) * mask.factor(r, c);
            gradient[index(c)] = dy[index(i)];
          }
          const Normalised n = normalise(sum, kEpsilon);
          const Doubles back = norm_gradient(n, gradient, gamma);
          for (std::int64_t c = 0; c < cols; ++c) {
            y.push_back(n.values[index(c)] * gamma[index(c)] + beta[index(c)]);
            dsum.push_back(back[index(c)] + before[index(r * cols + c)]);
            dproduct.push_back(back[index(c)] * mask.factor(r, c));
            dgamma[index(c)] += gradient[index(c)] * n.values[index(c)];
            dbeta[index(c)] += gradient[index(c)];
            dbias[index(c)] += dproduct.back();
          }
        }

        const DType f32 = DType::kFloat32;
        Guarded x_(type, x), product_(product_type, product), bias_(f32, bias), gamma_(f32, gamma),
            beta_(f32, beta), y_(type, rows * cols), mean_(f32, rows), rstd_(f32, rows),
            sum_(type, rows * cols), row_(f32, cols);
        k.residual_norm_forward({.rows = rows,
                                 .cols = cols,
                                 .type = type,
                                 .product_type = product_type,
                                 .y = y_.data(),
                                 .x = x_.data(),
                                 .product = product_.data(),
                                 .bias = bias_.floats(),
                                 .keep = mask.bits.data(),
                                 .keep_scale = mask.dropout.scale,
                                 .gamma = gamma_.floats(),
                                 .beta = beta_.floats(),
                                 .epsilon = static_cast<float>(kEpsilon),
                                 .mean = mean_.floats(),
                                 .rstd = rstd_.floats(),
                                 .sum = sum_.data(),
                                 .scratch = row_.floats()});
        EXPECT_LE(relative_error(y_.values(), y), tolerance(type));
        EXPECT_TRUE(y_.intact() && mean_.intact() && rstd_.intact() && sum_.intact() &&
                    row_.intact());

        const Doubles zero(index(cols));
        Guarded dy_(type, dy), dsum_(type, before), dproduct_(type, rows * cols),
            dgamma_(f32, zero), dbeta_(f32, zero), dbias_(f32, zero), scratch_(f32, 2 * cols);
        k.residual_norm_backward({.rows = rows,
                                  .cols = cols,
                                  .type = type,
                                  .dy = dy_.data(),

                                  .sum = sum_.data(),
                                  .mean = mean_.floats(),
                                  .rstd = rstd_.floats(),
                                  .gamma = gamma_.floats(),

                                  .keep = mask.bits.data(),
                                  .keep_scale = mask.dropout.scale,
                                  .dsum = dsum_.data(),
                                  .accumulate = true,
                                  .dproduct = dproduct_.data(),
                                  .dgamma = dgamma_.floats(),
                                  .dbeta = dbeta_.floats(),
                                  .dbias = dbias_.floats(),
                                  .scratch = scratch_.floats()});
        const double bound = 2 * tolerance(type);  // x̂ comes from rounded numbers
        EXPECT_LE(relative_error(dproduct_.values(), dproduct), bound);
        EXPECT_LE(relative_error(dgamma_.values(), dgamma), bound);
        EXPECT_LE(relative_error(dbias_.values(), dbias), bound);
        EXPECT_LE(relative_error(dsum_.values(), dsum), bound);
        EXPECT_LE(relative_error(dbeta_.values(), dbeta), tolerance(f32));
        EXPECT_TRUE(dsum_.intact() && dproduct_.intact() && dgamma_.intact() && dbeta_.intact() &&
                    dbias_.intact() && scratch_.intact());
      }
    }
  }
}

TEST_P(RowKernel, Embed) {
  const std::int64_t rows = 5, vocabulary = 9;
  for (std::int64_t cols : kWidths) {
    for (bool given : {false, true}) {
      SCOPED_TRACE(testing::Message() << cols << " columns, given " << given);
      const Mask mask(k, rows, cols);
      const Doubles word = random_values(vocabulary * cols, 1);
      const Doubles x = random_values(rows * cols, 2, 1, type);
      const Doubles position = random_values(101 * cols, 3);
      const Doubles token_type = random_values(cols, 4), gamma = random_values(cols, 5),
                    beta = random_values(cols, 6);
      const Doubles dy = random_values(rows * cols, 7, 1, type);
      const std::vector<std::int32_t> ids = {3, 0, 8, 3, 5};

      Doubles y, dsum, dgamma(index(cols)), dbeta(index(cols)), dtype(index(cols));
      for (std::int64_t r = 0; r < rows; ++r) {
        Doubles sum(index(cols)), gradient(index(cols));
        for (std::int64_t c = 0; c < cols; ++c) {
          sum[index(c)] = (given ? x[index(r * cols + c)] : word[index(ids[index(r)] * cols + c)]) +
                          position[index(mask.positions[index(r)] * cols + c)] +
                          token_type[index(c)];
          gradient[index(c)] = dy[index(r * cols + c)] * mask.factor(r, c);
        }
        const Normalised n = normalise(sum, kEpsilon);
        const Doubles back = norm_gradient(n, gradient, gamma);
        for (std::int64_t c = 0; c < cols; ++c) {
          y.push_back((n.values[index(c)] * gamma[index(c)] + beta[index(c)]) * mask.factor(r, c));
          dsum.push_back(back[index(c)]);
          dgamma[index(c)] += gradient[index(c)] * n.values[index(c)];
          dbeta[index(c)] += gradient[index(c)];
          dtype[index(c)] += back[index(c)];
        }
      }

      const DType f32 = DType::kFloat32;
      const Doubles zero(index(cols));
      Guarded word_(f32, word), x_(type, x), position_(f32, position), type_(f32, token_type),
          gamma_(f32, gamma), beta_(f32, beta), y_(type, rows * cols), mean_(f32, rows),
          rstd_(f32, rows), row_(f32, cols), dy_(type, dy), dsum_(f32, rows * cols),
          drows_(type, rows * cols), dgamma_(f32, zero), dbeta_(f32, zero), dtype_(f32, zero),
          scratch_(f32, 2 * cols);
      const EmbedForward forward{.rows = rows,
                                 .cols = cols,
                                 .type = type,
                                 .y = y_.data(),
                                 .word = given ? nullptr : word_.floats(),
                                 .ids = given ? nullptr : ids.data(),
                                 .given = given ? x_.data() : nullptr,
                                 .position = position_.floats(),
                                 .positions = mask.positions.data(),
                                 .token_type = type_.floats(),
                                 .gamma = gamma_.floats(),
                                 .beta = beta_.floats(),
                                 .epsilon = static_cast<float>(kEpsilon),
                                 .keep = mask.bits.data(),
                                 .keep_scale = mask.dropout.scale,
                                 .mean = mean_.floats(),
                                 .rstd = rstd_.floats(),
                                 .scratch = row_.floats()};
      k.embed_forward(forward);
      k.embed_backward({.forward = forward,
                        .dy = dy_.data(),
                        .dsum = dsum_.floats(),
                        .drows = drows_.data(),
                        .dgamma = dgamma_.floats(),
                        .dbeta = dbeta_.floats(),
                        .dtoken_type = dtype_.floats(),
                        .scratch = scratch_.floats()});
      EXPECT_LE(relative_error(y_.values(), y), tolerance(type));
      EXPECT_LE(relative_error(dsum_.values(), dsum), tolerance(f32));
      EXPECT_LE(relative_error(drows_.values(), dsum), tolerance(type));
      EXPECT_LE(relative_error(dgamma_.values(), dgamma), tolerance(f32));
      EXPECT_LE(relative_error(dtype_.values(), dtype), 4 * tolerance(f32));
      EXPECT_LE(relative_error(dbeta_.values(), dbeta), tolerance(f32));
      EXPECT_TRUE(y_.intact() && mean_.intact() && rstd_.intact() && row_.intact() &&
                  dsum_.intact() && drows_.intact() && dgamma_.intact() && dbeta_.intact() &&
                  dtype_.intact() && scratch_.intact());
    }
  }
}

double gelu_slope(double z) {
  return 0.5 * std::erfc(-z * std::numbers::sqrt2 / 2) +
         z * std::exp(-z * z / 2) / std::sqrt(2 * std::numbers::pi);
}

TEST_P(RowKernel, GeluIsExactWithinItsBounds) {
  // Every 1/4096 from −16 to 16, then some far away: |error| ≤ 2e-7 · max(1, |z|) in float32;
  // 1e-4 and the rounding of the result in bfloat16.
  const std::int64_t cols = 131077;
  Doubles z(index(cols)), ones(index(cols), 1.0);
  for (std::int64_t c = 0; c < cols; ++c) z[index(c)] = static_cast<double>(c - 65536) / 4096;
  z[index(cols - 1)] = 1000;
  z[index(cols - 2)] = -1000;
  Guarded pre(DType::kFloat32, z), dout(DType::kFloat32, ones), out(type, cols), again(type, cols),
      dpre(type, cols);
  k.gelu_forward({.rows = 1,
                  .cols = cols,
                  .product = pre.data(),
                  .product_type = DType::kFloat32,
                  .product_stride = cols,
                  .type = type,
                  .out = out.data(),
                  .out_stride = cols});
  k.gelu_backward({.rows = 1,
                   .cols = cols,
                   .dout = dout.data(),
                   .dout_type = DType::kFloat32,
                   .dout_stride = cols,
                   .pre = pre.data(),
                   .pre_type = DType::kFloat32,
                   .pre_stride = cols,
                   .type = type,
                   .dpre = dpre.data(),
                   .dpre_stride = cols,
                   .out = again.data(),
                   .out_stride = cols});
  const Doubles value = out.values(), slope = dpre.values();
  const bool narrow = type == DType::kBFloat16;
  for (std::size_t c = 0; c < z.size(); ++c) {
    const double expected = gelu(z[c]), expected_slope = gelu_slope(z[c]);
    const double bound =
        narrow ? 1e-4 + std::abs(expected) * 0x1p-8 : 2e-7 * std::max(1.0, std::abs(z[c]));
    ASSERT_NEAR(value[c], expected, bound) << "z = " << z[c];
    ASSERT_NEAR(slope[c], expected_slope, narrow ? 1e-4 + 0x1.2p-8 : 3e-7) << "z = " << z[c];
  }
  EXPECT_EQ(again.values(), value);
  EXPECT_TRUE(out.intact() && dpre.intact() && again.intact());
}

TEST_P(RowKernel, GeluWithBiasStridesAndSums) {
  const std::int64_t rows = 6, cols = 45, stride = 50;
  for (DType product_type : {DType::kFloat32, DType::kBFloat16}) {
    const Doubles product = random_values(rows * stride, 1, 3, product_type);
    const Doubles dout = random_values(rows * stride, 2, 1, product_type);
    const Doubles bias = random_values(cols, 3);
    const DType f32 = DType::kFloat32;
    Guarded product_(product_type, product), dout_(product_type, dout), bias_(f32, bias),
        out(type, rows * cols), pre(type, rows * cols), dpre(type, rows * cols),
        dbias(f32, Doubles(index(cols), 1.0));
    k.gelu_forward({.rows = rows,
                    .cols = cols,
                    .product = product_.data(),
                    .product_type = product_type,
                    .product_stride = stride,
                    .bias = bias_.floats(),
                    .type = type,
                    .out = out.data(),
                    .out_stride = cols,
                    .pre = pre.data(),
                    .pre_stride = cols});
    k.gelu_backward({.rows = rows,
                     .cols = cols,
                     .dout = dout_.data(),
                     .dout_type = product_type,
                     .dout_stride = stride,
                     .pre = product_.data(),
                     .pre_type = product_type,
                     .pre_stride = stride,
                     .bias = bias_.floats(),
                     .type = type,
                     .dpre = dpre.data(),
                     .dpre_stride = cols,
                     .dbias = dbias.floats()});
    Doubles value, before, gradient, sums(index(cols), 1.0);
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t c = 0; c < cols; ++c) {
        const double z = product[index(r * stride + c)] + bias[index(c)];
        before.push_back(z);
        value.push_back(gelu(z));
        gradient.push_back(dout[index(r * stride + c)] * gelu_slope(z));
        sums[index(c)] += gradient.back();
      }
    }
    EXPECT_LE(relative_error(pre.values(), before), tolerance(type));
    EXPECT_LE(relative_error(out.values(), value), tolerance(type));
    EXPECT_LE(relative_error(dpre.values(), gradient), tolerance(type));
    EXPECT_LE(relative_error(dbias.values(), sums), tolerance(type));
    EXPECT_TRUE(out.intact() && pre.intact() && dpre.intact() && dbias.intact());
  }
}

INSTANTIATE_TEST_SUITE_P(, RowKernel, testing::ValuesIn(variants()), variant_name);

}  // namespace
}  // namespace barcodemae::cpu
