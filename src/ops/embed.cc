// SPDX-License-Identifier: MIT
#include "ops/op.h"
#include "ops/ops.h"

namespace barcodemae::ops {
namespace {

// Exactly one of `ids` and `rows` has data.
Tensor embed_either(Context& context, const EmbeddingBlock& block, View ids, Tensor rows,
                    const Segments& segments, const Dropout& dropout) {
  const std::int64_t width = block.position.value.cols;
  check_rows(segments, ids.data != nullptr ? ids.rows : rows.rows());
  check_shape(block.token_type, block.token_type.value.rows, width);
  check_shape(block.norm_weight, 1, width);
  check_shape(block.norm_bias, 1, width);
  BARCODEMAE_CHECK(segments.position_limit <= block.position.value.rows,
                   "position {} in a table of {}", segments.position_limit - 1,
                   block.position.value.rows);

  const Tensor y = make_output(context, segments.rows(), width, context.activation);
  const KernelMemory memory =
      context.backend.embed_memory(block, segments.rows(), context.tape != nullptr);
  const Bytes saved = context.arena.allocate(memory.saved);
  {
    const Scratch scratch(context.arena, memory.forward_scratch);
    if (launches(context, y.rows())) {
      context.backend.embed_forward(y.view, ids, rows.view, block, segments, dropout, saved,
                                    scratch.bytes());
    }
  }
  if (context.tape != nullptr) {
    std::vector<Parameter> parameters = {block.position, block.token_type, block.norm_weight,
                                         block.norm_bias};
    if (ids.data != nullptr) parameters.push_back(block.word);
    context.tape->record(y.node, parameters, [=](View dy) {
      const GradientTarget dx = context.tape->contribute(rows.node);
      const Scratch scratch(context.arena, memory.backward_scratch);
      if (!launches(context, y.rows())) return;
      context.backend.embed_backward(dx.view, dx.accumulate, dy, y.view, ids, rows.view, block,
                                     segments, dropout, saved, scratch.bytes());
    });
  }
  return y;
}

}  // namespace

Tensor embed(Context& context, const EmbeddingBlock& block, View ids, const Segments& segments,
             const Dropout& dropout) {
  BARCODEMAE_CHECK(ids.dtype == DType::kInt32 && ids.cols == 1, "ids are {} [{}, {}]",
                   to_string(ids.dtype), ids.rows, ids.cols);
  check_shape(block.word, block.word.value.rows, block.position.value.cols);
  return embed_either(context, block, ids, {}, segments, dropout);
}

Tensor embed_rows(Context& context, const EmbeddingBlock& block, Tensor rows,
                  const Segments& segments, const Dropout& dropout) {
  BARCODEMAE_CHECK(
      rows.cols() == block.position.value.cols && rows.view.dtype == context.activation,
      "rows are {} [{}, {}]", to_string(rows.view.dtype), rows.rows(), rows.cols());
  return embed_either(context, block, {}, rows, segments, dropout);
}

}  // namespace barcodemae::ops
