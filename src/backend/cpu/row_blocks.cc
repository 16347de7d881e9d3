// SPDX-License-Identifier: MIT
#include "backend/cpu/row_blocks.h"

#include <algorithm>

#include "backend/cpu/gemm.h"

namespace barcodemae::cpu {

namespace {

std::int64_t padded(std::int64_t rows, DType type) {
  const std::int64_t granularity = row_granularity(type);
  return (rows + granularity - 1) / granularity * granularity;
}

}  // namespace

RowBlocks make_row_blocks(const Segments& segments, DType type) {
  RowBlocks result;
  RowBlock block;
  const auto close = [&] {
    if (block.rows > 0) {
      block.padded_rows = padded(block.rows, type);
      block.padded_row = result.padded_rows;
      result.padded_rows += block.padded_rows;
      result.largest_block = std::max(result.largest_block, block.padded_rows);
      result.blocks.push_back(block);
    }
    block = {};
  };
  for (std::int64_t sequence = 0; sequence < segments.sequences(); ++sequence) {
    const std::int64_t begin = segments.begins[static_cast<std::size_t>(sequence)];
    const std::int64_t rows = segments.begins[static_cast<std::size_t>(sequence) + 1] - begin;
    if (rows == 0) continue;
    if (block.rows > 0 && block.rows + rows > kBlockRows) close();
    if (block.rows == 0) {
      block.first_sequence = sequence;
      block.row = begin;
    }
    block.sequences = sequence + 1 - block.first_sequence;
    block.rows += rows;
  }
  close();
  return result;
}

// Two neighbouring blocks hold more than kBlockRows rows, or they would be one.
std::int64_t block_count_bound(std::int64_t rows) { return 2 * (rows / kBlockRows) + 1; }

std::int64_t padded_rows_bound(std::int64_t rows, DType type) {
  return rows + block_count_bound(rows) * (row_granularity(type) - 1);
}

std::int64_t largest_block_bound(std::int64_t rows, std::int64_t longest, DType type) {
  return padded(std::min(rows, std::max(kBlockRows, longest)), type);
}

}  // namespace barcodemae::cpu
