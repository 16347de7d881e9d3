// SPDX-License-Identifier: MIT
#include "kernel_test.h"

namespace barcodemae::cpu {
namespace {

struct Case {
  std::int64_t tokens, head_size;
  bool causal = false;
  std::uint32_t dropout_threshold = 0;
};

/// One head among several, all other columns of the matrices to stay untouched.
struct Problem {
  explicit Problem(const Case& c, DType element_type)
      : shape(c),
        type(element_type),
        width(3 * c.head_size),
        qkv(random_values(c.tokens * 3 * width, 1, 1.5, type)),
        dcontext(random_values(c.tokens * width, 2, 1, type)),
        dropout(test_dropout(c.dropout_threshold)) {
    for (std::int64_t t = 0; t < c.tokens; ++t) positions.push_back(static_cast<int>(2 * t + 1));
  }

  double q(std::int64_t row, std::int64_t c) const { return qkv_at(row, c); }
  double k(std::int64_t row, std::int64_t c) const { return qkv_at(row, width + c); }
  double v(std::int64_t row, std::int64_t c) const { return qkv_at(row, 2 * width + c); }
  double qkv_at(std::int64_t row, std::int64_t c) const {
    return qkv[static_cast<std::size_t>(row * 3 * width + column() + c)];
  }
  std::int64_t column() const { return shape.head_size; }  // the second of three heads

