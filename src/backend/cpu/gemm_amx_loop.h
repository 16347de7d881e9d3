// SPDX-License-Identifier: MIT
// The order in which a product on AMX tiles goes through its blocks, for any type of numbers: a
// block of either side is 32 rows of 64 bytes, a block of sums 32 x 32 numbers of four bytes. In an
// unnamed namespace, see kernels/lanes.h.
#pragma once

#include "backend/cpu/gemm_amx.h"
#include "backend/cpu/kernels/tiles.h"

namespace barcodemae::cpu::amx {
namespace {

constexpr std::int64_t kBlockBytes = kBlock * 64;
// Blocks along the inner dimension whose left and right sides stay in L1 …
constexpr std::int64_t kInnerStep = 8;
// … and whose left side, kCallRows of it, leaves L2 room for the right side passing through.
constexpr std::int64_t kInnerPass = 32;

/// Masks of the first `count` lanes, which may lie beyond either end.
__mmask16 first_lanes(std::int64_t count) {
  return static_cast<__mmask16>(count >= 16 ? 0xFFFF : count <= 0 ? 0 : (1u << count) - 1);
}
__mmask32 first_lanes32(std::int64_t count) {
  return count >= 32 ? 0xFFFFFFFFu : count <= 0 ? 0u : (std::uint32_t{1} << count) - 1;
}

/// Sides in blocks, in order of (rows or cols, inner). `inner`: blocks along the inner dimension.
struct BlockLoop {
  const void *left, *right;
  std::int64_t rows, cols, inner;
};

/// Numbers of four bytes that a loop needs for sums.
constexpr std::int64_t loop_scratch(std::int64_t cols, std::int64_t inner) {
  return kCallRows * kBlock * (inner > kInnerPass ? blocks(cols) : 1);
}

/// sums [32, 32] = or += the product of `steps` blocks. Meanwhile `lines` cache lines a step of
/// what comes next are fetched into L2. Dots::accumulate() adds the four products of tiles 4 and 5
/// with tiles 6 and 7 to tiles 0 to 3.
template <typename Dots>
void multiply_block(void* sums, bool accumulate, const std::byte* left, const std::byte* right,
                    std::int64_t steps, const std::byte* next, std::int64_t lines) {
  constexpr int kStride = kBlock * 4;
  constexpr std::int64_t kTileBytes = kBlockBytes / 2;
  auto* const c = static_cast<std::byte*>(sums);
  if (accumulate) {
    _tile_loadd(0, c, kStride);
    _tile_loadd(1, c + 64, kStride);
    _tile_loadd(2, c + 16 * kStride, kStride);
    _tile_loadd(3, c + 16 * kStride + 64, kStride);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (std::int64_t step = 0; step < steps; ++step) {
    _tile_loadd(4, left + step * kBlockBytes, 64);
    _tile_loadd(6, right + step * kBlockBytes, 64);
    _tile_loadd(5, left + step * kBlockBytes + kTileBytes, 64);
    _tile_loadd(7, right + step * kBlockBytes + kTileBytes, 64);
    for (std::int64_t line = 0; line < lines; ++line, next += 64) _mm_prefetch(next, _MM_HINT_T1);
    Dots::accumulate();
  }
  _tile_stored(0, c, kStride);
  _tile_stored(1, c + 64, kStride);
  _tile_stored(2, c + 16 * kStride, kStride);
  _tile_stored(3, c + 16 * kStride + 64, kStride);
}

/// Calls finish(sums, row, col) for each finished block, while it is in L1.
template <typename Dots, typename Sum, typename Finish>
void multiply_blocks(const BlockLoop& loop, Sum* scratch, const Finish& finish) {
  static_assert(sizeof(Sum) == 4);
  const TileConfiguration configuration;
  _tile_loadconfig(&configuration);
  const auto* const left = static_cast<const std::byte*>(loop.left);
  const auto* const all_right = static_cast<const std::byte*>(loop.right);
  const std::int64_t row_blocks = blocks(loop.rows);
  const std::int64_t side = loop.inner * kBlockBytes;  // of one row of blocks
  const bool one_pass = loop.inner <= kInnerPass;
  for (std::int64_t pass = 0; pass < loop.inner; pass += kInnerPass) {
    const std::int64_t pass_end = loop.inner < pass + kInnerPass ? loop.inner : pass + kInnerPass;
    for (std::int64_t col = 0; col < loop.cols; col += kBlock) {
      const std::byte* right = all_right + col / kBlock * side;
      Sum* sums_of_col = scratch + (one_pass ? 0 : col * kCallRows);
      for (std::int64_t k = pass; k < pass_end; k += kInnerStep) {
        const std::int64_t steps = pass_end - k < kInnerStep ? pass_end - k : kInnerStep;
        // The next columns' right side: 32 lines a block, spread over the rows' steps.
        const bool more = col + kBlock < loop.cols;
        const std::int64_t lines = more ? kBlock / row_blocks : 0;
        const std::byte* next = right + side + k * kBlockBytes;
        for (std::int64_t row = 0; row < row_blocks; ++row) {
          Sum* sums = sums_of_col + row * kBlock * kBlock;
          multiply_block<Dots>(sums, k > 0, left + row * side + k * kBlockBytes,
                               right + k * kBlockBytes, steps, next + row * steps * lines * 64,
                               lines);
          if (k + steps == loop.inner) finish(sums, row * kBlock, col);
        }
      }
    }
  }
  _tile_release();
}

}  // namespace
}  // namespace barcodemae::cpu::amx
