// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "backend/reference/matrix.h"

namespace barcodemae::reference {

template <typename T>
void copy(Matrix<T> y, Input<T> x) {
  std::copy(x.data, x.data + x.size(), y.data);
}

template <typename T>
void fill(Matrix<T> y, T value) {
  std::fill(y.data, y.data + y.size(), value);
}

/// y = a + b; y may be a.
template <typename T>
void add(Matrix<T> y, Input<T> a, Input<T> b) {
  for (std::int64_t i = 0; i < y.size(); ++i) y.data[i] = a.data[i] + b.data[i];
}

/// y += x
template <typename T>
void add_to(Matrix<T> y, Input<T> x) {
  add(y, y, x);
}

/// y = x, or y += x.
template <typename T>
void store(Matrix<T> y, bool accumulate, Input<T> x) {
  accumulate ? add_to(y, x) : copy(y, x);
}

}  // namespace barcodemae::reference
