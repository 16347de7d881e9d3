// SPDX-License-Identifier: MIT
// gelu(z) = z Φ(z) (Hendrycks and Gimpel, 2016) and its derivative Φ(z) + z φ(z).
//
// float32: Φ from e^(−z²/2) and a fit of the upper tail, absolute error of gelu and gelu' below
// 2e-7 · max(1, |z|). bfloat16: odd polynomials on a clamped range, absolute error of gelu below
// 5e-5 (for |z| up to 1,000), of gelu' below 7e-5: a fiftieth of a bfloat16's last place at 1.
#pragma once

#include "backend/cpu/kernels/kernels.h"
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

/// Value of ½ + z · P(2 (z/c)² − 1) for z clamped to ±c.
template <int kTerms>
BARCODEMAE_INLINE Floats odd_sigmoid(Floats z, float clamp, const float (&coefficients)[kTerms]) {
  const Floats limited = min(max(z, broadcast(-clamp)), broadcast(clamp));
  const Floats u = fma(limited * limited, broadcast(2 / (clamp * clamp)), broadcast(-1.0f));
  Floats p = broadcast(coefficients[kTerms - 1]);
  for (int i = kTerms - 2; i >= 0; --i) p = fma(p, u, broadcast(coefficients[i]));
  return fma(limited, p, broadcast(0.5f));
}

// Minimax fits with the ends fixed at 0 and 1.
constexpr float kPhiClamp = 4.25f;
constexpr float kPhiCoefficients[] = {
    0.16593524813652039f,  -0.08077644556760788f,  0.055718716233968735f,
    -0.0391775518655777f,  0.025410311296582222f,  -0.014584548771381378f,
    0.009063581004738808f, -0.006050070747733116f, 0.0021078169811517f};
constexpr float kSlopeClamp = 4.5f;
constexpr float kSlopeCoefficients[] = {
    0.1594453603029251f,  -0.08993260562419891f, 0.0861993283033371f, -0.09522601962089539f,
    0.10496921837329865f, -0.0883110761642456f,  0.047846470028162f,  -0.044695012271404266f,
    0.05590994656085968f, -0.02509450539946556f};

BARCODEMAE_INLINE Floats gelu_value(Floats z, float) { return gelu_exactly(z).value; }
BARCODEMAE_INLINE Floats gelu_value(Floats z, BFloat16) {
  return z * odd_sigmoid(z, kPhiClamp, kPhiCoefficients);
}
BARCODEMAE_INLINE Floats gelu_slope(Floats z, float) { return gelu_exactly(z).slope; }
BARCODEMAE_INLINE Floats gelu_slope(Floats z, BFloat16) {
  return odd_sigmoid(z, kSlopeClamp, kSlopeCoefficients);
}

void gelu_forward(const GeluForward& a) {
  with_type(a.type, [&](auto type) {
    with_type(a.product_type, [&](auto product_type) {
      using T = decltype(type);
      using P = decltype(product_type);
      for (std::int64_t r = 0; r < a.rows; ++r) {
        const P* product = row_of<P>(a.product, r, a.product_stride);
        T* out = row_of<T>(a.out, r, a.out_stride);
        T* pre = a.pre ? row_of<T>(a.pre, r, a.pre_stride) : nullptr;
        for_lanes(a.cols, [&](std::int64_t c, auto lanes) {
          Floats z = load(product + c, lanes);
          if (a.bias) z += load(a.bias + c, lanes);
          if (pre) store(pre + c, z, lanes);
          store(out + c, gelu_value(z, T{}), lanes);
        });
      }
    });
  });
}

void gelu_backward(const GeluBackward& a) {
  with_type(a.type, [&](auto type) {
    with_type(a.dout_type, [&](auto dout_type) {
      with_type(a.pre_type, [&](auto pre_type) {
        using T = decltype(type);
        using D = decltype(dout_type);
        using P = decltype(pre_type);
        for (std::int64_t r = 0; r < a.rows; ++r) {
          const D* dout = row_of<D>(a.dout, r, a.dout_stride);
          const P* pre = row_of<P>(a.pre, r, a.pre_stride);
          T* dpre = row_of<T>(a.dpre, r, a.dpre_stride);
          T* out = a.out ? row_of<T>(a.out, r, a.out_stride) : nullptr;
          for_lanes(a.cols, [&](std::int64_t c, auto lanes) {
            Floats z = load(pre + c, lanes);
            if (a.bias) z += load(a.bias + c, lanes);
            const Floats g = load(dout + c, lanes) * gelu_slope(z, T{});
            if (out) store(out + c, gelu_value(z, T{}), lanes);
            store(dpre + c, g, lanes);
            if (a.dbias) store(a.dbias + c, load(a.dbias + c, lanes) + g, lanes);
          });
        }
      });
    });
  });
}

}  // namespace
}  // namespace barcodemae::cpu
