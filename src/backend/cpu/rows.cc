// SPDX-License-Identifier: MIT
// Ops that move or average whole rows.
#include <algorithm>
#include <cstring>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/memory.h"
#include "base/threads.h"

namespace barcodemae {
namespace {

using namespace cpu;

constexpr std::int64_t kPieceRows = 256;

// body(first row, rows) over pieces of a matrix.
template <typename Body>
void for_row_pieces(std::int64_t rows, const Body& body) {
  parallel_for((rows + kPieceRows - 1) / kPieceRows, [&](std::int64_t piece, int) {
    const std::int64_t row = piece * kPieceRows;
    body(row, std::min(kPieceRows, rows - row));
  });
}

const std::int32_t* numbers(View view) { return static_cast<const std::int32_t*>(view.data); }

void* row_of(View view, std::int64_t row) { return at(view.data, view.dtype, row * view.cols); }

std::size_t row_bytes(View view) {
  return static_cast<std::size_t>(view.cols) * size_of(view.dtype);
}

}  // namespace

void CpuBackend::gather_rows_forward(View y, View x, View index) {
  for_row_pieces(y.rows, [&](std::int64_t first, std::int64_t rows) {
    for (std::int64_t row = first; row < first + rows; ++row) {
      std::memcpy(row_of(y, row), row_of(x, numbers(index)[row]), row_bytes(x));
    }
  });
}

void CpuBackend::gather_rows_backward(View dx, bool accumulate, View dy, View index) {
  if (dx.data == nullptr) return;
  if (!accumulate) zero(dx);
  for_row_pieces(dy.rows, [&](std::int64_t first, std::int64_t rows) {
    for (std::int64_t row = first; row < first + rows; ++row) {
      void* target = row_of(dx, numbers(index)[row]);
      if (accumulate) {
        kernels_.add(target, target, row_of(dy, row), dy.dtype, dy.cols);
      } else {
        std::memcpy(target, row_of(dy, row), row_bytes(dy));
      }
    }
  });
}

void CpuBackend::scatter_rows_forward(View y, View x, View index, const Parameter& fill) {
  Buffer filling(row_bytes(y));
  kernels_.convert(filling.data(), y.dtype, values(fill), DType::kFloat32, y.cols);
  const std::int32_t* begin = numbers(index);
  const std::int32_t* end = begin + index.rows;
  for_row_pieces(y.rows, [&](std::int64_t first, std::int64_t rows) {
    const std::int32_t* next = std::lower_bound(begin, end, first);
    for (std::int64_t row = first; row < first + rows; ++row) {
      const bool given = next != end && *next == row;
      std::memcpy(row_of(y, row), given ? row_of(x, next - begin) : filling.data(), row_bytes(y));
      if (given) ++next;
    }
  });
}

void CpuBackend::scatter_rows_backward(View dx, bool accumulate, View dy, View index,
                                       const Parameter& fill) {
  if (dx.data != nullptr) {
    for_row_pieces(dx.rows, [&](std::int64_t first, std::int64_t rows) {
      for (std::int64_t row = first; row < first + rows; ++row) {
        const void* source = row_of(dy, numbers(index)[row]);
        void* target = row_of(dx, row);
        if (accumulate) {
          kernels_.add(target, target, source, dx.dtype, dx.cols);
        } else {
          std::memcpy(target, source, row_bytes(dx));
        }
      }
    });
  }
  if (fill.gradient.data == nullptr) return;
  const std::int64_t pieces = (dy.rows + kPieceRows - 1) / kPieceRows;
  Buffer partial_sums(static_cast<std::size_t>(pieces * dy.cols) * sizeof(float));
  auto* partial = static_cast<float*>(partial_sums.data());
  const std::int32_t* begin = numbers(index);
  const std::int32_t* end = begin + index.rows;
  for_row_pieces(dy.rows, [&](std::int64_t first, std::int64_t rows) {
    float* sums = partial + first / kPieceRows * dy.cols;
    const std::int32_t* next = std::lower_bound(begin, end, first);
    // Runs of rows between those that came from x.
    for (std::int64_t row = first; row < first + rows;) {
      const std::int64_t stop =
          next == end ? first + rows : std::min<std::int64_t>(*next, first + rows);
      if (stop > row) {
        kernels_.column_sums(sums, true, 1, row_of(dy, row), dy.dtype, stop - row, dy.cols,
                             dy.cols);
      }
      row = stop + 1;
      if (next != end) ++next;
    }
  });
  kernels_.column_sums(gradient(fill), true, 1, partial, DType::kFloat32, pieces, dy.cols, dy.cols);
}

void CpuBackend::mean_pool_forward(View y, View x, const Segments& segments) {
  parallel_for(segments.sequences(), [&](std::int64_t n, int) {
    const std::int64_t begin = segments.begins[static_cast<std::size_t>(n)];
    const std::int64_t rows = segments.begins[static_cast<std::size_t>(n) + 1] - begin;
    auto* mean = static_cast<float*>(row_of(y, n));
    if (rows == 0) {
      std::fill_n(mean, y.cols, 0.0f);
    } else {
      kernels_.column_sums(mean, false, 1.0f / static_cast<float>(rows), row_of(x, begin), x.dtype,
                           rows, x.cols, x.cols);
    }
  });
}

void CpuBackend::mean_pool_backward(View dx, bool accumulate, View dy, const Segments& segments) {
  if (dx.data == nullptr) return;
  parallel_for(segments.sequences(), [&](std::int64_t n, int) {
    const std::int64_t begin = segments.begins[static_cast<std::size_t>(n)];
    const std::int64_t rows = segments.begins[static_cast<std::size_t>(n) + 1] - begin;
    if (rows == 0) return;
    kernels_.broadcast_row(row_of(dx, begin), dx.dtype, accumulate, 1.0f / static_cast<float>(rows),
                           static_cast<const float*>(row_of(dy, n)), rows, dx.cols, dx.cols);
  });
}

void CpuBackend::convert_forward(View y, View x) {
  for_row_pieces(y.rows, [&](std::int64_t first, std::int64_t rows) {
    kernels_.convert(row_of(y, first), y.dtype, row_of(x, first), x.dtype, rows * y.cols);
  });
}

void CpuBackend::convert_backward(View dx, bool accumulate, View dy) {
  if (dx.data == nullptr) return;
  if (!accumulate) return convert_forward(dx, dy);
  Buffer converted(dx.bytes());
  kernels_.convert(converted.data(), dx.dtype, dy.data, dy.dtype, dx.size());
  kernels_.add(dx.data, dx.data, converted.data(), dx.dtype, dx.size());
}

void CpuBackend::add_forward(View y, View a, View b) {
  for_row_pieces(y.rows, [&](std::int64_t first, std::int64_t rows) {
    kernels_.add(row_of(y, first), row_of(a, first), row_of(b, first), y.dtype, rows * y.cols);
  });
}

}  // namespace barcodemae
