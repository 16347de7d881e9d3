// SPDX-License-Identifier: MIT
#include "backend/cpu/row_blocks.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "backend/cpu/gemm.h"
#include "base/random.h"

namespace barcodemae::cpu {
namespace {

Segments segments_of(const std::vector<std::int32_t>& lengths) {
  Segments segments;
  segments.begins.push_back(0);
  for (const std::int32_t length : lengths) {
    segments.begins.push_back(segments.begins.back() + length);
    segments.longest = std::max<std::int64_t>(segments.longest, length);
  }
  return segments;
}

// Blocks hold whole sequences, cover every row once, and stay within the bounds that memory is
// planned by.
TEST(RowBlocks, CoverEverySequenceOnceWithinTheirBounds) {
  RandomSequence random(1, Stream::kSimulate);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::int32_t> lengths(random.below(20));
    for (std::int32_t& length : lengths) {
      length = static_cast<std::int32_t>(random.below(round % 2 == 0 ? 130 : 700));
    }
    const Segments segments = segments_of(lengths);
    for (const DType type : {DType::kFloat32, DType::kBFloat16}) {
      const RowBlocks blocks = make_row_blocks(segments, type);
      std::int64_t row = 0, padded_row = 0;
      for (const RowBlock& block : blocks.blocks) {
        EXPECT_EQ(block.row, row);
        EXPECT_EQ(block.padded_row, padded_row);
        EXPECT_EQ(segments.begins[static_cast<std::size_t>(block.first_sequence)], row);
        EXPECT_EQ(segments.begins[static_cast<std::size_t>(block.first_sequence + block.sequences)],
                  row + block.rows);
        EXPECT_TRUE(block.rows <= kBlockRows || block.rows <= segments.longest);
        EXPECT_EQ(block.padded_rows % row_granularity(type), 0);
        EXPECT_LE(block.padded_rows, largest_block_bound(segments.rows(), segments.longest, type));
        row += block.rows;
        padded_row += block.padded_rows;
      }
      EXPECT_EQ(row, segments.rows());
      EXPECT_EQ(padded_row, blocks.padded_rows);
      EXPECT_LE(blocks.padded_rows, padded_rows_bound(segments.rows(), type));
      EXPECT_LE(blocks.count(), block_count_bound(segments.rows()));
    }
  }
}

}  // namespace
}  // namespace barcodemae::cpu
