// SPDX-License-Identifier: MIT
// gelu over rows, forward and backward.
#pragma once

#include "backend/cpu/kernels/gelu_values.h"
#include "backend/cpu/kernels/kernels.h"

namespace barcodemae::cpu {
namespace {

void gelu_forward(const GeluForward& arguments) {
  const GeluForward a = arguments;  // a copy: no store can change it

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

void gelu_backward(const GeluBackward& arguments) {
  const GeluBackward a = arguments;  // a copy: no store can change it

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
