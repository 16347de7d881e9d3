// SPDX-License-Identifier: MIT
// LayerNorm (Ba et al., 2016) with what stands before and after it in a BERT: bias, dropout and
// residual, or the sum of embeddings.
#pragma once

#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/lanes.h"

namespace barcodemae::cpu {
namespace {

struct RowStatistics {
  float mean, rstd;
};

/// Of a row held as float32, whose sum is known already. Two passes: no cancellation.
BARCODEMAE_INLINE RowStatistics row_statistics(const float* row, std::int64_t cols, float total,
                                               float epsilon) {
  const float mean = total / static_cast<float>(cols);
  const auto add_square = [&](Floats& squares, std::int64_t c, auto lanes) {
    const Floats centred = valid_or(load(row + c, lanes) - mean, 0, lanes);
    squares = fma(centred, centred, squares);
  };
  Floats squares[4] = {};  // four chains of additions: one would wait for each result
  std::int64_t c = 0;
  for (; c + 4 * kLanes <= cols; c += 4 * kLanes) {
    for (int i = 0; i < 4; ++i) add_square(squares[i], c + i * kLanes, AllLanes{});
  }
  for_lanes(cols - c,
            [&](std::int64_t rest, auto lanes) { add_square(squares[0], c + rest, lanes); });
  const float variance =
      sum((squares[0] + squares[1]) + (squares[2] + squares[3])) / static_cast<float>(cols);
  return {mean, 1.0f / __builtin_sqrtf(variance + epsilon)};
}

void residual_norm_forward(const ResidualNormForward& arguments) {
  const ResidualNormForward a = arguments;  // a copy: no store can change it

  with_type(a.type, [&](auto type) {
    with_type(a.product_type, [&](auto product_type) {
      using T = decltype(type);
      using P = decltype(product_type);
      const Floats scale = broadcast(a.keep_scale);
      for (std::int64_t r = 0; r < a.rows; ++r) {
        T* y = row_of<T>(a.y, r, a.cols);
        const T* x = row_of<T>(a.x, r, a.cols);
        const P* product = row_of<P>(a.product, r, a.cols);
        const std::uint8_t* keep = a.keep ? a.keep + r * keep_stride(a.cols) : nullptr;
        Floats total{};
        for_lanes(a.cols, [&](std::int64_t c, auto lanes) {
          Floats v = load(product + c, lanes);
          if (a.bias) v += load(a.bias + c, lanes);
          if (keep) v = kept(keep, c, v * scale);
          v += load(x + c, lanes);
          store(a.scratch + c, v, lanes);
          total += valid_or(v, 0, lanes);
        });
        const RowStatistics s = row_statistics(a.scratch, a.cols, sum(total), a.epsilon);
        const Floats mean = broadcast(s.mean), rstd = broadcast(s.rstd);
        T* saved = a.sum ? row_of<T>(a.sum, r, a.cols) : nullptr;
        for_lanes(a.cols, [&](std::int64_t c, auto lanes) {
          const Floats v = load(a.scratch + c, lanes);
          if (saved) store(saved + c, v, lanes);
          store(y + c, fma((v - mean) * rstd, load(a.gamma + c, lanes), load(a.beta + c, lanes)),
                lanes);
        });
        if (a.mean) a.mean[r] = s.mean;
        if (a.rstd) a.rstd[r] = s.rstd;
      }
    });
  });
}

void residual_norm_backward(const ResidualNormBackward& arguments) {
  const ResidualNormBackward a = arguments;  // a copy: no store can change it
  const std::int64_t cols = a.cols;
  const float width = static_cast<float>(cols);
  with_type(a.type, [&](auto type) {
    using T = decltype(type);
    const Floats scale = broadcast(a.keep_scale);
    float* normalised = a.scratch;       // x̂ of the row at hand
    float* weighted = a.scratch + cols;  // w = dy · γ of the row at hand
    for (std::int64_t r = 0; r < a.rows; ++r) {
      const T* dy = row_of<T>(a.dy, r, cols);
      const T* before = row_of<T>(a.sum, r, cols);
      const Floats rstd = broadcast(a.rstd[r]), shift = broadcast(-a.mean[r] * a.rstd[r]);
      Floats total{}, projection{};
      for_lanes(cols, [&](std::int64_t c, auto lanes) {
        const Floats g = load(dy + c, lanes);
        const Floats x = fma(load(before + c, lanes), rstd, shift);
        const Floats w = g * load(a.gamma + c, lanes);
        store(normalised + c, x, lanes);
        store(weighted + c, w, lanes);
        store(a.dbeta + c, load(a.dbeta + c, lanes) + g, lanes);
        store(a.dgamma + c, fma(g, x, load(a.dgamma + c, lanes)), lanes);
        total += w;
        projection = fma(w, x, projection);
      });
      // (w − mean w − x̂ · mean (w x̂)) / σ
      const Floats constant = rstd * broadcast(-sum(total) / width);
      const Floats slope = rstd * broadcast(-sum(projection) / width);
      T* dsum = row_of<T>(a.dsum, r, cols);
      T* dproduct = a.dproduct ? row_of<T>(a.dproduct, r, cols) : nullptr;
      const std::uint8_t* keep = a.keep ? a.keep + r * keep_stride(cols) : nullptr;
      for_lanes(cols, [&](std::int64_t c, auto lanes) {
        const Floats x = load(normalised + c, lanes);
        const Floats g = fma(x, slope, fma(load(weighted + c, lanes), rstd, constant));
        store(dsum + c, a.accumulate ? load(dsum + c, lanes) + g : g, lanes);
        const Floats p = keep ? kept(keep, c, g * scale) : g;
        if (dproduct) store(dproduct + c, p, lanes);
        if (a.dbias) store(a.dbias + c, load(a.dbias + c, lanes) + p, lanes);
      });
    }
  });
}

/// Puts word (or given) + position + token type of row r into `row`; returns its sum.
template <typename T>
BARCODEMAE_INLINE float embedding_sum(const EmbedForward& a, std::int64_t r, float* row) {
  const float* word = a.given ? nullptr : a.word + a.ids[r] * a.cols;
  const T* given = a.given ? row_of<T>(a.given, r, a.cols) : nullptr;
  const float* position = a.position + a.positions[r] * a.cols;
  Floats total{};
  for_lanes(a.cols, [&](std::int64_t c, auto lanes) {
    const Floats base = given ? load(given + c, lanes) : load(word + c, lanes);
    const Floats v = base + load(position + c, lanes) + load(a.token_type + c, lanes);
    store(row + c, v, lanes);
    total += v;
  });
  return sum(total);
}

void embed_forward(const EmbedForward& arguments) {
  const EmbedForward a = arguments;  // a copy: no store can change it

  with_type(a.type, [&](auto type) {
    using T = decltype(type);
    const Floats scale = broadcast(a.keep_scale);
    for (std::int64_t r = 0; r < a.rows; ++r) {
      const float total = embedding_sum<T>(a, r, a.scratch);
      const RowStatistics s = row_statistics(a.scratch, a.cols, total, a.epsilon);
      const Floats mean = broadcast(s.mean), rstd = broadcast(s.rstd);
      T* y = row_of<T>(a.y, r, a.cols);
      const std::uint8_t* keep = a.keep ? a.keep + r * keep_stride(a.cols) : nullptr;
      for_lanes(a.cols, [&](std::int64_t c, auto lanes) {
        Floats v = fma((load(a.scratch + c, lanes) - mean) * rstd, load(a.gamma + c, lanes),
                       load(a.beta + c, lanes));
        if (keep) v = kept(keep, c, v * scale);
        store(y + c, v, lanes);
      });
      if (a.mean) a.mean[r] = s.mean;
      if (a.rstd) a.rstd[r] = s.rstd;
    }
  });
}

void embed_backward(const EmbedBackward& arguments) {
  const EmbedBackward a = arguments;  // a copy: no store can change it

  const EmbedForward& f = a.forward;
  const std::int64_t cols = f.cols;
  const float width = static_cast<float>(cols);
  with_type(f.type, [&](auto type) {
    using T = decltype(type);
    const Floats scale = broadcast(f.keep_scale);
    float* normalised = a.scratch;
    float* weighted = a.scratch + cols;
    for (std::int64_t r = 0; r < f.rows; ++r) {
      embedding_sum<T>(f, r, normalised);
      const Floats mean = broadcast(f.mean[r]), rstd = broadcast(f.rstd[r]);
      const T* dy = row_of<T>(a.dy, r, cols);
      const std::uint8_t* keep = f.keep ? f.keep + r * keep_stride(cols) : nullptr;
      Floats total{}, projection{};
      for_lanes(cols, [&](std::int64_t c, auto lanes) {
        Floats g = load(dy + c, lanes);
        if (keep) g = kept(keep, c, g * scale);
        const Floats x = valid_or((load(normalised + c, lanes) - mean) * rstd, 0, lanes);
        const Floats w = g * load(f.gamma + c, lanes);
        store(normalised + c, x, lanes);
        store(weighted + c, w, lanes);
        store(a.dbeta + c, load(a.dbeta + c, lanes) + g, lanes);
        store(a.dgamma + c, fma(g, x, load(a.dgamma + c, lanes)), lanes);
        total += w;
        projection = fma(w, x, projection);
      });
      const Floats constant = rstd * broadcast(-sum(total) / width);
      const Floats slope = rstd * broadcast(-sum(projection) / width);
      float* dsum = a.dsum ? a.dsum + r * cols : nullptr;
      T* drows = a.drows ? row_of<T>(a.drows, r, cols) : nullptr;
      for_lanes(cols, [&](std::int64_t c, auto lanes) {
        const Floats x = load(normalised + c, lanes);
        const Floats g = fma(x, slope, fma(load(weighted + c, lanes), rstd, constant));
        if (dsum) store(dsum + c, g, lanes);
        if (drows) store(drows + c, a.accumulate ? load(drows + c, lanes) + g : g, lanes);
        if (a.dtoken_type) {
          store(a.dtoken_type + c, load(a.dtoken_type + c, lanes) + g, lanes);
        }
      });
    }
  });
}

}  // namespace
}  // namespace barcodemae::cpu
