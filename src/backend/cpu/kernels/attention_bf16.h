// SPDX-License-Identifier: MIT
// Attention of one head in bfloat16 with float32 sums, on the products of bf16_products.h. Like
// attention.h, a block of queries meets all its keys at once. The forward pass holds scores with a
// row per query, the backward pass with a row per key: there the sums of the softmax's gradient run
// down the columns, and only the gradient of the scores has to be transposed for the third product.
#pragma once

#include "backend/cpu/kernels/attention.h"
#include "backend/cpu/kernels/bf16_products.h"
#include "backend/cpu/kernels/dropout.h"
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/lanes.h"

namespace barcodemae::cpu {
namespace {

/// 2ˣ within 3e-6 (relative), for any x: minimax polynomial on the fraction.
BARCODEMAE_INLINE Floats exp2_fast(Floats x) {
  const Floats f = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF);
  Floats p = broadcast(0.01353409606963396f);
  p = fma(p, f, broadcast(0.052011605352163315f));
  p = fma(p, f, broadcast(0.24144266545772552f));
  p = fma(p, f, broadcast(0.6930038332939148f));
  p = fma(p, f, broadcast(1.0000026226043701f));
  return _mm512_scalef_ps(p, x);
}
constexpr float kLog2E = 1.4426950408889634f;

/// Queries whose scores are made and used while they are in the L1 cache: two tiles.
constexpr std::int64_t kStripQueries = 32;

/// A stride (in bfloat16, `cols` a multiple of 32) of an odd number of cache lines: then rows below
/// each other do not compete for the same few sets of the L1 cache.
constexpr std::int64_t uneven(std::int64_t cols) { return cols % 64 == 0 ? cols + 32 : cols; }

/// Two vectors of 16 as 32 bfloat16, `a` in the low half.
BARCODEMAE_INLINE __m512i narrow(Floats a, Floats b) {
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(b, a));
}

struct Bf16ForwardScratch {
  Pair *keys, *values;
  BFloat16 *queries, *probabilities;
  float *scores, *context;
  std::uint8_t* keep;
  std::size_t bytes;

  Bf16ForwardScratch(void* base, std::int64_t tokens, std::int64_t head_size) {
    const std::int64_t block = kStripQueries;
    ScratchPieces pieces(base);
    keys = pieces.take<Pair>(padded(head_size, 32) / 2 * padded(tokens, 16));
    values = pieces.take<Pair>(padded(tokens, 32) / 2 * padded(head_size, 16));
    queries = pieces.take<BFloat16>(block * padded(head_size, 32));
    probabilities = pieces.take<BFloat16>(block * padded(tokens, 32));
    scores = pieces.take<float>(block * padded(tokens, 16));
    context = pieces.take<float>(block * padded(head_size, 16));
    keep = pieces.take<std::uint8_t>(padded(tokens, 64) / 8 + 64);
    bytes = pieces.used();
  }
};

