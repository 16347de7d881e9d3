// SPDX-License-Identifier: MIT
// Rows of floats as int8 and sums of int8 products as floats.
#pragma once

#include "backend/cpu/kernels/gelu_values.h"
#include "backend/cpu/kernels/kernels.h"

namespace barcodemae::cpu {
namespace {

using Bytes8 [[gnu::vector_size(kLanes)]] = std::int8_t;

/// v, of magnitudes up to 127.5, rounded to nearest even.
BARCODEMAE_INLINE Bytes8 to_int8(Floats v) {
  // Adding 1.5 · 2²³ leaves the integer in the low bits.
  const Floats limit = broadcast(127.0f);
  const Floats shifted = min(max(v, -limit), limit) + broadcast(0x1.8p23f);
  return __builtin_convertvector(as_words(shifted), Bytes8);
}
BARCODEMAE_INLINE void store(std::int8_t* p, Bytes8 v, AllLanes) {
  __builtin_memcpy(p, &v, sizeof v);
}
BARCODEMAE_INLINE void store(std::int8_t* p, Bytes8 v, SomeLanes s) {
  for (int i = 0; i < s.count; ++i) p[i] = v[i];
}
BARCODEMAE_INLINE Floats load(const std::int32_t* p, AllLanes) {
  Ints v;
  __builtin_memcpy(&v, p, sizeof v);
  return __builtin_convertvector(v, Floats);
}
BARCODEMAE_INLINE Floats load(const std::int32_t* p, SomeLanes s) {
  Ints v{};
  for (int i = 0; i < s.count; ++i) v[i] = p[i];
  return __builtin_convertvector(v, Floats);
}

/// Returns the scale.
template <typename T>
float quantise_row(std::int8_t* quantised, const T* x, std::int64_t cols) {
  Floats magnitudes{};
  for_lanes(cols, [&](std::int64_t c, auto lanes) {
    const Floats v = load(x + c, lanes);
    magnitudes = max(magnitudes, max(v, -v));
  });
  const float most = largest(magnitudes);
  const Floats inverse = broadcast(most > 0 ? 127 / most : 0);
  for_lanes(cols, [&](std::int64_t c, auto lanes) {
    store(quantised + c, to_int8(load(x + c, lanes) * inverse), lanes);
  });
  return most / 127;
}

void quantise_rows(const QuantiseRows& arguments) {
  const QuantiseRows a = arguments;
  with_type(a.type, [&](auto type) {
    using T = decltype(type);
    for (std::int64_t r = 0; r < a.rows; ++r) {
      a.scales[r] = quantise_row(a.quantised + r * a.cols, row_of<const T>(a.x, r, a.cols), a.cols);
    }
  });
}

/// Calls use(column, z, lanes) along row r.
template <typename Use>
BARCODEMAE_INLINE void dequantise_row(const Int8Sums& a, std::int64_t r, Use&& use) {
  const Floats row_scale = broadcast(a.row_scales[r]);
  const std::int32_t* sums = a.sums + r * a.cols;
  for_lanes(a.cols, [&](std::int64_t c, auto lanes) {
    const Floats scale = load(a.col_scales + c, lanes) * row_scale;
    const Floats bias = a.bias ? load(a.bias + c, lanes) : Floats{};
    use(c, fma(load(sums + c, lanes), scale, bias), lanes);
  });
}

void dequantise_rows(const Int8Sums& arguments, void* out, DType type) {
  const Int8Sums a = arguments;
  with_type(type, [&](auto tag) {
    using T = decltype(tag);
    for (std::int64_t r = 0; r < a.rows; ++r) {
      T* row = row_of<T>(out, r, a.cols);
      dequantise_row(a, r, [&](std::int64_t c, Floats z, auto lanes) { store(row + c, z, lanes); });
    }
  });
}

void gelu_int8(const Int8Sums& arguments, std::int8_t* quantised, float* scales, float* scratch) {
  const Int8Sums a = arguments;
  for (std::int64_t r = 0; r < a.rows; ++r) {
    // int8 has fewer digits than the approximation for bfloat16.
    dequantise_row(a, r, [&](std::int64_t c, Floats z, auto lanes) {
      store(scratch + c, gelu_value(z, BFloat16{}), lanes);
    });
    scales[r] = quantise_row(quantised + r * a.cols, scratch, a.cols);
  }
}

}  // namespace
}  // namespace barcodemae::cpu
