// SPDX-License-Identifier: MIT
// Attention of one head in float32. A block of queries meets all its keys at once: with at most
// 2,048 keys its rows of scores fit the L2 cache, so that the softmax needs no second sweep. The
// backward pass recomputes the probabilities from log-sum-exp (Dao et al., "FlashAttention", 2022,
// §3).
#pragma once

#include "backend/cpu/kernels/dropout.h"
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/lanes.h"
#include "backend/cpu/kernels/scratch.h"

namespace barcodemae::cpu {
namespace {

/// c[i, j] (+)= Σ_k a[i · row_step + k · k_step] · b[k, j] for a tile of kRows × kVectors · kLanes.
template <int kRows, int kVectors>
BARCODEMAE_INLINE void multiply_tile(float* c, std::int64_t c_stride, const float* a,
                                     std::int64_t row_step, std::int64_t k_step, const float* b,
                                     std::int64_t b_stride, std::int64_t depth, bool accumulate) {
  Floats sums[kRows][kVectors];
  for (int i = 0; i < kRows; ++i) {
    for (int v = 0; v < kVectors; ++v) {
      sums[i][v] = accumulate ? load(c + i * c_stride + v * kLanes, AllLanes{}) : Floats{};
    }
  }
  for (std::int64_t k = 0; k < depth; ++k) {
    Floats right[kVectors];
    for (int v = 0; v < kVectors; ++v) right[v] = load(b + k * b_stride + v * kLanes, AllLanes{});
    for (int i = 0; i < kRows; ++i) {
      const Floats left = broadcast(a[i * row_step + k * k_step]);
      for (int v = 0; v < kVectors; ++v) sums[i][v] = fma(left, right[v], sums[i][v]);
    }
  }
  for (int i = 0; i < kRows; ++i) {
    for (int v = 0; v < kVectors; ++v) {
      store(c + i * c_stride + v * kLanes, sums[i][v], AllLanes{});
    }
  }
}

constexpr int kTileRows = 6;
constexpr int kTileVectors = kLanes == 16 ? 4 : 2;  // with the rows, what the registers hold

template <int kVectors>
void multiply_strip(float* c, std::int64_t c_stride, const float* a, std::int64_t row_step,
                    std::int64_t k_step, const float* b, std::int64_t b_stride, std::int64_t rows,
                    std::int64_t depth, bool accumulate) {
  std::int64_t i = 0;
  for (; i + kTileRows <= rows; i += kTileRows) {
    multiply_tile<kTileRows, kVectors>(c + i * c_stride, c_stride, a + i * row_step, row_step,
                                       k_step, b, b_stride, depth, accumulate);
  }
  for (; i + 2 <= rows; i += 2) {
    multiply_tile<2, kVectors>(c + i * c_stride, c_stride, a + i * row_step, row_step, k_step, b,
                               b_stride, depth, accumulate);
  }
  if (i < rows) {
    multiply_tile<1, kVectors>(c + i * c_stride, c_stride, a + i * row_step, row_step, k_step, b,
                               b_stride, depth, accumulate);
  }
}

/// C [rows, cols] (+)= A · B, with A's element (i, k) at a[i · row_step + k · k_step]; cols is a
/// multiple of kLanes.
void multiply(float* c, std::int64_t c_stride, const float* a, std::int64_t row_step,
              std::int64_t k_step, const float* b, std::int64_t b_stride, std::int64_t rows,
              std::int64_t cols, std::int64_t depth, bool accumulate) {
  std::int64_t j = 0;
  for (; j + kTileVectors * kLanes <= cols; j += kTileVectors * kLanes) {
    multiply_strip<kTileVectors>(c + j, c_stride, a, row_step, k_step, b + j, b_stride, rows, depth,
                                 accumulate);
  }
  for (; j < cols; j += kLanes) {
    multiply_strip<1>(c + j, c_stride, a, row_step, k_step, b + j, b_stride, rows, depth,
                      accumulate);
  }
}

/// Rows as float32 times `factor`, zeros up to whole vectors.
template <typename T>
void pack_rows(float* out, std::int64_t out_stride, const void* x, std::int64_t x_stride,
               std::int64_t rows, std::int64_t cols, float factor) {
  for (std::int64_t r = 0; r < rows; ++r) {
    const T* row = row_of<T>(x, r, x_stride);
    float* to = out + r * out_stride;
    for_lanes(cols, [&](std::int64_t c, auto lanes) {
      store(to + c, load(row + c, lanes) * broadcast(factor), AllLanes{});
    });
  }
}

/// The transpose of rows as float32, out [cols, out_stride], zeros beyond `rows`.
template <typename T>
void pack_columns(float* out, std::int64_t out_stride, const void* x, std::int64_t x_stride,
                  std::int64_t rows, std::int64_t cols) {
  for (std::int64_t r = 0; r < out_stride; ++r) {
    for (std::int64_t c = 0; c < cols; c += 8) {
      float part[kLanes > 8 ? kLanes : 8] = {};
      if (r < rows) {
        const T* from = row_of<T>(x, r, x_stride) + c;
        for (int i = 0; i < 8; i += kLanes) {
          if constexpr (kLanes > 8) {
            store(part, load(from, SomeLanes{8}), AllLanes{});
          } else {
            store(part + i, load(from + i, AllLanes{}), AllLanes{});
          }
        }
      }
      for (int i = 0; i < 8; ++i) out[(c + i) * out_stride + r] = part[i];
    }
  }
}

template <typename T>
void store_rows(void* y, std::int64_t y_stride, const float* x, std::int64_t x_stride,
                std::int64_t rows, std::int64_t cols, float factor) {
  for (std::int64_t r = 0; r < rows; ++r) {
    T* row = row_of<T>(y, r, y_stride);
    for_lanes(cols, [&](std::int64_t c, auto lanes) {
      store(row + c, load(x + r * x_stride + c, lanes) * broadcast(factor), lanes);
    });
  }
}

/// A row stride of an odd number of cache lines: then the same columns of rows below each other do
/// not compete for a few sets of the L1 cache. Grows with `cols`, whatever the vectors.
constexpr std::int64_t spread(std::int64_t cols) { return padded(cols, 16) | 16; }

struct AttentionForwardScratch {
  float *keys, *values, *queries, *scores, *context;
  std::uint8_t* keep;
  std::size_t bytes;

