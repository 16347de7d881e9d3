// SPDX-License-Identifier: MIT
#include "analysis/readout_forward.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "analysis/in_blocks.h"
#include "analysis/sgemm.h"
#include "base/error.h"

namespace barcodemae {

ReadoutActivations forward(const Readout& readout, const Matrix& centred) {
  BARCODEMAE_CHECK(centred.cols == readout.inputs(), "{} numbers for a readout of {}", centred.cols,
                   readout.inputs());
  constexpr std::int64_t kForwardRows = 64;
  ReadoutActivations result{zero_matrix(centred.rows, readout.hidden_units()),
                            zero_matrix(centred.rows, readout.dimensions())};
  in_blocks(centred.rows, kForwardRows, [&](std::int64_t first, std::int64_t count) {
    const auto product = [&](const Matrix& x, std::int64_t row, const Matrix& weights, float* y) {
      sgemm('N', 'T', count, weights.rows, weights.cols, x.row(row).data(), x.cols,
            weights.values.data(), weights.cols, y, weights.rows);
    };
    float* const mapped = result.mapped.row(first).data();
    product(centred, first, readout.matrix, mapped);
    if (readout.hidden_units() == 0) return;
    float* const hidden = result.hidden.row(first).data();
    product(centred, first, readout.hidden.in, hidden);
    std::for_each_n(hidden, count * result.hidden.cols,
                    [](float& value) { value = std::max(value, 0.0f); });
    Matrix added = zero_matrix(count, readout.dimensions());
    product(result.hidden, first, readout.hidden.out, added.values.data());
    for (std::size_t i = 0; i < added.values.size(); ++i) mapped[i] += added.values[i];
  });
  return result;
}

}  // namespace barcodemae
