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
    const std::int64_t block = padded(query_block(tokens), 16);
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
  const std::int64_t block = query_block(n);
  for (std::int64_t first = 0; first < n; first += block) {
    const std::int64_t rows = n - first < block ? n - first : block;
    const std::int64_t seen = a.causal ? first + rows : n;  // keys that any row of the block sees
    pack_left(s.queries, padded(rows, 16), depth, row_of<BFloat16>(a.query, first, a.stride),
              a.stride, rows, d);
    multiply_pairs(s.scores, cols, s.queries, depth, s.keys, cols, rows, seen, depth, false);
    float normaliser[kLongestQueryBlock];
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
    scores = pieces.take<float>(keys_padded * block);
    dprobabilities = pieces.take<float>(keys_padded * block);
    probabilities = pieces.take<BFloat16>(keys_padded * block);
    dscores_transposed = pieces.take<BFloat16>(keys_padded * block);
    dscores = pieces.take<BFloat16>(block * keys_padded);
    dquery = pieces.take<float>(block * width);
    dkey = pieces.take<float>(keys_padded * width);
    dvalue = pieces.take<float>(keys_padded * width);
    keep = pieces.take<std::uint16_t>(keys_padded);
    bytes = pieces.used();
  }
};

/// For 16 queries at once: bit i of keep[j] says whether query i keeps key j; keys rounded up to 8.
void keep_probabilities_by_key(std::uint16_t* keep, const Philox& philox, const AttentionForward& a,
                               Words positions, std::int64_t keys) {
  const Words limit = (a.dropout.threshold << 16) + Words{};
  // Philox of even and of odd queries, whose words then interleave.
  const auto position = reinterpret_cast<Longs>(positions);
  const Longs even = (position & 0xFFFFFFFF) << 16, odd = position >> 32 << 16;
  for (std::int64_t key = 0; key < keys; key += 8) {
    const std::uint64_t call = a.head * (2048 / 8) + static_cast<std::uint64_t>(key) / 8;
    Longs even_words[4], odd_words[4];
    philox(even_words, even | (call + Longs{}));
    philox(odd_words, odd | (call + Longs{}));
    for (int w = 0; w < 4; ++w) {
      const auto both = reinterpret_cast<__m512i>(low_halves(even_words[w], odd_words[w]));
      const auto bound = reinterpret_cast<__m512i>(limit);
      keep[key + 2 * w] = _mm512_cmpge_epu32_mask(_mm512_slli_epi32(both, 16), bound);
      keep[key + 2 * w + 1] = _mm512_cmpge_epu32_mask(both, bound);
    }
  }
}

/// Turns one strip of 16 queries of the scores and of the probabilities' gradient, [keys, 16] at
/// the strides given, into probabilities after dropout and the gradient of the scores, both [keys,
/// 16] in bfloat16, and the latter's transpose [16, keys].
struct Strip {
  float* scores;
  float* dprobabilities;
  std::int64_t float_stride;
  BFloat16* probabilities;
  BFloat16* dscores_transposed;
  std::int64_t narrow_stride;
  BFloat16* dscores;
  std::int64_t dscores_stride;
  const std::uint16_t* keep;  ///< or null
  std::int64_t first_query;
  std::int64_t queries;  ///< real ones among the 16
  std::int64_t keys;     ///< padded to 32
};

