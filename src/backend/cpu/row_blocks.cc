// SPDX-License-Identifier: MIT
#include "backend/cpu/row_blocks.h"

#include <algorithm>

#include "backend/cpu/gemm.h"

namespace barcodemae::cpu {

std::int64_t round_up_rows(std::int64_t rows, std::int64_t granularity) {
  return (rows + granularity - 1) / granularity * granularity;
}

RowBlocks make_row_blocks(const Segments& segments) {
  RowBlocks result;
  RowBlock block;
  const auto close = [&] {
    if (block.rows > 0) {
      block.padded_rows = round_up_rows(block.rows, row_granularity());
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

std::int64_t padded_rows_bound(std::int64_t rows) {
  return rows + block_count_bound(rows) * (row_granularity() - 1);
}

std::int64_t largest_block_bound(std::int64_t rows, std::int64_t longest) {
  return round_up_rows(std::min(rows, std::max(kBlockRows, longest)), row_granularity());
}

}  // namespace barcodemae::cpu
