// SPDX-License-Identifier: MIT
// Losses of pooled vectors and the labels of their barcodes.
#include "ops/op.h"
#include "ops/ops.h"

namespace barcodemae::ops {
namespace {

/// Records `backward(dx)` for a loss of x.
template <typename Backward>
void record(Context& context, const std::vector<Parameter>& parameters, Tensor x,
            std::size_t scratch_bytes, Backward backward) {
  if (context.tape == nullptr) return;
  context.tape->record_loss(parameters, [=] {
    const GradientTarget dx = context.tape->contribute(x.node);
    const Scratch scratch(context.arena, scratch_bytes);
    if (launches(context, x.rows())) backward(dx, scratch.bytes());
  });
}

template <typename Forward>
Loss compute(Context& context, Tensor x, std::size_t scratch_bytes, Forward forward) {
  const Loss loss{context.arena.allocate(1, 2, context.statistics())};
  const Scratch scratch(context.arena, scratch_bytes);
  if (launches(context, x.rows())) {
    forward(loss.values, scratch.bytes());
  } else if (!context.measuring()) {
    context.backend.zero(loss.values);
  }
  return loss;
}

void check_vectors(const Context& context, const Tensor& x) {
  BARCODEMAE_CHECK(x.view.dtype == context.statistics(), "vectors of {}", to_string(x.view.dtype));
}

}  // namespace

Loss label_loss(Context& context, const LabelLoss& options, Tensor x, View labels, View groups,
                double scale, double weight) {
  check_vectors(context, x);
  BARCODEMAE_CHECK(labels.rows == x.rows() && labels.cols == 1 &&
                       (groups.data == nullptr || groups.rows == x.rows()) &&
                       options.temperature > 0,
                   "{} labels and {} groups of {} vectors, temperature {}", labels.rows,
                   groups.rows, x.rows(), options.temperature);
  const KernelMemory memory = context.backend.label_loss_memory(x.view);
  const Loss loss = compute(context, x, memory.forward_scratch, [&](View values, Bytes scratch) {
    context.backend.label_loss_forward(values, x.view, labels, groups, scale, options, scratch);
  });
  record(context, {}, x, memory.backward_scratch,
         [=, &backend = context.backend](const GradientTarget& dx, Bytes scratch) {
           backend.label_loss_backward(dx.view, dx.accumulate, weight, x.view, labels, groups,
                                       scale, options, scratch);
         });
  return loss;
}

Loss pair_loss(Context& context, const PairClassifier& classifier, Tensor x, View pairs,
               double scale, double weight) {
  check_vectors(context, x);
  const std::int64_t inner = classifier.in_weight.value.rows;
  check_shape(classifier.in_weight, inner, 2 * x.cols());
  check_shape(classifier.in_bias, 1, inner);
  check_shape(classifier.out_weight, 1, inner);
  check_shape(classifier.out_bias, 1, 1);
  BARCODEMAE_CHECK(pairs.dtype == DType::kInt32 && pairs.cols == 3, "pairs are {} [{}, {}]",
                   to_string(pairs.dtype), pairs.rows, pairs.cols);
  const KernelMemory memory = context.backend.pair_loss_memory(classifier, pairs.rows);
  const Loss loss = compute(context, x, memory.forward_scratch, [&](View values, Bytes scratch) {
    context.backend.pair_loss_forward(values, x.view, pairs, scale, classifier, scratch);
  });
  record(context,
         {classifier.in_weight, classifier.in_bias, classifier.out_weight, classifier.out_bias}, x,
         memory.backward_scratch,
         [=, &backend = context.backend](const GradientTarget& dx, Bytes scratch) {
           backend.pair_loss_backward(dx.view, dx.accumulate, weight, x.view, pairs, scale,
                                      classifier, scratch);
         });
  return loss;
}

}  // namespace barcodemae::ops
