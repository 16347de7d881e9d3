// SPDX-License-Identifier: MIT
// The pieces of a batch that one thread takes through a whole block op. They depend on the batch
// alone, never on the number of threads.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor/segments.h"

namespace barcodemae::cpu {

/// Rows that fit, with what is made of them, into a core's L2 cache.
constexpr std::int64_t kBlockRows = 256;

/// Whole sequences of about kBlockRows rows in all, more when a sequence is longer. In what a block
/// op keeps for itself a block has some dead rows at its end, up to a round number for the GEMMs.
struct RowBlock {
  std::int64_t first_sequence = 0, sequences = 0;
  std::int64_t row = 0, rows = 0;                ///< in the packed batch
  std::int64_t padded_row = 0, padded_rows = 0;  ///< in the padded layout
};

struct RowBlocks {
  std::vector<RowBlock> blocks;
  std::int64_t padded_rows = 0;    ///< of all blocks
  std::int64_t largest_block = 0;  ///< padded rows of the largest
  std::int64_t count() const { return static_cast<std::int64_t>(blocks.size()); }
};

RowBlocks make_row_blocks(const Segments& segments, DType type);

/// Upper bounds for any batch of so many rows whose longest sequence has `longest` rows, so that a
/// plan made for the largest batch holds for the others.
std::int64_t padded_rows_bound(std::int64_t rows, DType type);
std::int64_t largest_block_bound(std::int64_t rows, std::int64_t longest, DType type);
std::int64_t block_count_bound(std::int64_t rows);

}  // namespace barcodemae::cpu
