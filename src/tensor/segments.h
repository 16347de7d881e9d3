// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <vector>

#include "tensor/view.h"

namespace barcodemae {

/// Where each sequence of a packed batch begins, and what its tokens are called for randomness and
/// position embeddings. Only attention and mean-pooling look at the boundaries.
struct Segments {
  /// On the host: first row of each sequence, then the number of rows; ascending, [sequences + 1].
  /// A sequence may be empty.
  std::vector<std::int32_t> begins;
  std::int64_t longest = 0;         ///< rows of the longest sequence
  std::int64_t position_limit = 0;  ///< 1 + the largest position; 0: not known

  View offsets;    ///< the same on the device, int32 [sequences + 1, 1]
  View records;    ///< int32 [sequences, 1]: the record's index in its data set (names its dropout)
  View positions;  ///< int32 [rows, 1]: the token's position in its own sequence

  std::int64_t sequences() const { return static_cast<std::int64_t>(begins.size()) - 1; }
  std::int64_t rows() const { return begins.back(); }
};

}  // namespace barcodemae
