// SPDX-License-Identifier: MIT
#include "data/batch.h"

namespace barcodemae {

void PackedBatch::append(const TokenSequence& sequence, std::int32_t record) {
  ids.insert(ids.end(), sequence.ids.begin(), sequence.ids.end());
  positions.insert(positions.end(), sequence.positions.begin(), sequence.positions.end());
  begins.push_back(static_cast<std::int32_t>(ids.size()));
  records.push_back(record);
}

}  // namespace barcodemae
