// SPDX-License-Identifier: MIT
#include "analysis/kmer_counts.h"

#include <algorithm>

#include "base/error.h"

namespace barcodemae {

void count_kmers(std::string_view sequence, int k, std::span<float> counts) {
  BARCODEMAE_CHECK(counts.size() == std::size_t{1} << (2 * k), "{} counts for k = {}",
                   counts.size(), k);
  std::fill(counts.begin(), counts.end(), 0.0f);
  const std::size_t mask = counts.size() - 1;
  std::size_t code = 0;
  int run = 0;  // bases since the last letter that is none
  for (const char base : sequence) {
    const std::size_t digit = base == 'A'   ? 0
                              : base == 'C' ? 1
                              : base == 'G' ? 2
                              : base == 'T' ? 3
                                            : 4;
    if (digit == 4) {
      run = 0;
      continue;
    }
    code = (code << 2 | digit) & mask;
    if (++run >= k) counts[code] += 1;
  }
}

RowSource kmer_count_rows(const Dataset& data, std::span<const std::int64_t> records, int k) {
  const std::int64_t cols = std::int64_t{1} << (2 * k);
  return {static_cast<std::int64_t>(records.size()), cols,
          [&data, records, k, cols](std::int64_t first, std::span<float> rows) {
            for (std::size_t begin = 0; begin < rows.size();
                 begin += static_cast<std::size_t>(cols)) {
              count_kmers(data.sequence(records[static_cast<std::size_t>(first++)]), k,
                          rows.subspan(begin, static_cast<std::size_t>(cols)));
            }
          }};
}

}  // namespace barcodemae