void softmax_gradient(const Strip& s, const AttentionForward& a) {
  const __mmask16 real = first_lanes(s.queries);
  const Floats log_sum = _mm512_maskz_loadu_ps(real, a.log_sum_exp + s.first_query);
  const Floats offset = log_sum * broadcast(-kLog2E), factor = broadcast(a.scale * kLog2E);
  const Floats keep_scale = broadcast(s.keep ? a.dropout.scale : 1.0f);
  const auto valid = [&](std::int64_t key) -> __mmask16 {
    if (key >= a.tokens) return 0;
    const std::int64_t hidden = a.causal ? key - s.first_query : 0;  // queries before the key
    if (hidden <= 0) return real;
    return hidden >= 16 ? 0 : static_cast<__mmask16>(real & (0xFFFFu << hidden));
  };
  Floats projection{};  // Σ probability · its gradient
  for (std::int64_t key = 0; key < s.keys; ++key) {
    float* score = s.scores + key * s.float_stride;
    float* gradient = s.dprobabilities + key * s.float_stride;
    const __mmask16 mask = valid(key);
    const __mmask16 keep = s.keep ? static_cast<__mmask16>(mask & s.keep[key]) : mask;
    const Floats p =
        _mm512_maskz_mov_ps(mask, exp2_fast(fma(load(score, AllLanes{}), factor, offset)));
    const Floats g = _mm512_maskz_mul_ps(keep, load(gradient, AllLanes{}), keep_scale);
    projection = fma(p, g, projection);
    store(score, p, AllLanes{});
    store(gradient, g, AllLanes{});
  }
  alignas(64) std::uint16_t interleave[32];
  for (int i = 0; i < 32; ++i) interleave[i] = static_cast<std::uint16_t>(i / 2 + i % 2 * 16);
  const __m512i pairs = _mm512_load_si512(interleave);
  const Floats scale = broadcast(a.scale);
  for (std::int64_t block = 0; block < s.keys; block += 32) {
    __m512i transposed[16];
    for (int i = 0; i < 16; ++i) {
      const std::int64_t key = block + 2 * i;
      const float* score = s.scores + key * s.float_stride;
      const float* gradient = s.dprobabilities + key * s.float_stride;
      const Floats p0 = load(score, AllLanes{}), p1 = load(score + s.float_stride, AllLanes{});
      const Floats g0 = load(gradient, AllLanes{});
      const Floats g1 = load(gradient + s.float_stride, AllLanes{});
      const __m512i ds = narrow(p0 * scale * (g0 - projection), p1 * scale * (g1 - projection));
      const __mmask16 keep0 = s.keep ? s.keep[key] : 0xFFFF;
      const __mmask16 keep1 = s.keep ? s.keep[key + 1] : 0xFFFF;
      const __m512i p = narrow(_mm512_maskz_mul_ps(keep0, p0, keep_scale),
                               _mm512_maskz_mul_ps(keep1, p1, keep_scale));
      BFloat16* p_out = s.probabilities + key * s.narrow_stride;
      BFloat16* ds_out = s.dscores_transposed + key * s.narrow_stride;
      const auto out = [&](BFloat16* to, __m512i v) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_castsi512_si256(v));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + s.narrow_stride),
                            _mm512_extracti64x4_epi64(v, 1));
      };
      out(p_out, p);
      out(ds_out, ds);
      transposed[i] = _mm512_permutexvar_epi16(pairs, ds);
    }
    transpose(transposed);
    for (int i = 0; i < 16; ++i) {
      _mm512_storeu_si512(s.dscores + i * s.dscores_stride + block, transposed[i]);
    }
  }
}

