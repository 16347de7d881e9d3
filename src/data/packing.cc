// SPDX-License-Identifier: MIT
#include "data/packing.h"

#include "base/random.h"

namespace barcodemae {

int FrameOffsets::draw(std::int64_t record, int k) const {
  if (!random) return 0;
  RandomSequence numbers(seed, Stream::kFrameOffset, step, static_cast<std::uint32_t>(record));
  return static_cast<int>(numbers.below(static_cast<std::uint32_t>(k)));
}

PackedBatch pack(const Dataset& data, const SequenceCoder& coder,
                 std::span<const std::int64_t> records, const FrameOffsets& offsets) {
  PackedBatch batch;
  const int k = coder.tokenizer.vocabulary().k;
  for (const std::int64_t record : records) {
    batch.append(data.tokens(record, coder, offsets.draw(record, k)),
                 static_cast<std::int32_t>(record));
  }
  return batch;
}

}  // namespace barcodemae
