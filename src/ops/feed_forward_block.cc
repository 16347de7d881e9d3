// SPDX-License-Identifier: MIT
#include "ops/op.h"
#include "ops/ops.h"

namespace barcodemae::ops {

Tensor feed_forward_block(Context& context, const FeedForwardBlock& block, Tensor x,
                          const Segments& segments, const Dropout& dropout) {
  const std::int64_t width = x.cols(), inner = block.in_weight.value.rows;
  check_rows(segments, x.rows());
  check_shape(block.in_weight, inner, width);
  check_shape(block.in_bias, 1, inner);
  check_shape(block.out_weight, width, inner);
  check_shape(block.out_bias, 1, width);
  check_shape(block.norm_weight, 1, width);
  check_shape(block.norm_bias, 1, width);

  const Tensor y = make_output(context, x.rows(), width, x.view.dtype);
  const KernelMemory memory = context.backend.feed_forward_block_memory(
      block, segments, x.view.dtype, context.tape != nullptr);
  const Bytes saved = context.arena.allocate(memory.saved);
  {
    const Scratch scratch(context.arena, memory.forward_scratch);
    if (launches(context, x.rows())) {
      context.backend.feed_forward_block_forward(y.view, x.view, block, segments, dropout, saved,
                                                 scratch.bytes());
    }
  }
  if (context.tape != nullptr) {
    const std::vector<Parameter> parameters = {block.in_weight, block.in_bias,     block.out_weight,
                                               block.out_bias,  block.norm_weight, block.norm_bias};
    context.tape->record(y.node, parameters, [=](View dy) {
      const GradientTarget dx = context.tape->contribute(x.node);
      const Scratch scratch(context.arena, memory.backward_scratch);
      if (!launches(context, x.rows())) return;
      context.backend.feed_forward_block_backward(dx.view, dx.accumulate, dy, y.view, x.view, block,
                                                  segments, dropout, saved, scratch.bytes());
    });
  }
  return y;
}

}  // namespace barcodemae::ops
