// SPDX-License-Identifier: MIT
#include "ops/op.h"
#include "ops/ops.h"

namespace barcodemae::ops {
namespace {

// Dropout names a key by its row inside the sequence in 11 bits (tensor/backend.h).
constexpr std::int64_t kLongestSequence = 2048;
constexpr std::int64_t kLargestHead = 256;

void check(const AttentionBlock& block, const Tensor& x, const Segments& segments) {
  const std::int64_t width = x.cols();
  check_rows(segments, x.rows());
  check_shape(block.qkv_weight, 3 * width, width);
  check_shape(block.qkv_bias, 1, 3 * width);
  check_shape(block.output_weight, width, width);
  check_shape(block.output_bias, 1, width);
  check_shape(block.norm_weight, 1, width);
  check_shape(block.norm_bias, 1, width);
  BARCODEMAE_CHECK(block.heads > 0 && width % block.heads == 0 && width / block.heads % 8 == 0 &&
                       width / block.heads <= kLargestHead,
                   "{} heads of width {} in all", block.heads, width);
  BARCODEMAE_CHECK(segments.longest <= kLongestSequence, "a sequence of {} tokens",
                   segments.longest);
}

}  // namespace

Tensor attention_block(Context& context, const AttentionBlock& block, Tensor x,
                       const Segments& segments, const Dropout& probabilities,
                       const Dropout& output) {
  check(block, x, segments);
  const Tensor y = make_output(context, x.rows(), x.cols(), x.view.dtype);
  const KernelMemory memory = context.backend.attention_block_memory(block, segments, x.view.dtype,
                                                                     context.tape != nullptr);
  const Bytes saved = context.arena.allocate(memory.saved);
  {
    const Scratch scratch(context.arena, memory.forward_scratch);
    if (launches(context, x.rows())) {
      context.backend.attention_block_forward(y.view, x.view, block, segments, probabilities,
                                              output, saved, scratch.bytes());
    }
  }
  if (context.tape != nullptr) {
    const std::vector<Parameter> parameters = {block.qkv_weight,    block.qkv_bias,
                                               block.output_weight, block.output_bias,
                                               block.norm_weight,   block.norm_bias};
    context.tape->record(y.node, parameters, [=](View dy) {
      const GradientTarget dx = context.tape->contribute(x.node);
      const Scratch scratch(context.arena, memory.backward_scratch);
      if (!launches(context, x.rows())) return;
      context.backend.attention_block_backward(dx.view, dx.accumulate, dy, y.view, x.view, block,
                                               segments, probabilities, output, saved,
                                               scratch.bytes());
    });
  }
  return y;
}

}  // namespace barcodemae::ops
