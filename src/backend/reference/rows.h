// SPDX-License-Identifier: MIT
// Rows picked from and put into matrices by index.
#pragma once

#include <algorithm>
#include <vector>

#include "backend/reference/elementwise.h"
#include "backend/reference/matrix.h"
#include "tensor/segments.h"

namespace barcodemae::reference {

using Index = Matrix<const std::int32_t>;  ///< [rows, 1]

/// Row i of a table, the index being checked: ids come from files.
template <typename T>
T* checked_row(Matrix<T> table, std::int64_t row) {
  BARCODEMAE_CHECK(row >= 0 && row < table.rows, "row {} of a table of {}", row, table.rows);
  return table[row];
}

/// y[i] += table[index[i]]
template <typename T>
void add_rows(Matrix<T> y, Input<T> table, Index index) {
  for (std::int64_t row = 0; row < y.rows; ++row) {
    const T* source = checked_row(table, index.data[row]);
    for (std::int64_t i = 0; i < y.cols; ++i) y[row][i] += source[i];
  }
}

/// table[index[i]] += x[i], repeats adding up: the gradient of add_rows, or of gather_rows.
template <typename T>
void add_to_rows(Matrix<T> table, Input<T> x, Index index) {
  for (std::int64_t row = 0; row < x.rows; ++row) {
    T* destination = checked_row(table, index.data[row]);
    for (std::int64_t i = 0; i < x.cols; ++i) destination[i] += x[row][i];
  }
}

/// y[i] = x[index[i]]
template <typename T>
void gather_rows(Matrix<T> y, Input<T> x, Index index) {
  fill(y, T{0});
  add_rows(y, x, index);
}

/// dx = 0 unless accumulating; dx[index[i]] += dy[i].
template <typename T>
void gather_rows_backward(Matrix<T> dx, bool accumulate, Input<T> dy, Index index) {
  if (!accumulate) fill(dx, T{0});
  add_to_rows(dx, dy, index);
}

/// y[index[i]] = x[i]; all other rows are `filler` [1, H].
template <typename T>
void scatter_rows(Matrix<T> y, Input<T> x, Index index, Input<T> filler) {
  std::int64_t next = 0;
  for (std::int64_t row = 0; row < y.rows; ++row) {
    const bool given = next < x.rows && index.data[next] == row;
    const T* source = given ? x[next++] : filler.data;
    std::copy(source, source + y.cols, y[row]);
  }
  BARCODEMAE_CHECK(next == x.rows, "scatter_rows: the index is not ascending, or out of range");
}

/// dx = dy[index] (+ dx); dfiller += the sum of the other rows.
template <typename T>
void scatter_rows_backward(Matrix<T> dx, bool accumulate, Matrix<T> dfiller, Input<T> dy,
                           Index index) {
  std::int64_t next = 0;
  std::vector<double> sums(static_cast<std::size_t>(dy.cols), 0.0);
  for (std::int64_t row = 0; row < dy.rows; ++row) {
    if (next < index.rows && index.data[next] == row) {
      if (dx.data != nullptr) {
        for (std::int64_t i = 0; i < dy.cols; ++i) {
          dx[next][i] = dy[row][i] + (accumulate ? dx[next][i] : T{0});
        }
      }
      ++next;
    } else {
      for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += dy[row][i];
    }
  }
  if (dfiller.data == nullptr) return;
  for (std::size_t i = 0; i < sums.size(); ++i) {
    dfiller.data[i] = static_cast<T>(dfiller.data[i] + sums[i]);
  }
}

/// y[n] = mean of the rows of sequence n; 0 when it is empty.
template <typename T>
void mean_pool(Matrix<T> y, Input<T> x, const Segments& segments) {
  fill(y, T{0});
  for (std::int64_t n = 0; n < y.rows; ++n) {
    const std::int64_t first = segments.begins[static_cast<std::size_t>(n)];
    const std::int64_t count = segments.begins[static_cast<std::size_t>(n) + 1] - first;
    if (count == 0) continue;
    for (std::int64_t i = 0; i < x.cols; ++i) {
      double sum = 0;
      for (std::int64_t row = first; row < first + count; ++row) sum += x[row][i];
      y[n][i] = static_cast<T>(sum / static_cast<double>(count));
    }
  }
}

template <typename T>
void mean_pool_backward(Matrix<T> dx, bool accumulate, Input<T> dy, const Segments& segments) {
  for (std::int64_t n = 0; n < dy.rows; ++n) {
    const std::int64_t first = segments.begins[static_cast<std::size_t>(n)];
    const std::int64_t end = segments.begins[static_cast<std::size_t>(n) + 1];
    for (std::int64_t row = first; row < end; ++row) {
      for (std::int64_t i = 0; i < dx.cols; ++i) {
        const double gradient = dy[n][i] / static_cast<double>(end - first);
        dx[row][i] = static_cast<T>(gradient + (accumulate ? dx[row][i] : T{0}));
      }
    }
  }
}

}  // namespace barcodemae::reference
