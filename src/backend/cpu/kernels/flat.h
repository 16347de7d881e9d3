// SPDX-License-Identifier: MIT
// Loops over flat ranges and plain matrices: sums, conversions, the optimiser.
#pragma once

#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/lanes.h"

namespace barcodemae::cpu {
namespace {

void add(void* y, const void* a, const void* b, DType type, std::int64_t count) {
  with_type(type, [&](auto tag) {
    using T = decltype(tag);
    for_lanes(count, [&](std::int64_t i, auto lanes) {
      store(static_cast<T*>(y) + i,
            load(static_cast<const T*>(a) + i, lanes) + load(static_cast<const T*>(b) + i, lanes),
            lanes);
    });
  });
}

void convert(void* y, DType y_type, const void* x, DType x_type, std::int64_t count) {
  with_type(y_type, [&](auto y_tag) {
    with_type(x_type, [&](auto x_tag) {
      using Y = decltype(y_tag);
      using X = decltype(x_tag);
      for_lanes(count, [&](std::int64_t i, auto lanes) {
        store(static_cast<Y*>(y) + i, load(static_cast<const X*>(x) + i, lanes), lanes);
      });
    });
  });
}

void column_sums(float* y, bool accumulate, float factor, const void* x, DType x_type,
                 std::int64_t rows, std::int64_t cols, std::int64_t x_stride) {
  with_type(x_type, [&](auto tag) {
    using T = decltype(tag);
    constexpr int kWide = 4;  // columns of vectors side by side: whole cache lines, no waiting
    std::int64_t first = 0;
    for (; first + kWide * kLanes <= cols; first += kWide * kLanes) {
      Floats total[kWide] = {};
      for (std::int64_t r = 0; r < rows; ++r) {
        const T* row = row_of<T>(x, r, x_stride) + first;
        for (int i = 0; i < kWide; ++i) total[i] += load(row + i * kLanes, AllLanes{});
      }
      for (int i = 0; i < kWide; ++i) {
        float* out = y + first + i * kLanes;
        const Floats before = accumulate ? load(out, AllLanes{}) : Floats{};
        store(out, fma(total[i], broadcast(factor), before), AllLanes{});
      }
    }
    for_lanes(cols - first, [&](std::int64_t c, auto lanes) {
      Floats total{};
      for (std::int64_t r = 0; r < rows; ++r) {
        total += load(row_of<T>(x, r, x_stride) + first + c, lanes);
      }
      float* out = y + first + c;
      const Floats before = accumulate ? load(out, lanes) : Floats{};
      store(out, fma(total, broadcast(factor), before), lanes);
    });
  });
}

void broadcast_row(void* y, DType y_type, bool accumulate, float factor, const float* x,
                   std::int64_t rows, std::int64_t cols, std::int64_t y_stride) {
  with_type(y_type, [&](auto tag) {
    using T = decltype(tag);
    for (std::int64_t r = 0; r < rows; ++r) {
      T* row = row_of<T>(y, r, y_stride);
      for_lanes(cols, [&](std::int64_t c, auto lanes) {
        const Floats v = load(x + c, lanes) * broadcast(factor);
        store(row + c, accumulate ? load(row + c, lanes) + v : v, lanes);
      });
    }
  });
}

void add_rows(float* table, std::int64_t table_stride, const std::int32_t* index, const void* x,
              DType x_type, std::int64_t x_stride, std::int64_t rows, std::int64_t cols) {
  with_type(x_type, [&](auto tag) {
    using T = decltype(tag);
    for (std::int64_t r = 0; r < rows; ++r) {
      float* out = table + index[r] * table_stride;
      const T* row = row_of<T>(x, r, x_stride);
      for_lanes(cols, [&](std::int64_t c, auto lanes) {
        store(out + c, load(out + c, lanes) + load(row + c, lanes), lanes);
      });
    }
  });
}

double sum_of_squares(const float* x, std::int64_t count) {
  constexpr int kSums = 32;
  double sums[kSums] = {};
  std::int64_t i = 0;
  for (; i + kSums <= count; i += kSums) {
    for (int j = 0; j < kSums; ++j) {
      const double value = static_cast<double>(x[i + j]);
      sums[j] += value * value;
    }
  }
  for (int j = 0; i < count; ++i, ++j) {
    const double value = static_cast<double>(x[i]);
    sums[j] += value * value;
  }
  double total = 0;
  for (double s : sums) total += s;
  return total;
}

void adamw(const AdamWRange& a) {
  for_lanes(a.count, [&](std::int64_t i, auto lanes) {
    const Floats gradient = load(a.gradient + i, lanes) * broadcast(a.gradient_scale);
    const Floats first = fma(load(a.first_moment + i, lanes), broadcast(a.beta1),
                             gradient * broadcast(a.one_minus_beta1));
    const Floats second = fma(load(a.second_moment + i, lanes), broadcast(a.beta2),
                              gradient * gradient * broadcast(a.one_minus_beta2));
    const Floats root = fma(sqrt(second), broadcast(a.inverse_root), broadcast(a.epsilon));
    const Floats value =
        load(a.value + i, lanes) * broadcast(a.decay) - broadcast(a.step_size) * first / root;
    store(a.value + i, value, lanes);
    store(a.gradient + i, Floats{}, lanes);
    store(a.first_moment + i, first, lanes);
    store(a.second_moment + i, second, lanes);
  });
}

}  // namespace
}  // namespace barcodemae::cpu