  Case shape;
  DType type;
  std::int64_t width;
  Doubles qkv, dcontext;
  DropoutStream dropout;
  std::vector<std::int32_t> positions;
  static constexpr std::uint32_t kRecord = 77, kHead = 1;
};

struct Answer {
  Doubles context, log_sum_exp,
      dqkv;  // only this head's columns: [tokens, d], [tokens], [tokens, 3d]
};

Answer by_definition(const Problem& p) {
  const std::int64_t n = p.shape.tokens, d = p.shape.head_size;
  const double scale = 1 / std::sqrt(static_cast<double>(d));
  Answer a{Doubles(static_cast<std::size_t>(n * d)), Doubles(static_cast<std::size_t>(n)),
           Doubles(static_cast<std::size_t>(n * 3 * d))};
  const auto at = [](Doubles& m, std::int64_t i) -> double& {
    return m[static_cast<std::size_t>(i)];
  };
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t keys = p.shape.causal ? i + 1 : n;
    Doubles probability(static_cast<std::size_t>(keys)), keep(static_cast<std::size_t>(keys), 1.0),
        gradient(static_cast<std::size_t>(keys));
    double sum = 0, projection = 0;
    for (std::int64_t j = 0; j < keys; ++j) {
      double s = 0;
      for (std::int64_t c = 0; c < d; ++c) s += p.q(i, c) * p.k(j, c);
      at(probability, j) = std::exp(s * scale);
      sum += at(probability, j);
      if (p.dropout.threshold > 0) {
        const bool kept =
            kept_by_definition(p.dropout, Problem::kRecord,
                               static_cast<std::uint32_t>(p.positions[static_cast<std::size_t>(i)]),
                               Problem::kHead * 2048 + static_cast<std::uint32_t>(j));
        at(keep, j) = kept ? static_cast<double>(p.dropout.scale) : 0.0;
      }
    }
    at(a.log_sum_exp, i) = std::log(sum);
    for (std::int64_t j = 0; j < keys; ++j) {
      at(probability, j) /= sum;
      for (std::int64_t c = 0; c < d; ++c) {
        const double up = p.dcontext[static_cast<std::size_t>(i * p.width + p.column() + c)];
        at(a.context, i * d + c) += at(probability, j) * at(keep, j) * p.v(j, c);
        at(gradient, j) += up * p.v(j, c) * at(keep, j);
        at(a.dqkv, j * 3 * d + 2 * d + c) += at(probability, j) * at(keep, j) * up;
      }
      projection += at(probability, j) * at(gradient, j);
    }
    for (std::int64_t j = 0; j < keys; ++j) {
      const double ds = at(probability, j) * (at(gradient, j) - projection) * scale;
      for (std::int64_t c = 0; c < d; ++c) {
        at(a.dqkv, i * 3 * d + c) += ds * p.k(j, c);
        at(a.dqkv, j * 3 * d + d + c) += ds * p.q(i, c);
      }
    }
  }
  return a;
}

Answer by_kernel(const Problem& p, const Kernels& k) {
  const std::int64_t n = p.shape.tokens, d = p.shape.head_size, w = p.width;
  const double untouched = 3;
  Guarded qkv(p.type, p.qkv), dcontext(p.type, p.dcontext);
  Guarded context(p.type, Doubles(static_cast<std::size_t>(n * w), untouched));
  Guarded dqkv(p.type, Doubles(static_cast<std::size_t>(n * 3 * w), untouched));
  Guarded log_sum_exp(DType::kFloat32, n);
  const auto forward_bytes = static_cast<std::int64_t>(k.attention_forward_scratch(n, d, p.type));
  const auto backward_bytes = static_cast<std::int64_t>(k.attention_backward_scratch(n, d, p.type));
  Guarded forward_scratch(DType::kFloat32, forward_bytes / 4 + 16);
  Guarded backward_scratch(DType::kFloat32, backward_bytes / 4 + 16);
  const auto aligned = [](Guarded& g) {
    return reinterpret_cast<void*>((reinterpret_cast<std::uintptr_t>(g.data<char>()) + 63) &
                                   ~63ull);
  };
  const auto slice = [&](Guarded& g, std::int64_t column) -> void* {
    return g.data<char>() + static_cast<std::size_t>(column) * size_of(p.type);
  };
  AttentionForward forward{.tokens = n,
                           .head_size = d,
                           .type = p.type,
                           .query = slice(qkv, p.column()),
                           .key = slice(qkv, w + p.column()),
                           .value = slice(qkv, 2 * w + p.column()),
                           .stride = 3 * w,
                           .context = slice(context, p.column()),
                           .context_stride = w,
                           .scale = 1 / std::sqrt(static_cast<float>(d)),
                           .causal = p.shape.causal,
                           .log_sum_exp = log_sum_exp.floats(),
                           .dropout = p.dropout,
                           .record = Problem::kRecord,
                           .positions = p.positions.data(),
                           .head = Problem::kHead,
                           .scratch = aligned(forward_scratch)};
  k.attention_forward(forward);
  k.attention_backward({.forward = forward,
                        .dcontext = slice(dcontext, p.column()),
                        .dcontext_stride = w,
                        .dquery = slice(dqkv, p.column()),
                        .dkey = slice(dqkv, w + p.column()),
                        .dvalue = slice(dqkv, 2 * w + p.column()),
                        .dstride = 3 * w,
                        .scratch = aligned(backward_scratch)});
  EXPECT_TRUE(context.intact() && dqkv.intact() && log_sum_exp.intact());
  EXPECT_TRUE(forward_scratch.intact() && backward_scratch.intact());

  Answer a{{}, log_sum_exp.values(), {}};
  const Doubles all_context = context.values(), all_dqkv = dqkv.values();
  for (std::int64_t t = 0; t < n; ++t) {
    for (std::int64_t c = 0; c < 3 * w; ++c) {
      const bool ours = c % w >= d && c % w < 2 * d;
      const double gradient = all_dqkv[static_cast<std::size_t>(t * 3 * w + c)];
      if (ours) {
        a.dqkv.push_back(gradient);
      } else {
        EXPECT_EQ(gradient, untouched);
      }
      if (c >= w) continue;
      const double value = all_context[static_cast<std::size_t>(t * w + c)];
      if (ours) {
        a.context.push_back(value);
      } else {
        EXPECT_EQ(value, untouched);
      }
    }
  }
  return a;
}

class AttentionKernel : public KernelTest {};

TEST_P(AttentionKernel, AgreesWithTheDefinition) {
  // 0.1 and 0.5 of 65,536; lengths around tile edges and beyond one block of queries.
  for (const Case& c : {Case{0, 64}, Case{1, 8}, Case{2, 64}, Case{15, 24}, Case{16, 128},
                        Case{17, 64, true}, Case{33, 40, false, 6554}, Case{55, 64, false, 6554},
                        Case{110, 128, false, 6554}, Case{110, 192}, Case{64, 256, true, 32768},
                        Case{129, 64, true, 6554}, Case{300, 72, false, 6554}}) {
    SCOPED_TRACE(testing::Message()
                 << c.tokens << " tokens, head size " << c.head_size << (c.causal ? ", causal" : "")
                 << ", dropout " << c.dropout_threshold);
    const Problem problem(c, type);
    const Answer expected = by_definition(problem);
    const Answer actual = by_kernel(problem, k);
    EXPECT_LE(relative_error(actual.context, expected.context), tolerance(type));
    EXPECT_LE(relative_error(actual.log_sum_exp, expected.log_sum_exp), 0x1p-18);
    EXPECT_LE(relative_error(actual.dqkv, expected.dqkv), tolerance(type));
  }
}

TEST_P(AttentionKernel, LargeScoresDoNotOverflow) {
  Problem problem({40, 64}, type);
  for (double& v : problem.qkv) v *= 32;  // scores in the thousands: one key takes all
  const Answer actual = by_kernel(problem, k);
  for (double v : actual.context) ASSERT_LE(std::abs(v), 48);  // NaN is not
  for (double v : actual.log_sum_exp) ASSERT_TRUE(std::isfinite(v));
  for (double v : actual.dqkv) ASSERT_TRUE(std::isfinite(v));
}

// A batch's scratch is planned for its longest sequence and used by all of them.
TEST_P(AttentionKernel, ScratchGrowsWithLengthAndHeadSize) {
  for (const auto& scratch : {k.attention_forward_scratch, k.attention_backward_scratch}) {
    for (std::int64_t head_size : {8, 40, 64, 128}) {
      for (std::int64_t tokens = 1; tokens <= 320; ++tokens) {
        EXPECT_GE(scratch(tokens, head_size, type), scratch(tokens - 1, head_size, type)) << tokens;
        EXPECT_GE(scratch(tokens, head_size, type), scratch(tokens, head_size - 8, type)) << tokens;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, AttentionKernel, testing::ValuesIn(variants()), variant_name);

}  // namespace
}  // namespace barcodemae::cpu
