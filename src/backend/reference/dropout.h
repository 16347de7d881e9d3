// SPDX-License-Identifier: MIT
// Inverted dropout as tensor/backend.h defines it. Its gradient is the same operation.
#pragma once

#include <array>
#include <vector>

#include "backend/reference/matrix.h"
#include "base/random.h"
#include "tensor/backend.h"

namespace barcodemae::reference {

/// What names a row of a packed batch for randomness.
struct RowName {
  std::uint32_t record = 0;    ///< the record's index in its data set
  std::uint32_t position = 0;  ///< of the token in its sequence
};

inline std::vector<RowName> row_names(const Segments& segments) {
  const auto records = typed<const std::int32_t>(segments.records);
  const auto positions = typed<const std::int32_t>(segments.positions);
  std::vector<RowName> names;
  for (std::int64_t sequence = 0; sequence < segments.sequences(); ++sequence) {
    const auto s = static_cast<std::size_t>(sequence);
    for (std::int32_t row = segments.begins[s]; row < segments.begins[s + 1]; ++row) {
      names.push_back({static_cast<std::uint32_t>(records.data[sequence]),
                       static_cast<std::uint32_t>(positions.data[row])});
    }
  }
  return names;
}

/// Drops or scales values[i], whose channel is first_channel + i; first_channel % 8 = 0.
template <typename T>
void dropout_row(T* values, std::int64_t count, const Dropout& dropout, RowName name,
                 std::int64_t first_channel = 0) {
  const std::uint32_t threshold = dropout.threshold();
  if (threshold == 0) return;
  std::array<std::uint32_t, 4> words{};
  for (std::int64_t i = 0; i < count; ++i) {
    const auto lane = static_cast<std::uint32_t>(i % 8);
    if (lane == 0) {
      const auto block = static_cast<std::uint32_t>((first_channel + i) / 8);
      words = philox4x32({static_cast<std::uint32_t>(Stream::kDropout) + dropout.site, dropout.step,
                          name.record, name.position << 16 | block},
                         dropout.seed);
    }
    const std::uint32_t random = words[lane / 2] >> (lane % 2 * 16) & 0xFFFF;
    values[i] = random < threshold ? T{0} : static_cast<T>(values[i] * T{dropout.scale()});
  }
}

/// The same on every row; row r is called names[r].
template <typename T>
void dropout_rows(Matrix<T> x, const Dropout& dropout, const std::vector<RowName>& names) {
  for (std::int64_t row = 0; row < x.rows; ++row) {
    dropout_row(x[row], x.cols, dropout, names[static_cast<std::size_t>(row)]);
  }
}

}  // namespace barcodemae::reference