void attention_backward_bf16(const AttentionBackward& b) {
  const AttentionForward& a = b.forward;
  const std::int64_t n = a.tokens, d = a.head_size;
  const std::int64_t depth = padded(d, 32), width = padded(d, 16);
  const std::int64_t key_rows = padded(n, 16), key_depth = padded(n, 32);
  const Bf16BackwardScratch s(b.scratch, n, d);
  const bool dropout = a.dropout.threshold > 0;
  const Philox philox(a.dropout, a.record);
  const ProductUnit unit;
  const auto* key = static_cast<const BFloat16*>(a.key);
  pack_left(s.keys, key_rows, depth, key, a.stride, n, d);
  pack_left(s.values, key_rows, depth, static_cast<const BFloat16*>(a.value), a.stride, n, d);
  pack_right(s.keys_right, key_depth, width, key, a.stride, n, d);
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
    const std::int64_t seen = a.causal ? first + rows : n;
    const std::int64_t seen_depth = padded(seen, 32);
    const auto* query = row_of<BFloat16>(a.query, first, a.stride);
    const auto* up = row_of<BFloat16>(b.dcontext, first, b.dcontext_stride);
    pack_right_transposed(s.queries_transposed, depth, cols, query, a.stride, rows, d);
    pack_right_transposed(s.dcontext_transposed, depth, cols, up, b.dcontext_stride, rows, d);
    pack_right(s.queries_right, row_depth, width, query, a.stride, rows, d);
    pack_right(s.dcontext_right, row_depth, width, up, b.dcontext_stride, rows, d);
    multiply_pairs(s.scores, cols, s.keys, depth, s.queries_transposed, cols, seen, rows, depth,
                   false);
    multiply_pairs(s.dprobabilities, cols, s.values, depth, s.dcontext_transposed, cols, seen, rows,
                   depth, false);
    for (std::int64_t strip = 0; strip < row_depth; strip += 16) {
      BFloat16* probabilities = s.probabilities + strip;
      BFloat16* dscores = s.dscores_transposed + strip;
      if (strip >= cols) {  // padding of the depth of the products to come
        for (std::int64_t j = 0; j < padded(seen, 16); ++j) {
          store(probabilities + j * row_depth, Floats{}, AllLanes{});
          store(dscores + j * row_depth, Floats{}, AllLanes{});
        }
        continue;
      }
      const std::int64_t queries = rows - strip < 16 ? rows - strip : 16;
      if (dropout) {
        const __mmask16 real = first_lanes(queries);
        const auto positions =
            reinterpret_cast<Words>(_mm512_maskz_loadu_epi32(real, a.positions + first + strip));
        keep_probabilities_by_key(s.keep, philox, a, positions, seen);
        for (std::int64_t j = padded(seen, 8); j < seen_depth; ++j) s.keep[j] = 0;
      }
      softmax_gradient({.scores = s.scores + strip,
                        .dprobabilities = s.dprobabilities + strip,
                        .float_stride = cols,
                        .probabilities = probabilities,
                        .dscores_transposed = dscores,
                        .narrow_stride = row_depth,
                        .dscores = s.dscores + strip * key_depth,
                        .dscores_stride = key_depth,
                        .keep = dropout ? s.keep : nullptr,
                        .first_query = first + strip,
                        .queries = queries,
                        .keys = seen_depth},
                       a);
    }
    const bool accumulate = n > block && (a.causal || first > 0);
    multiply_pairs(s.dvalue, width, s.probabilities, row_depth, s.dcontext_right, width, seen, d,
                   row_depth, accumulate);
    multiply_pairs(s.dkey, width, s.dscores_transposed, row_depth, s.queries_right, width, seen, d,
                   row_depth, accumulate);
    multiply_pairs(s.dquery, width, s.dscores, key_depth, s.keys_right, width, rows, d, seen_depth,
                   false);
    store_rows<BFloat16>(row_of<BFloat16>(b.dquery, first, b.dstride), b.dstride, s.dquery, width,
                         rows, d, 1);
  }
  store_rows<BFloat16>(b.dkey, b.dstride, s.dkey, width, n, d, 1);
  store_rows<BFloat16>(b.dvalue, b.dstride, s.dvalue, width, n, d, 1);
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
  return Bf16ForwardScratch(nullptr, tokens, head_size).bytes;
}
std::size_t attention_backward_scratch_any(std::int64_t tokens, std::int64_t head_size,
                                           DType type) {
  if (type != DType::kBFloat16) return attention_backward_scratch(tokens, head_size, type);
  return Bf16BackwardScratch(nullptr, tokens, head_size).bytes;
}

}  // namespace
}  // namespace barcodemae::cpu
