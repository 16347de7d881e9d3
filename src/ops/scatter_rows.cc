// SPDX-License-Identifier: MIT
#include "ops/op.h"
#include "ops/ops.h"

namespace barcodemae::ops {

Tensor scatter_rows(Context& context, Tensor x, View index, std::int64_t rows,
                    const Parameter& fill) {
  check_index(index, rows);
  check_shape(fill, 1, x.cols());
  BARCODEMAE_CHECK(index.rows == x.rows(), "{} places for {} rows", index.rows, x.rows());
  const Tensor y = make_output(context, rows, x.cols(), x.view.dtype);
  if (launches(context, rows)) context.backend.scatter_rows_forward(y.view, x.view, index, fill);
  if (context.tape != nullptr) {
    context.tape->record(y.node, {fill}, [=](View dy) {
      const GradientTarget dx = context.tape->contribute(x.node);
      if (!launches(context, rows)) return;
      context.backend.scatter_rows_backward(dx.view, dx.accumulate, dy, index, fill);
    });
  }
  return y;
}

}  // namespace barcodemae::ops
