// SPDX-License-Identifier: MIT
#include "analysis/centred_sites.h"

#include <algorithm>

#include "base/error.h"
#include "data/marker_sites.h"

namespace barcodemae {

RowSource centred_site_rows(const Dataset& data, std::span<const std::int64_t> records,
                            const MarkerProfile& profile) {
  BARCODEMAE_CHECK(data.anchored(), "centred sites need anchored records");
  constexpr std::size_t kBases = 4;
  const auto cols = static_cast<std::int64_t>(kBases) * profile.length();
  return {static_cast<std::int64_t>(records.size()), cols,
          [&data, &profile, records, cols](std::int64_t first, std::span<float> rows) {
            std::fill(rows.begin(), rows.end(), 0.0f);
            const auto width = static_cast<std::size_t>(cols);
            for (std::size_t begin = 0; begin < rows.size(); begin += width) {
              const std::span<float> row = rows.subspan(begin, width);
              const std::int64_t record = records[static_cast<std::size_t>(first++)];
              visit_sites(data, record, profile.length(), [&](std::int64_t site, std::size_t base) {
                const auto place = static_cast<std::size_t>(site);
                write_centred(row.subspan(kBases * place).first<kBases>(), base,
                              profile.frequencies()[place]);
              });
            }
          }};
}

}  // namespace barcodemae