void attention_forward_bf16(const AttentionForward& a) {
  const std::int64_t n = a.tokens, d = a.head_size;
  const std::int64_t cols = padded(n, 16), depth = padded(d, 32), width = padded(d, 16);
  const std::int64_t p_stride = padded(n, 32);
  const Bf16ForwardScratch s(a.scratch, n, d);
  const bool dropout = a.dropout.threshold > 0;
  const Philox philox(a.dropout, a.record);
  const ProductUnit unit;
  pack_right_transposed(s.keys, depth, cols, static_cast<const BFloat16*>(a.key), a.stride, n, d);
  pack_right(s.values, p_stride, width, static_cast<const BFloat16*>(a.value), a.stride, n, d);
  const Floats factor = broadcast(a.scale * kLog2E);
  for (std::int64_t first = 0; first < n; first += kStripQueries) {
    const std::int64_t rows = n - first < kStripQueries ? n - first : kStripQueries;
    const std::int64_t seen = a.causal ? first + rows : n;  // keys that any row of the block sees
    pack_left(s.queries, padded(rows, 16), depth, row_of<BFloat16>(a.query, first, a.stride),
              a.stride, rows, d);
    multiply_pairs(s.scores, cols, s.queries, depth, s.keys, cols, rows, seen, depth, false);
    float normaliser[kStripQueries];
    for (std::int64_t r = 0; r < rows; ++r) {
      const float* row = s.scores + r * cols;
      BFloat16* out = s.probabilities + r * p_stride;
      const std::int64_t keys = a.causal ? first + r + 1 : n;
      Floats most = broadcast(row[0]);
      for_lanes(keys, [&](std::int64_t c, auto lanes) {
        most = max(most, valid_or(load(row + c, AllLanes{}), row[0], lanes));
      });
      const float top = largest(most);
      const Floats offset = broadcast(-top * a.scale * kLog2E);
      if (dropout) keep_probabilities(s.keep, philox, a, first + r, keys);
      Floats total{};
      for_lanes(keys, [&](std::int64_t c, auto lanes) {
        Floats e = exp2_fast(fma(load(row + c, AllLanes{}), factor, offset));
        e = valid_or(e, 0, lanes);
        total += e;
        if (dropout) e = kept(s.keep, c, e);
        store(out + c, e, AllLanes{});
      });
      for (std::int64_t c = padded(keys, 16); c < padded(seen, 32); c += 16) {
        store(out + c, Floats{}, AllLanes{});
      }
      const float denominator = sum(total);
      normaliser[r] = (dropout ? a.dropout.scale : 1.0f) / denominator;
      if (a.log_sum_exp) {
        a.log_sum_exp[first + r] = top * a.scale + __builtin_logf(denominator);
      }
    }
    multiply_pairs(s.context, width, s.probabilities, p_stride, s.values, width, rows, d,
                   padded(seen, 32), false);
    for (std::int64_t r = 0; r < rows; ++r) {
      store_rows<BFloat16>(row_of<BFloat16>(a.context, first + r, a.context_stride), 0,
                           s.context + r * width, 0, 1, d, normaliser[r]);
    }
  }
}

struct Bf16BackwardScratch {
  BFloat16 *keys, *values, *probabilities, *dscores_transposed, *dscores;
  Pair *keys_right, *queries_transposed, *dcontext_transposed, *queries_right, *dcontext_right;
  float *scores, *dprobabilities, *dquery, *dkey, *dvalue;
  std::uint16_t* keep;
  std::size_t bytes;

  Bf16BackwardScratch(void* base, std::int64_t tokens, std::int64_t head_size) {
    const std::int64_t block = padded(query_block(tokens), 32);
    const std::int64_t keys_padded = padded(tokens, 32);
    const std::int64_t depth = padded(head_size, 32), width = padded(head_size, 16);
    ScratchPieces pieces(base);
    keys = pieces.take<BFloat16>(keys_padded * depth);
    values = pieces.take<BFloat16>(keys_padded * depth);
    keys_right = pieces.take<Pair>(keys_padded / 2 * width);
    queries_transposed = pieces.take<Pair>(depth / 2 * block);
    dcontext_transposed = pieces.take<Pair>(depth / 2 * block);
    queries_right = pieces.take<Pair>(block / 2 * width);
    dcontext_right = pieces.take<Pair>(block / 2 * width);
    scores = pieces.take<float>(keys_padded * kStripQueries);
    dprobabilities = pieces.take<float>(keys_padded * kStripQueries);
    probabilities = pieces.take<BFloat16>(keys_padded * uneven(block));
    dscores_transposed = pieces.take<BFloat16>(keys_padded * uneven(block));
    dscores = pieces.take<BFloat16>(block * uneven(keys_padded));
    dquery = pieces.take<float>(block * width);
    dkey = pieces.take<float>(keys_padded * width);
    dvalue = pieces.take<float>(keys_padded * width);
    keep = pieces.take<std::uint16_t>(2 * keys_padded);
    bytes = pieces.used();
  }
};