  AttentionForwardScratch(void* base, std::int64_t tokens, std::int64_t head_size) {
    const std::int64_t key_count = spread(tokens), width = spread(head_size);
    const std::int64_t block = query_block(tokens);
    ScratchPieces pieces(base);
    keys = pieces.take<float>(head_size * key_count);
    values = pieces.take<float>(tokens * width);
    queries = pieces.take<float>(block * width);
    scores = pieces.take<float>(block * key_count);
    context = pieces.take<float>(block * width);
    keep = pieces.take<std::uint8_t>(key_count / 8 + 64);
    bytes = pieces.used();
  }
};

struct AttentionBackwardScratch {
  float *keys_transposed, *values_transposed, *keys, *queries, *dcontext, *scores, *dscores;
  float *dquery, *dkey, *dvalue;
  std::uint8_t* keep;
  std::size_t bytes;

  AttentionBackwardScratch(void* base, std::int64_t tokens, std::int64_t head_size) {
    const std::int64_t key_count = spread(tokens), width = spread(head_size);
    const std::int64_t block = query_block(tokens);
    ScratchPieces pieces(base);
    keys_transposed = pieces.take<float>(head_size * key_count);
    values_transposed = pieces.take<float>(head_size * key_count);
    keys = pieces.take<float>(tokens * width);
    queries = pieces.take<float>(block * width);
    dcontext = pieces.take<float>(block * width);
    scores = pieces.take<float>(block * key_count);
    dscores = pieces.take<float>(block * key_count);
    dquery = pieces.take<float>(block * width);
    dkey = pieces.take<float>(tokens * width);
    dvalue = pieces.take<float>(tokens * width);
    keep = pieces.take<std::uint8_t>(key_count / 8 + 64);
    bytes = pieces.used();
  }
};

std::size_t attention_forward_scratch(std::int64_t tokens, std::int64_t head_size, DType) {
  return scratch_bytes<AttentionForwardScratch>(tokens, head_size);
}
std::size_t attention_backward_scratch(std::int64_t tokens, std::int64_t head_size, DType) {
  return scratch_bytes<AttentionBackwardScratch>(tokens, head_size);
}

/// The mask of one query's probabilities over `keys` keys.
BARCODEMAE_INLINE void keep_probabilities(std::uint8_t* keep, const Philox& philox,
                                          const AttentionForward& a, std::int64_t query,
                                          std::int64_t keys) {
  keep_row(keep, philox, a.dropout.threshold, static_cast<std::uint32_t>(a.positions[query]),
           a.head * (2048 / 8), (keys + 7) / 8);
}

void attention_forward(const AttentionForward& a) {
  if (a.tokens == 0) return;
  with_type(a.type, [&](auto type) {
    using T = decltype(type);
    const std::int64_t n = a.tokens, d = a.head_size;
    const std::int64_t key_count = spread(n), width = spread(d), d_padded = padded(d, kLanes);
    const AttentionForwardScratch s(a.scratch, n, d);
    const bool dropout = a.dropout.threshold > 0;
    const Philox philox(a.dropout, a.record);
    pack_columns<T>(s.keys, key_count, a.key, a.stride, n, d);
    pack_rows<T>(s.values, width, a.value, a.stride, n, d, 1);
    for (std::int64_t first = 0; first < n; first += query_block(n)) {
      const std::int64_t rows = n - first < query_block(n) ? n - first : query_block(n);
      const std::int64_t seen = a.causal ? first + rows : n;  // keys that any row of the block sees
      const std::int64_t cols = padded(seen, kLanes);
      pack_rows<T>(s.queries, width, row_of<T>(a.query, first, a.stride), a.stride, rows, d,
                   a.scale);
      multiply(s.scores, key_count, s.queries, width, 1, s.keys, key_count, rows, cols, d, false);
      float normaliser[kLongestQueryBlock];
      for (std::int64_t r = 0; r < rows; ++r) {
        float* row = s.scores + r * key_count;
        const std::int64_t keys = a.causal ? first + r + 1 : n;
        Floats most = broadcast(row[0]);
        for_lanes(keys, [&](std::int64_t c, auto lanes) {
          most = max(most, valid_or(load(row + c, lanes), row[0], lanes));
        });
        const float top = largest(most);
        if (dropout) keep_probabilities(s.keep, philox, a, first + r, keys);
        Floats total{};
        for_lanes(keys, [&](std::int64_t c, auto lanes) {
          Floats e = valid_or(exp(load(row + c, AllLanes{}) - top), 0, lanes);
          total += e;
          if (dropout) e = kept(s.keep, c, e);
          store(row + c, e, AllLanes{});
        });
        for (std::int64_t c = padded(keys, kLanes); c < cols; c += kLanes) {
          store(row + c, Floats{}, AllLanes{});
        }
        const float denominator = sum(total);
        normaliser[r] = (dropout ? a.dropout.scale : 1.0f) / denominator;
        if (a.log_sum_exp) a.log_sum_exp[first + r] = top + __builtin_logf(denominator);
      }
      multiply(s.context, width, s.scores, key_count, 1, s.values, width, rows, d_padded, seen,
               false);
      for (std::int64_t r = 0; r < rows; ++r) {
        store_rows<T>(row_of<T>(a.context, first + r, a.context_stride), 0, s.context + r * width,
                      0, 1, d, normaliser[r]);
      }
    }
  });
}

void attention_backward(const AttentionBackward& b) {
  const AttentionForward& a = b.forward;
  if (a.tokens == 0) return;
  with_type(a.type, [&](auto type) {
    using T = decltype(type);
    const std::int64_t n = a.tokens, d = a.head_size;
    const std::int64_t key_count = spread(n), width = spread(d), d_padded = padded(d, kLanes);
    const AttentionBackwardScratch s(b.scratch, n, d);
    const bool dropout = a.dropout.threshold > 0;
    const Philox philox(a.dropout, a.record);
    const Floats keep_scale = broadcast(dropout ? a.dropout.scale : 1.0f);
    pack_columns<T>(s.keys_transposed, key_count, a.key, a.stride, n, d);
    pack_columns<T>(s.values_transposed, key_count, a.value, a.stride, n, d);
    pack_rows<T>(s.keys, width, a.key, a.stride, n, d, 1);
    for (std::int64_t i = 0; i < n * width; i += kLanes) {
      store(s.dkey + i, Floats{}, AllLanes{});
      store(s.dvalue + i, Floats{}, AllLanes{});
    }
    for (std::int64_t first = 0; first < n; first += query_block(n)) {
      const std::int64_t rows = n - first < query_block(n) ? n - first : query_block(n);
      const std::int64_t seen = a.causal ? first + rows : n;
      const std::int64_t cols = padded(seen, kLanes);
      pack_rows<T>(s.queries, width, row_of<T>(a.query, first, a.stride), a.stride, rows, d,
                   a.scale);
      pack_rows<T>(s.dcontext, width, row_of<T>(b.dcontext, first, b.dcontext_stride),
                   b.dcontext_stride, rows, d, 1);
      multiply(s.scores, key_count, s.queries, width, 1, s.keys_transposed, key_count, rows, cols,
               d, false);
      multiply(s.dscores, key_count, s.dcontext, width, 1, s.values_transposed, key_count, rows,
               cols, d, false);
      for (std::int64_t r = 0; r < rows; ++r) {
        float* score = s.scores + r * key_count;
        float* dscore = s.dscores + r * key_count;
        const std::int64_t keys = a.causal ? first + r + 1 : n;
        const Floats log_sum = broadcast(a.log_sum_exp[first + r]);
        if (dropout) keep_probabilities(s.keep, philox, a, first + r, keys);
        Floats projection{};  // Σ probability · its gradient
        for_lanes(keys, [&](std::int64_t c, auto lanes) {
          const Floats p = valid_or(exp(load(score + c, AllLanes{}) - log_sum), 0, lanes);
          Floats g = valid_or(load(dscore + c, AllLanes{}), 0, lanes);
          if (dropout) g = kept(s.keep, c, g * keep_scale);
          projection = fma(p, g, projection);
          store(score + c, p, AllLanes{});
          store(dscore + c, g, AllLanes{});
        });
        const Floats mean = broadcast(sum(projection));
        for_lanes(keys, [&](std::int64_t c, auto) {
          const Floats p = load(score + c, AllLanes{});
          store(dscore + c, p * (load(dscore + c, AllLanes{}) - mean), AllLanes{});
          if (dropout) store(score + c, kept(s.keep, c, p * keep_scale), AllLanes{});
        });
        for (std::int64_t c = padded(keys, kLanes); c < cols; c += kLanes) {
          store(score + c, Floats{}, AllLanes{});
          store(dscore + c, Floats{}, AllLanes{});
        }
      }
      multiply(s.dquery, width, s.dscores, key_count, 1, s.keys, width, rows, d_padded, seen,
               false);
      store_rows<T>(row_of<T>(b.dquery, first, b.dstride), b.dstride, s.dquery, width, rows, d,
                    a.scale);
      multiply(s.dkey, width, s.dscores, 1, key_count, s.queries, width, seen, d_padded, rows,
               true);
      multiply(s.dvalue, width, s.scores, 1, key_count, s.dcontext, width, seen, d_padded, rows,
               true);
    }
    store_rows<T>(b.dkey, b.dstride, s.dkey, width, n, d, 1);
    store_rows<T>(b.dvalue, b.dstride, s.dvalue, width, n, d, 1);
  });
}

}  // namespace
}  // namespace barcodemae::cpu
