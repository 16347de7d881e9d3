// SPDX-License-Identifier: MIT
// Products of float32 matrices that lie in panels, in the order in which they are read (Goto and
// van de Geijn, "Anatomy of high-performance matrix multiplication", 2008): a panel of the right
// side stays in L1 while all panels of the left side, which stay in L2, pass by it.
//
// A panel holds kPanelRows rows of the left side or kPanelCols columns of the right side along one
// step of the inner dimension, in chunks of kPanelChunk inner elements. Each number of a product is
// its own sum, in an order that the inner dimension alone decides, whatever stands beside it.
#pragma once

#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/lanes.h"

namespace barcodemae::cpu {
namespace {

// A tile of sums, and what it is made from, fills the registers.
constexpr int kPanelRows = kLanes == 16 ? 12 : 6;
constexpr int kPanelVectors = 2;
constexpr std::int64_t kPanelCols = kPanelVectors * kLanes;
constexpr std::int64_t kLeftChunk = kPanelRows * kPanelChunk;   ///< numbers of a panel's chunk
constexpr std::int64_t kRightChunk = kPanelCols * kPanelChunk;  ///< the same, right side

/// What a tile of sums becomes.
struct TileEnd {
  float* c;
  std::int64_t c_stride;
  std::int64_t cols;  ///< up to kPanelCols
  bool accumulate;
  const float* bias;  ///< [cols], or null
};

/// The first kRows rows of a left panel times a right panel. Element (row, k) of a chunk of the
/// left one is at row · kRowStep + k · kInnerStep.
template <int kRows, int kRowStep, int kInnerStep>
void multiply_panel(const TileEnd& end, const float* left, const float* right,
                    std::int64_t chunks) {
  for (int i = 0; i < kRows; ++i) {
    for (std::int64_t col = 0; col < kPanelCols && col < end.cols; col += 16) {
      __builtin_prefetch(end.c + i * end.c_stride + col, 1);
    }
  }
  Floats sums[kRows][kPanelVectors] = {};
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
#pragma GCC unroll 8
    for (int k = 0; k < kPanelChunk; ++k) {
      Floats b[kPanelVectors];
      for (int v = 0; v < kPanelVectors; ++v) {
        b[v] = load(right + k * kPanelCols + v * kLanes, AllLanes{});
      }
      for (int i = 0; i < kRows; ++i) {
        const Floats a = broadcast(left[i * kRowStep + k * kInnerStep]);
        for (int v = 0; v < kPanelVectors; ++v) sums[i][v] = fma(a, b[v], sums[i][v]);
      }
    }
    left += kLeftChunk;
    right += kRightChunk;
  }
  for (int v = 0; v < kPanelVectors; ++v) {
    const std::int64_t col = v * kLanes, cols = end.cols - col;
    if (cols <= 0) break;
    const auto finish = [&](auto lanes) {
      const Floats bias = end.bias != nullptr ? load(end.bias + col, lanes) : Floats{};
      for (int i = 0; i < kRows; ++i) {
        float* c = end.c + i * end.c_stride + col;
        store(c, sums[i][v] + (end.accumulate ? load(c, lanes) : bias), lanes);
      }
    };
    if (cols >= kLanes) {
      finish(AllLanes{});
    } else {
      finish(SomeLanes{cols});
    }
  }
}

/// A tile of `rows` rows, 1 … kPanelRows.
template <int kRows, int kRowStep, int kInnerStep>
void multiply_some_rows(std::int64_t rows, const TileEnd& end, const float* left,
                        const float* right, std::int64_t chunks) {
  if (rows == kRows) {
    multiply_panel<kRows, kRowStep, kInnerStep>(end, left, right, chunks);
  } else if constexpr (kRows > 1) {
    multiply_some_rows<kRows - 1, kRowStep, kInnerStep>(rows, end, left, right, chunks);
  }
}

template <int kRowStep, int kInnerStep>
void multiply_panels_of(const PanelProduct& p) {
  const std::int64_t chunks = panel_chunks(p.inner);
  const std::int64_t tiles = (p.rows + kPanelRows - 1) / kPanelRows;
  // The next right panel, in cache lines, is fetched into L2 during this one's tiles.
  const std::int64_t lines = (chunks * kRightChunk / 16 + tiles - 1) / tiles;
  const float* right = p.right;
  for (std::int64_t col = 0; col < p.cols; col += kPanelCols, right += chunks * kRightChunk) {
    const float* left = p.left;
    const float* next = right + chunks * kRightChunk;
    const bool more = col + kPanelCols < p.cols;
    TileEnd end{p.c + col, p.c_stride, p.cols - col, p.accumulate,
                p.bias != nullptr ? p.bias + col : nullptr};
    for (std::int64_t row = 0; row < p.rows; row += kPanelRows, left += chunks * kLeftChunk) {
      if (more) {
        for (std::int64_t line = 0; line < lines; ++line, next += 16) {
          __builtin_prefetch(next, 0, 2);
        }
      }
      multiply_some_rows<kPanelRows, kRowStep, kInnerStep>(
          p.rows - row < kPanelRows ? p.rows - row : kPanelRows, end, left, right, chunks);
      end.c += kPanelRows * p.c_stride;
    }
  }
}

void multiply_panels(const PanelProduct& product) {
  if (product.left_transposed) {
    multiply_panels_of<1, kPanelRows>(product);
  } else {
    multiply_panels_of<kPanelChunk, 1>(product);
  }
}

/// Rows side by side: chunk by chunk, row by row.
void pack_left_panels(float* panels, const float* a, std::int64_t a_stride, std::int64_t rows,
                      std::int64_t inner) {
  for (std::int64_t row = 0; row < rows; row += kPanelRows) {
    for (std::int64_t k = 0; k < inner; k += kPanelChunk, panels += kLeftChunk) {
      for (std::int64_t i = 0; i < kPanelRows && row + i < rows; ++i) {
        const float* from = a + (row + i) * a_stride + k;
        float* to = panels + i * kPanelChunk;
        for (int j = 0; j < kPanelChunk; ++j) to[j] = 0;
        const std::int64_t count = inner - k < kPanelChunk ? inner - k : kPanelChunk;
        if (count == kPanelChunk) {
          __builtin_memcpy(to, from, kPanelChunk * sizeof(float));
        } else {
          for (std::int64_t j = 0; j < count; ++j) to[j] = from[j];
        }
      }
    }
  }
}

/// Columns of a matrix [inner, outer] in panels of kWidth, each inner element after the other.
template <std::int64_t kWidth>
void pack_panels_along_rows(float* panels, const float* a, std::int64_t a_stride,
                            std::int64_t outer, std::int64_t inner) {
  const std::int64_t panel = panel_chunks(inner) * kPanelChunk * kWidth;
  // A chunk of rows at a time: whole lines are read and written, once.
  for (std::int64_t k = 0; k < inner; k += kPanelChunk) {
    const std::int64_t rows = inner - k < kPanelChunk ? inner - k : kPanelChunk;
    float* to = panels + k * kWidth;
    for (std::int64_t col = 0; col < outer; col += kWidth, to += panel) {
      const float* from = a + k * a_stride + col;
      if (rows == kPanelChunk && col + kWidth <= outer) {
        for (std::int64_t r = 0; r < kPanelChunk; ++r) {
          for (std::int64_t j = 0; j < kWidth; ++j) to[r * kWidth + j] = from[r * a_stride + j];
        }
        continue;
      }
      for (std::int64_t r = 0; r < kPanelChunk; ++r) {
        for (std::int64_t j = 0; j < kWidth; ++j) {
          to[r * kWidth + j] = r < rows && col + j < outer ? from[r * a_stride + j] : 0;
        }
      }
    }
  }
}

/// Of dyᵀ, from rows of dy.
void pack_left_panels_transposed(float* panels, const float* a, std::int64_t a_stride,
                                 std::int64_t rows, std::int64_t inner) {
  pack_panels_along_rows<kPanelRows>(panels, a, a_stride, rows, inner);
}

void pack_right_panels(float* panels, const float* b, std::int64_t b_stride, std::int64_t inner,
                       std::int64_t cols) {
  pack_panels_along_rows<kPanelCols>(panels, b, b_stride, cols, inner);
}

/// From the transpose [cols, inner].
void pack_right_panels_transposed(float* panels, const float* b, std::int64_t b_stride,
                                  std::int64_t inner, std::int64_t cols) {
  const std::int64_t padded = panel_chunks(inner) * kPanelChunk;
  for (std::int64_t col = 0; col < cols; col += kPanelCols, panels += padded * kPanelCols) {
    for (std::int64_t k = 0; k < padded; ++k) {
      float* to = panels + k * kPanelCols;
      for (std::int64_t j = 0; j < kPanelCols; ++j) {
        to[j] = k < inner && col + j < cols ? b[(col + j) * b_stride + k] : 0;
      }
    }
  }
}

}  // namespace
}  // namespace barcodemae::cpu
