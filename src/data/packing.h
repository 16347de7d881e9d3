// SPDX-License-Identifier: MIT
// From records to the batch a model sees.
#pragma once

#include <cstdint>
#include <span>

#include "data/batch.h"
#include "data/dataset.h"
#include "data/sequence_coder.h"

namespace barcodemae {

/// Where the frame offset of a record comes from: 0 in validation and embedding, in training a
/// number in 0 … k − 1 drawn anew each step (or epoch). Without effect on anchored records.
struct FrameOffsets {
  bool random = false;
  std::uint64_t seed = 0;
  std::uint32_t step = 0;

  int draw(std::int64_t record, int k) const;
};

/// The batch of some records, in the order given.
PackedBatch pack(const Dataset& data, const SequenceCoder& coder,
                 std::span<const std::int64_t> records, const FrameOffsets& offsets = {});

}  // namespace barcodemae
