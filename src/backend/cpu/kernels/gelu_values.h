// SPDX-License-Identifier: MIT
// gelu(z) = z Φ(z) (Hendrycks and Gimpel, 2016) and its derivative Φ(z) + z φ(z).
//
// Φ from e^(−z²/2) and a fit of the upper tail: absolute error of gelu and gelu' below
// 2e-7 · max(1, |z|). For bfloat16 with AVX-512 parabolas from a table, absolute error below 5e-5,
// a fiftieth of a bfloat16's last place at 1.
#pragma once

#include "backend/cpu/kernels/lanes.h"

namespace barcodemae::cpu {
namespace {

struct GeluValues {
  Floats value, slope;
};

/// 1/√(2π) · e^(−z²/2) and Φ(z); 1 − Φ(a) = e^(−a²/2) · t · P(t), t = 1 / (1 + a/4) for a ≥ 0, P
/// the minimax fit in absolute error (3e-9).
BARCODEMAE_INLINE GeluValues gelu_exactly(Floats z) {
  const Floats half_square = z * z * broadcast(-0.5f);
  const Floats bell = exp(half_square);
  const Floats a = max(z, -z);
  const Floats one = broadcast(1.0f);
  const Floats t = one / fma(a, broadcast(0.25f), one);
  Floats p = broadcast(-0.08858570257721597f);
  p = fma(p, t, broadcast(0.3261228827234804f));
  p = fma(p, t, broadcast(-0.23402065774105898f));
  p = fma(p, t, broadcast(0.24393092247824025f));
  p = fma(p, t, broadcast(0.048309836047358265f));
  p = fma(p, t, broadcast(0.10433829147250967f));
  p = fma(p, t, broadcast(0.09990442485716969f));
  const Floats tail = bell * t * p;
  const Floats phi = z < Floats{} ? tail : one - tail;
  return {z * phi, fma(z * bell, broadcast(0.3989422804014327f), phi)};
}

BARCODEMAE_INLINE Floats gelu_value(Floats z, float) { return gelu_exactly(z).value; }
BARCODEMAE_INLINE Floats gelu_slope(Floats z, float) { return gelu_exactly(z).slope; }

#if BARCODEMAE_LANES == 16

// For bfloat16: gelu(z) = max(z, 0) − h(|z|) and gelu'(z) = ½ + sign(z) · m(|z|), with h and m as
// parabolas on 32 intervals of width 1/7, whose coefficients lie in two registers each.

constexpr double kIntervals = 7;             // per unit
constexpr double kBeyond = 31 / kIntervals;  // centre of the last interval: h is 0 and m is ½

struct Parabolas {
  alignas(64) float constant[32], linear[32], square[32];
};

/// φ(z) and Φ(z) − ½ by their series.
constexpr double normal_density(double z) {
  double term = 0.3989422804014326779, sum = term;
  for (int n = 1; n < 80; ++n) sum += term *= -z * z / 2 / n;
  return sum;
}
constexpr double normal_from_zero(double z) {
  double term = 0.3989422804014326779 * z, sum = term;
  for (int n = 1; n < 80; ++n) {
    term *= -z * z / 2 / n;
    sum += term / (2 * n + 1);
  }
  return sum;
}
constexpr double minus_h(double a) { return a * (normal_from_zero(a) - 0.5); }
constexpr double m(double a) { return normal_from_zero(a) + a * normal_density(a); }

/// Interpolation at the Chebyshev nodes of each interval.
constexpr Parabolas parabolas(double (*f)(double), double last) {
  Parabolas p{};
  for (int i = 0; i < 31; ++i) {
    const double x = i / kIntervals, step = 0.8660254037844386 * 0.5 / kIntervals;
    const double left = f(x - step), middle = f(x), right = f(x + step);
    const double c2 = (left - 2 * middle + right) / (2 * step * step);
    const double c1 = (right - left) / (2 * step);
    p.square[i] = static_cast<float>(c2);
    p.linear[i] = static_cast<float>(c1 - 2 * c2 * x);
    p.constant[i] = static_cast<float>(middle - c1 * x + c2 * x * x);
  }
  p.constant[31] = static_cast<float>(last);
  return p;
}
constexpr Parabolas kMinusH = parabolas(minus_h, 0);
constexpr Parabolas kM = parabolas(m, 0.5);

BARCODEMAE_INLINE Floats evaluate(const Parabolas& p, Floats a) {
  // Adding 2²³ leaves the interval's number in the low bits.
  const auto interval = reinterpret_cast<__m512i>(
      fma(a, broadcast(static_cast<float>(kIntervals)), broadcast(0x1p23f)));
  const auto look_up = [&](const float* table) -> Floats {
    return _mm512_permutex2var_ps(_mm512_load_ps(table), interval, _mm512_load_ps(table + 16));
  };
  return fma(fma(look_up(p.square), a, look_up(p.linear)), a, look_up(p.constant));
}
BARCODEMAE_INLINE Floats limited_magnitude(Floats z) {
  return min(_mm512_abs_ps(z), broadcast(static_cast<float>(kBeyond)));
}
BARCODEMAE_INLINE Floats gelu_value(Floats z, BFloat16) {
  return max(Floats{}, z) + evaluate(kMinusH, limited_magnitude(z));  // NaN stays NaN
}
BARCODEMAE_INLINE Floats gelu_slope(Floats z, BFloat16) {
  const Words sign = as_words(z) & 0x80000000;
  return broadcast(0.5f) + as_floats(as_words(evaluate(kM, limited_magnitude(z))) ^ sign);
}

#else

BARCODEMAE_INLINE Floats gelu_value(Floats z, BFloat16) { return gelu_exactly(z).value; }
BARCODEMAE_INLINE Floats gelu_slope(Floats z, BFloat16) { return gelu_exactly(z).slope; }

#endif

}  // namespace
}  // namespace barcodemae::cpu
