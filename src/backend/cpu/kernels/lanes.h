// SPDX-License-Identifier: MIT
// A vector of float32 lanes, as wide as the including file is compiled for: 16 with AVX-512, 8 with
// AVX2 and FMA, else 4 (SSE2, NEON, or what the compiler makes of it).
//
// Compiler vector types give the arithmetic; intrinsics fill the gaps. Highway 1.0.3 would do the
// same with one lane only on plain x86-64 and truncating bfloat16. Everything is in an unnamed
// namespace and no inline function of a library is called, so that no code compiled for one
// instruction set can be linked into another.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "tensor/view.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#define BARCODEMAE_LANES 16
#elif defined(__AVX2__) && defined(__FMA__)
#define BARCODEMAE_LANES 8
#else
#define BARCODEMAE_LANES 4
#endif
#define BARCODEMAE_INLINE [[gnu::always_inline]] inline

namespace barcodemae::cpu {
namespace {

constexpr int kLanes = BARCODEMAE_LANES;
using Floats [[gnu::vector_size(kLanes * 4)]] = float;
using Ints [[gnu::vector_size(kLanes * 4)]] = std::int32_t;
using Words [[gnu::vector_size(kLanes * 4)]] = std::uint32_t;
using Halves [[gnu::vector_size(kLanes * 2)]] = std::uint16_t;

/// A bfloat16 in memory.
struct BFloat16 {
  std::uint16_t bits;
};

/// How much of a vector a load or store touches: all of it, or the first `count` lanes (then the
/// other lanes read as 0).
struct AllLanes {};
struct SomeLanes {
  std::int64_t count;
};

/// Calls body(column, AllLanes or SomeLanes) along a row.
template <typename Body>
BARCODEMAE_INLINE void for_lanes(std::int64_t cols, Body&& body) {
  std::int64_t c = 0;
  for (; c + kLanes <= cols; c += kLanes) body(c, AllLanes{});
  if (c < cols) body(c, SomeLanes{cols - c});
}

BARCODEMAE_INLINE Floats broadcast(float x) { return x - Floats{}; }
BARCODEMAE_INLINE Floats as_floats(Words w) { return reinterpret_cast<Floats>(w); }
BARCODEMAE_INLINE Words as_words(Floats f) { return reinterpret_cast<Words>(f); }

#if BARCODEMAE_LANES == 16

BARCODEMAE_INLINE Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
BARCODEMAE_INLINE Floats max(Floats a, Floats b) { return _mm512_max_ps(a, b); }
BARCODEMAE_INLINE Floats min(Floats a, Floats b) { return _mm512_min_ps(a, b); }
BARCODEMAE_INLINE Floats sqrt(Floats a) { return _mm512_sqrt_ps(a); }
BARCODEMAE_INLINE float sum(Floats a) { return _mm512_reduce_add_ps(a); }
BARCODEMAE_INLINE float largest(Floats a) { return _mm512_reduce_max_ps(a); }
BARCODEMAE_INLINE __mmask16 first_lanes(std::int64_t count) {
  return static_cast<__mmask16>((1u << count) - 1);
}
/// v where the bit of keep is 1, else 0; `keep` points to a mask row, column a multiple of kLanes.
BARCODEMAE_INLINE Floats kept(const std::uint8_t* keep, std::int64_t column, Floats v) {
  std::uint16_t bits;
  __builtin_memcpy(&bits, keep + column / 8, sizeof bits);
  return _mm512_maskz_mov_ps(bits, v);
}

#elif BARCODEMAE_LANES == 8

BARCODEMAE_INLINE Floats fma(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
BARCODEMAE_INLINE Floats max(Floats a, Floats b) { return _mm256_max_ps(a, b); }
BARCODEMAE_INLINE Floats min(Floats a, Floats b) { return _mm256_min_ps(a, b); }
BARCODEMAE_INLINE Floats sqrt(Floats a) { return _mm256_sqrt_ps(a); }
BARCODEMAE_INLINE float sum(Floats a) {
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
BARCODEMAE_INLINE float largest(Floats a) {
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}
BARCODEMAE_INLINE Floats kept(const std::uint8_t* keep, std::int64_t column, Floats v) {
  const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  const __m256i set = _mm256_and_si256(_mm256_set1_epi32(keep[column / 8]), bit);
  return _mm256_and_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(set, bit)), v);
}

#else

BARCODEMAE_INLINE Floats fma(Floats a, Floats b, Floats c) { return a * b + c; }
BARCODEMAE_INLINE Floats max(Floats a, Floats b) { return a > b ? a : b; }
BARCODEMAE_INLINE Floats min(Floats a, Floats b) { return a < b ? a : b; }
BARCODEMAE_INLINE Floats sqrt(Floats a) {
  for (int i = 0; i < kLanes; ++i) a[i] = __builtin_sqrtf(a[i]);
  return a;
}
BARCODEMAE_INLINE float sum(Floats a) { return (a[0] + a[2]) + (a[1] + a[3]); }
BARCODEMAE_INLINE float largest(Floats a) {
  float most = a[0];
  for (int i = 1; i < kLanes; ++i) most = a[i] > most ? a[i] : most;
  return most;
}
BARCODEMAE_INLINE Floats kept(const std::uint8_t* keep, std::int64_t column, Floats v) {
  const Words bit = {1, 2, 4, 8};
  const Words bits = (std::uint32_t{keep[column / 8]} >> (column % 8)) + Words{};
  return as_floats(as_words(v) & reinterpret_cast<Words>((bits & bit) == bit));
}

#endif

BARCODEMAE_INLINE Floats load(const float* p, AllLanes) {
  Floats v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
BARCODEMAE_INLINE void store(float* p, Floats v, AllLanes) { __builtin_memcpy(p, &v, sizeof v); }

BARCODEMAE_INLINE Floats to_floats(Halves h) {
  return as_floats(__builtin_convertvector(h, Words) << 16);
}
BARCODEMAE_INLINE Floats load(const BFloat16* p, AllLanes) {
  Halves h;
  __builtin_memcpy(&h, p, sizeof h);
  return to_floats(h);
}

/// Rounded to nearest even; NaN stays NaN. (With AVX512-BF16, numbers below 2⁻¹²⁶ become 0.)
BARCODEMAE_INLINE Halves to_halves(Floats v) {
#if defined(__AVX512BF16__)
  return reinterpret_cast<Halves>(_mm512_cvtneps_pbh(v));
#else
  const Words w = as_words(v);
  const Words rounded = w + 0x7FFF + ((w >> 16) & 1);
  const Words number = reinterpret_cast<Words>(v == v);  // NOLINT(misc-redundant-expression): NaN
  return __builtin_convertvector(((rounded & number) | ((w | 0x400000) & ~number)) >> 16, Halves);
#endif
}
BARCODEMAE_INLINE void store(BFloat16* p, Floats v, AllLanes) {
  const Halves h = to_halves(v);
  __builtin_memcpy(p, &h, sizeof h);
}

#if BARCODEMAE_LANES == 16
BARCODEMAE_INLINE Floats load(const float* p, SomeLanes s) {
  return _mm512_maskz_loadu_ps(first_lanes(s.count), p);
}
BARCODEMAE_INLINE void store(float* p, Floats v, SomeLanes s) {
  _mm512_mask_storeu_ps(p, first_lanes(s.count), v);
}
BARCODEMAE_INLINE Floats load(const BFloat16* p, SomeLanes s) {
  return to_floats(reinterpret_cast<Halves>(_mm256_maskz_loadu_epi16(first_lanes(s.count), p)));
}
BARCODEMAE_INLINE void store(BFloat16* p, Floats v, SomeLanes s) {
  _mm256_mask_storeu_epi16(p, first_lanes(s.count), reinterpret_cast<__m256i>(to_halves(v)));
}
#else
BARCODEMAE_INLINE Floats load(const float* p, SomeLanes s) {
  Floats v{};
  for (int i = 0; i < s.count; ++i) v[i] = p[i];
  return v;
}
BARCODEMAE_INLINE void store(float* p, Floats v, SomeLanes s) {
  for (int i = 0; i < s.count; ++i) p[i] = v[i];
}
BARCODEMAE_INLINE Floats load(const BFloat16* p, SomeLanes s) {
  Halves h{};
  for (int i = 0; i < s.count; ++i) h[i] = p[i].bits;
  return to_floats(h);
}
BARCODEMAE_INLINE void store(BFloat16* p, Floats v, SomeLanes s) {
  const Halves h = to_halves(v);
  for (int i = 0; i < s.count; ++i) p[i].bits = h[i];
}
#endif

/// v in the lanes a row really has, `other` beyond its end.
BARCODEMAE_INLINE Floats valid_or(Floats v, float, AllLanes) { return v; }
BARCODEMAE_INLINE Floats valid_or(Floats v, float other, SomeLanes s) {
  Ints lane;
  for (int i = 0; i < kLanes; ++i) lane[i] = i;
  return lane < static_cast<std::int32_t>(s.count) + Ints{} ? v : broadcast(other);
}

/// eˣ within 2 ulp; 0 below −87, and x must not exceed 88.
BARCODEMAE_INLINE Floats exp(Floats x) {
  // x = n ln 2 + r, |r| ≤ ln 2 / 2; adding 1.5 · 2²³ rounds to an integer. The polynomial is the
  // minimax fit of (eʳ − 1 − r)/r² in relative error of eʳ (3e-9).
  const Floats shift = broadcast(0x1.8p23f);
  const Floats shifted = fma(x, broadcast(0x1.715476p0f), shift);
  const Floats n = shifted - shift;
  Floats r = fma(n, broadcast(-0x1.62e4p-1f), x);
  r = fma(n, broadcast(-0x1.7f7d1cp-20f), r);
  Floats q = broadcast(0.0013814609264954925f);
  q = fma(q, r, broadcast(0.0083687175065279f));
  q = fma(q, r, broadcast(0.04166838899254799f));
  q = fma(q, r, broadcast(0.1666652113199234f));
  q = fma(q, r, broadcast(0.4999999403953552f));
  const Floats one = broadcast(1.0f);
  const Floats e = fma(q * r, r, r) + one;
  // Exponent n goes in by integer addition; the low bits of `shifted` hold n.
  const Floats scaled = as_floats(as_words(e) + (as_words(shifted) << 23));
  return x < broadcast(-87.0f) ? Floats{} : scaled;
}

/// Calls body(T{}) with T the element type.
template <typename Body>
BARCODEMAE_INLINE void with_type(DType type, Body&& body) {
  if (type == DType::kBFloat16) {
    body(BFloat16{});
  } else {
    body(float{});
  }
}

/// Row r of a compact or strided matrix.
template <typename T>
BARCODEMAE_INLINE T* row_of(void* matrix, std::int64_t row, std::int64_t stride) {
  return static_cast<T*>(matrix) + row * stride;
}
template <typename T>
BARCODEMAE_INLINE const T* row_of(const void* matrix, std::int64_t row, std::int64_t stride) {
  return static_cast<const T*>(matrix) + row * stride;
}

}  // namespace
}  // namespace barcodemae::cpu
