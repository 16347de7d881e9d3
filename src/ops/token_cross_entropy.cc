// SPDX-License-Identifier: MIT
#include "ops/op.h"
#include "ops/ops.h"

namespace barcodemae::ops {

Loss token_cross_entropy(Context& context, const CrossEntropyHead& head, Tensor x, View index,
                         View targets, double scale, double weight, const Segments& segments,
                         const Dropout& dropout) {
  const std::int64_t logits = std::int64_t{head.groups} * head.classes;
  check_rows(segments, x.rows());
  check_index(index, x.rows());
  check_shape(head.weight, logits, x.cols());
  check_shape(head.bias, 1, logits);
  if (head.site.value.data != nullptr) check_shape(head.site, head.site.value.rows, logits);
  BARCODEMAE_CHECK(
      targets.dtype == DType::kInt32 && targets.rows == index.rows && targets.cols == head.groups,
      "targets are {} [{}, {}] for {} rows", to_string(targets.dtype), targets.rows, targets.cols,
      index.rows);

  const std::int64_t scored = index.rows;
  const Loss loss{context.arena.allocate(1, 2, context.statistics())};
  const KernelMemory memory = context.backend.cross_entropy_memory(
      head, x.rows(), scored, x.view.dtype, context.tape != nullptr);
  const Bytes saved = context.arena.allocate(memory.saved);
  {
    const Scratch scratch(context.arena, memory.forward_scratch);
    if (launches(context, scored)) {
      context.backend.cross_entropy_forward(loss.values, x.view, index, targets, scale, head,
                                            segments, dropout, saved, scratch.bytes());
    } else if (!context.measuring()) {
      context.backend.zero(loss.values);
    }
  }
  if (context.tape != nullptr) {
    context.tape->record_loss({head.weight, head.bias, head.site}, [=] {
      const GradientTarget dx = context.tape->contribute(x.node);
      const Scratch scratch(context.arena, memory.backward_scratch);
      if (launches(context, scored)) {
        context.backend.cross_entropy_backward(dx.view, dx.accumulate, weight, x.view, index,
                                               targets, scale, head, segments, dropout, saved,
                                               scratch.bytes());
      } else if (launches(context, x.rows()) && x.node >= 0 && !dx.accumulate) {
        context.backend.zero(dx.view);
      }
    });
  }
  return loss;
}

}  // namespace barcodemae::ops
