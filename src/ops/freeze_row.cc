// SPDX-License-Identifier: MIT
#include "ops/op.h"
#include "ops/ops.h"

namespace barcodemae::ops {

void freeze_row(Context& context, const Parameter& parameter, std::int64_t row) {
  if (context.tape == nullptr || parameter.gradient.data == nullptr) return;
  BARCODEMAE_CHECK(row >= 0 && row < parameter.gradient.rows, "row {} of {}", row,
                   parameter.gradient.rows);
  View gradient = parameter.gradient;
  gradient.data = static_cast<std::byte*>(gradient.data) +
                  static_cast<std::size_t>(row * gradient.cols) * size_of(gradient.dtype);
  gradient.rows = 1;
  // Recorded first, it runs last, after all that adds to the gradient.
  context.tape->record_loss({parameter}, [=] {
    if (!context.measuring()) context.backend.zero(gradient);
  });
}

}  // namespace barcodemae::ops