/// For 16 queries at once: bit i of keep[2 j] says whether query i keeps key j; keys are rounded up
/// to 8.
void keep_probabilities_by_key(std::uint16_t* keep, const Philox& philox, const AttentionForward& a,
                               Words positions, std::int64_t keys) {
  const auto limit = _mm512_set1_epi32(static_cast<int>(a.dropout.threshold << 16));
  // The generator for even and for odd queries, whose words then interleave.
  const auto position = reinterpret_cast<Longs>(positions);
  const Longs even = (position & 0xFFFFFFFF) << 16, odd = position >> 32 << 16;
  for (std::int64_t key = 0; key < keys; key += 8) {
    const std::uint64_t call = a.head * (2048 / 8) + static_cast<std::uint64_t>(key) / 8;
    Longs even_words[4], odd_words[4];
    philox(even_words, even | (call + Longs{}));
    philox(odd_words, odd | (call + Longs{}));
    std::uint16_t* out = keep + 2 * key;
    for (int w = 0; w < 4; ++w) {
      const auto both = reinterpret_cast<__m512i>(low_halves(even_words[w], odd_words[w]));
      out[4 * w] = _mm512_cmpge_epu32_mask(_mm512_slli_epi32(both, 16), limit);
      out[4 * w + 2] = _mm512_cmpge_epu32_mask(both, limit);
    }
  }
}

/// A strip of kStripQueries queries of the backward pass, a row per key.
struct Strip {
  float* scores;                 ///< in, unscaled, rows kStripQueries apart; overwritten
  float* dprobabilities;         ///< in, before dropout; likewise
  BFloat16* probabilities;       ///< out: kept probabilities, not yet scaled by dropout
  BFloat16* dscores_transposed;  ///< out: gradient of the unscaled scores
  std::int64_t narrow_stride;
  BFloat16* dscores;  ///< out: the same, a row per query
  std::int64_t dscores_stride;
  const std::uint16_t* keep;  ///< [2 · padded keys]: bits of the first and the second 16 queries
  std::int64_t first_query;
  std::int64_t queries;  ///< real ones
  std::int64_t keys;     ///< outputs are 0 from here to a multiple of 32
};

