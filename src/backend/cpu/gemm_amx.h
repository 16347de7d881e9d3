// SPDX-License-Identifier: MIT
// Products of bfloat16 matrices on AMX tiles, summed in float32. Only for machines with AMX; this
// is the one interface of a file compiled for it.
//
// Both sides are cut into blocks of 32 x 32 (zero where a matrix ends before its block does), each
// block two tiles of 16 rows of 64 bytes. Left, of a [rows, inner]: tile row = matrix row, 32 inner
// elements. Right, of b [inner, cols]: tile row = two inner elements of 16 columns, interleaved, as
// TDPBF16PS wants them. Blocks lie in order of (rows or cols, inner): a step along the inner
// dimension is a step in memory.
#pragma once

#include <cstddef>
#include <cstdint>

namespace barcodemae::cpu::amx {

constexpr std::int64_t kBlock = 32;                       ///< rows, cols and inner of a block
constexpr std::int64_t kBlockElements = kBlock * kBlock;  ///< bfloat16 numbers
constexpr std::int64_t kCallRows = 256;                   ///< rows of one product, at most

constexpr std::int64_t blocks(std::int64_t count) { return (count + kBlock - 1) / kBlock; }
constexpr std::int64_t packed_elements(std::int64_t count, std::int64_t inner) {
  return blocks(count) * blocks(inner) * kBlockElements;
}

/// The left side from a compact [rows, inner].
void pack_left(std::uint16_t* left, const std::uint16_t* a, std::int64_t rows, std::int64_t inner);

/// Of a left side whose inner dimension are the rows of `a`: the blocks at `first_inner` (a
/// multiple of 32) from rows [rows, cols] of a, zeros behind them up to `padded_rows`. Outer: cols
/// of a.
void pack_left_transposed(std::uint16_t* left, std::int64_t inner_blocks, std::int64_t first_inner,
                          const std::uint16_t* a, std::int64_t rows, std::int64_t padded_rows,
                          std::int64_t cols);

/// The same for a right side.
void pack_right(std::uint16_t* right, std::int64_t inner_blocks, std::int64_t first_inner,
                const std::uint16_t* b, std::int64_t rows, std::int64_t padded_rows,
                std::int64_t cols);

/// Both go past the caches: to be called once they are done, before another thread reads.
void finish_stores();

/// A float32 matrix b [inner, cols], compact, or its transpose [cols, inner].
struct RightSource {
  const float* b = nullptr;
  std::int64_t inner = 0, cols = 0;
  bool transposed = false;
};
struct Range {
  std::int64_t begin = 0, end = 0;
};

/// The right side from float32; of it, the blocks that begin in these ranges (which begin at
/// multiples of 32). Goes past the caches, finished on return.
void pack_right(std::uint16_t* right, const RightSource& source, Range inner, Range cols);

/// Where a gradient operand (pack_left_transposed, pack_right) takes a block of rows.
struct OperandPlace {
  std::uint16_t* memory = nullptr;
  std::int64_t inner_blocks = 0, first_inner = 0;
};

/// left · right, [rows, cols], and what becomes of it.
struct Product {
  const std::uint16_t *left = nullptr, *right = nullptr;
  std::int64_t rows = 0, cols = 0, inner = 0;
  const float* bias = nullptr;  ///< [cols], added first; or null
  float* scratch = nullptr;     ///< scratch_floats()

  enum class Finish {
    kStore,         ///< c = it
    kAdd,           ///< c += it; float32
    kGelu,          ///< pre = it, hidden = gelu(it)
    kGeluGradient,  ///< dpre = it ∘ gelu'(pre); also as operand, with gelu(pre), and summed
  } finish = Finish::kStore;

  void* c = nullptr;
  std::int64_t c_stride = 0;  ///< elements
  bool float32 = false;       ///< c's type; else bfloat16

  /// Blocks in order of (cols, rows), each of 32 rows of 32 numbers; out of kGelu (or null), in of
  /// kGeluGradient. packed_elements(rows, cols).
  std::uint16_t* pre = nullptr;
  std::uint16_t* hidden = nullptr;            ///< kGelu: out, the left side of the next product
  std::uint16_t* dpre = nullptr;              ///< kGeluGradient: the same
  OperandPlace dpre_operand, hidden_operand;  ///< left and right
  float* dbias = nullptr;                     ///< [cols]: += column sums of dpre
};
std::int64_t scratch_floats(std::int64_t cols, std::int64_t inner);
void multiply(const Product& product);

}  // namespace barcodemae::cpu::amx
