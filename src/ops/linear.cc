// SPDX-License-Identifier: MIT
#include "ops/op.h"
#include "ops/ops.h"

namespace barcodemae::ops {

Tensor linear(Context& context, const LinearLayer& layer, Tensor x) {
  const std::int64_t out = layer.weight.value.rows;
  check_shape(layer.weight, out, x.cols());
  check_shape(layer.bias, 1, out);
  const Tensor y = make_output(context, x.rows(), out, x.view.dtype);
  if (launches(context, x.rows())) context.backend.linear_forward(y.view, x.view, layer);
  if (context.tape != nullptr) {
    context.tape->record(y.node, {layer.weight, layer.bias}, [context, layer, x](View dy) {
      const GradientTarget dx = context.tape->contribute(x.node);
      if (!launches(context, x.rows())) return;
      context.backend.linear_backward(dx.view, dx.accumulate, dy, x.view, layer);
    });
  }
  return y;
}

}  // namespace barcodemae::ops