/// With p the probabilities and g the gradient after them: ds = p (g − Σ p g) · scale, sums along
/// the keys. Queries that are not there have scores and gradients 0, and thus no effect. kHalves:
/// with one, the second 16 queries were not computed, and become 0.
template <bool kCausal, int kHalves>
void softmax_gradient(const Strip s, const AttentionForward& a) {
  const Floats factor = broadcast(a.scale * kLog2E);
  const Floats g_factor = broadcast(a.dropout.threshold > 0 ? a.scale * a.dropout.scale : a.scale);
  Floats offset[2] = {}, projection[2] = {};
  for (int h = 0; h < kHalves; ++h) {
    const std::int64_t left = s.queries - 16 * h;
    const Floats log_sum = _mm512_maskz_loadu_ps(first_lanes(left < 16 ? left : 16),
                                                 a.log_sum_exp + s.first_query + 16 * h);
    offset[h] = log_sum * broadcast(-kLog2E);
  }
  for (std::int64_t key = 0; key < s.keys; ++key) {
    for (int h = 0; h < kHalves; ++h) {
      float* score = s.scores + key * kStripQueries + 16 * h;
      float* gradient = s.dprobabilities + key * kStripQueries + 16 * h;
      Floats p = exp2_fast(fma(load(score, AllLanes{}), factor, offset[h]));
      if constexpr (kCausal) {
        const std::int64_t hidden = key - s.first_query - 16 * h;  // queries before the key
        const unsigned lanes = 0xFFFFu << (hidden < 0 ? 0 : hidden > 16 ? 16 : hidden);
        p = _mm512_maskz_mov_ps(static_cast<__mmask16>(lanes), p);
      }
      const Floats g =
          _mm512_maskz_mul_ps(s.keep[2 * key + h], load(gradient, AllLanes{}), g_factor);
      projection[h] = fma(p, g, projection[h]);
      store(score, p, AllLanes{});
      store(gradient, g, AllLanes{});
    }
  }
  const std::int64_t end = padded(s.keys, 32);
  for (std::int64_t i = s.keys * kStripQueries; i < end * kStripQueries; i += 16) {
    store(s.scores + i, Floats{}, AllLanes{});
    store(s.dprobabilities + i, Floats{}, AllLanes{});
  }
  for (std::int64_t block = 0; block < end; block += 32) {
    __m512i low[16], high[16];  // pairs of keys for queries whose bit 2 is 0, and 1
    for (int i = 0; i < 16; ++i) {
      __m512i ds[2];
      for (int odd = 0; odd < 2; ++odd) {
        const std::int64_t key = block + 2 * i + odd;
        Floats p[2] = {}, d[2] = {};
        for (int h = 0; h < kHalves; ++h) {
          const std::int64_t at = key * kStripQueries + 16 * h;
          p[h] = load(s.scores + at, AllLanes{});
          d[h] = p[h] * (load(s.dprobabilities + at, AllLanes{}) - projection[h]);
        }
        std::uint32_t keep;
        __builtin_memcpy(&keep, s.keep + 2 * key, sizeof keep);
        ds[odd] = narrow(d[0], d[1]);
        _mm512_storeu_si512(s.probabilities + key * s.narrow_stride,
                            reinterpret_cast<__m512i>(_mm512_maskz_cvtne2ps_pbh(keep, p[1], p[0])));
        _mm512_storeu_si512(s.dscores_transposed + key * s.narrow_stride, ds[odd]);
      }
      low[i] = _mm512_unpacklo_epi16(ds[0], ds[1]);
      high[i] = _mm512_unpackhi_epi16(ds[0], ds[1]);
    }
    transpose(low);
    transpose(high);
    for (int i = 0; i < 8 * kHalves; ++i) {
      BFloat16* out = s.dscores + (i / 4 * 8 + i % 4) * s.dscores_stride + block;
      _mm512_storeu_si512(out, low[i]);
      _mm512_storeu_si512(out + 4 * s.dscores_stride, high[i]);
    }
  }
}

void attention_backward_bf16(const AttentionBackward& b) {
  const AttentionForward& a = b.forward;
  const std::int64_t n = a.tokens, d = a.head_size;
  const std::int64_t depth = padded(d, 32), width = padded(d, 16);
  const std::int64_t key_rows = padded(n, 16), key_depth = padded(n, 32);
  const std::int64_t key_stride = uneven(key_depth);
  const Bf16BackwardScratch s(b.scratch, n, d);
  const bool dropout = a.dropout.threshold > 0;
  const Philox philox(a.dropout, a.record);
  const ProductUnit unit;
  const auto* key = static_cast<const BFloat16*>(a.key);
  pack_left(s.keys, key_rows, depth, key, a.stride, n, d);
  pack_left(s.values, key_rows, depth, static_cast<const BFloat16*>(a.value), a.stride, n, d);
  pack_right(s.keys_right, key_depth, width, key, a.stride, n, d);
  if (!dropout) {
    for (std::int64_t j = 0; j < 2 * key_depth; ++j) s.keep[j] = 0xFFFF;
  }
  const std::int64_t block = query_block(n);
  if (a.causal && n > block) {  // later blocks add to rows that earlier ones did not reach
    for (std::int64_t i = 0; i < key_rows * width; i += kLanes) {
      store(s.dkey + i, Floats{}, AllLanes{});
      store(s.dvalue + i, Floats{}, AllLanes{});
    }
  }
  for (std::int64_t first = 0; first < n; first += block) {
    const std::int64_t rows = n - first < block ? n - first : block;
    const std::int64_t cols = padded(rows, 16), row_depth = padded(rows, 32);
    const std::int64_t row_stride = uneven(row_depth);
    const std::int64_t seen = a.causal ? first + rows : n;
    const std::int64_t seen_depth = padded(seen, 32);
    const auto* query = row_of<BFloat16>(a.query, first, a.stride);
    const auto* up = row_of<BFloat16>(b.dcontext, first, b.dcontext_stride);
    pack_right_transposed(s.queries_transposed, depth, cols, query, a.stride, rows, d);
    pack_right_transposed(s.dcontext_transposed, depth, cols, up, b.dcontext_stride, rows, d);
    pack_right(s.queries_right, row_depth, width, query, a.stride, rows, d);
    pack_right(s.dcontext_right, row_depth, width, up, b.dcontext_stride, rows, d);
    for (std::int64_t strip = 0; strip < cols; strip += kStripQueries) {
      const std::int64_t queries = rows - strip < kStripQueries ? rows - strip : kStripQueries;
      multiply_pairs(s.scores, kStripQueries, s.keys, depth, s.queries_transposed + strip, cols,
                     seen, queries, depth, false);
      multiply_pairs(s.dprobabilities, kStripQueries, s.values, depth,
                     s.dcontext_transposed + strip, cols, seen, queries, depth, false);
      if (dropout) {
        for (std::int64_t half = 0; half < queries; half += 16) {
          const std::int64_t left = queries - half < 16 ? queries - half : 16;
          const auto positions = reinterpret_cast<Words>(
              _mm512_maskz_loadu_epi32(first_lanes(left), a.positions + first + strip + half));
          keep_probabilities_by_key(s.keep + half / 16, philox, a, positions, seen);
        }
      }
      const Strip work{.scores = s.scores,
                       .dprobabilities = s.dprobabilities,
                       .probabilities = s.probabilities + strip,
                       .dscores_transposed = s.dscores_transposed + strip,
                       .narrow_stride = row_stride,
                       .dscores = s.dscores + strip * key_stride,
                       .dscores_stride = key_stride,
                       .keep = s.keep,
                       .first_query = first + strip,
                       .queries = queries,
                       .keys = seen};
      if (a.causal) {
        (queries > 16 ? softmax_gradient<true, 2> : softmax_gradient<true, 1>)(work, a);
      } else {
        (queries > 16 ? softmax_gradient<false, 2> : softmax_gradient<false, 1>)(work, a);
      }
    }
    const bool accumulate = n > block && (a.causal || first > 0);
    multiply_pairs(s.dvalue, width, s.probabilities, row_stride, s.dcontext_right, width, seen, d,
                   row_depth, accumulate);
    multiply_pairs(s.dkey, width, s.dscores_transposed, row_stride, s.queries_right, width, seen, d,
                   row_depth, accumulate);
    multiply_pairs(s.dquery, width, s.dscores, key_stride, s.keys_right, width, rows, d, seen_depth,
                   false);
    store_rows<BFloat16>(row_of<BFloat16>(b.dquery, first, b.dstride), b.dstride, s.dquery, width,
                         rows, d, 1);
  }
  store_rows<BFloat16>(b.dkey, b.dstride, s.dkey, width, n, d, 1);
  store_rows<BFloat16>(b.dvalue, b.dstride, s.dvalue, width, n, d, dropout ? a.dropout.scale : 1);
}

void attention_forward_any(const AttentionForward& a) {
  if (a.type != DType::kBFloat16) return attention_forward(a);
  if (a.tokens > 0) attention_forward_bf16(a);
}
void attention_backward_any(const AttentionBackward& b) {
  if (b.forward.type != DType::kBFloat16) return attention_backward(b);
  if (b.forward.tokens > 0) attention_backward_bf16(b);
}
std::size_t attention_forward_scratch_any(std::int64_t tokens, std::int64_t head_size, DType type) {
  if (type != DType::kBFloat16) return attention_forward_scratch(tokens, head_size, type);
  return scratch_bytes<Bf16ForwardScratch>(tokens, head_size);
}
std::size_t attention_backward_scratch_any(std::int64_t tokens, std::int64_t head_size,
                                           DType type) {
  if (type != DType::kBFloat16) return attention_backward_scratch(tokens, head_size, type);
  return scratch_bytes<Bf16BackwardScratch>(tokens, head_size);
}

}  // namespace
}  // namespace barcodemae::cpu
