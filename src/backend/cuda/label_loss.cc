// SPDX-License-Identifier: MIT
#include "backend/cuda/kernels/label_loss.h"

#include "backend/cuda/cuda_backend.h"

namespace barcodemae {
namespace {

using namespace cuda;

LabelLossWork carve_labels(Carver& carver, std::int64_t count, std::int64_t width) {
  LabelLossWork work;
  work.units = carver.take<double>(count * width);
  work.cosines = carver.take<double>(count * count);
  work.dcosines = carver.take<double>(count * count);
  work.lengths = carver.take<double>(count);
  work.losses = carver.take<double>(count);
  work.hits = carver.take<std::int32_t>(count);
  return work;
}

LabelledVectors describe(View x, View labels, View groups) {
  return {static_cast<const float*>(x.data), x.rows, x.cols, integers(labels), integers(groups)};
}

PairWork carve_pairs(Carver& carver, const PairClassifier& classifier, std::int64_t pairs,
                     bool backward) {
  const View weight = classifier.in_weight.value;
  PairWork work;
  work.hidden = carver.take<double>(pairs * weight.rows);
  work.slopes = carver.take<double>(pairs);
  work.losses = carver.take<double>(pairs);
  work.hits = carver.take<std::int32_t>(pairs);
  if (backward) work.dinput = carver.take<double>(pairs * weight.cols);
  return work;
}

PairNetwork describe(View x, View pairs, const PairClassifier& classifier) {
  PairNetwork network;
  network.in_weight = values(classifier.in_weight);
  network.in_bias = values(classifier.in_bias);
  network.out_weight = values(classifier.out_weight);
  network.out_bias = values(classifier.out_bias);
  network.inner = classifier.in_weight.value.rows;
  network.width = x.cols;
  network.x = static_cast<const float*>(x.data);
  network.pairs = integers(pairs);
  network.count = pairs.rows;
  return network;
}

}  // namespace

KernelMemory CudaBackend::label_loss_memory(View x) const {
  Carver carver(nullptr);
  carve_labels(carver, x.rows, x.cols);
  return {.saved = 0, .forward_scratch = carver.used(), .backward_scratch = carver.used()};
}

void CudaBackend::label_loss_forward(View loss, View x, View labels, View groups, double scale,
                                     const LabelLoss& options, Bytes scratch) {
  Carver carver(scratch.data);
  const LabelLossWork work = carve_labels(carver, x.rows, x.cols);
  label_loss(stream_, work, describe(x, labels, groups), options);
  label_loss_sums(stream_, static_cast<float*>(loss.data), work.losses, work.hits, x.rows, scale);
}

void CudaBackend::label_loss_backward(View dx, bool accumulate, double dloss, View x, View labels,
                                      View groups, double scale, const LabelLoss& options,
                                      Bytes scratch) {
  if (dx.data == nullptr) return;
  // The cosines are computed again: they are cheaper than what a batch keeps for its backward pass.
  Carver carver(scratch.data);
  const LabelLossWork work = carve_labels(carver, x.rows, x.cols);
  label_loss(stream_, work, describe(x, labels, groups), options);
  label_loss_gradient(stream_, static_cast<float*>(dx.data), accumulate, dloss * scale, work,
                      x.rows, x.cols);
}

KernelMemory CudaBackend::pair_loss_memory(const PairClassifier& classifier,
                                           std::int64_t pairs) const {
  Carver forward(nullptr), backward(nullptr);
  carve_pairs(forward, classifier, pairs, false);
  carve_pairs(backward, classifier, pairs, true);
  return {.saved = 0, .forward_scratch = forward.used(), .backward_scratch = backward.used()};
}

void CudaBackend::pair_loss_forward(View loss, View x, View pairs, double scale,
                                    const PairClassifier& classifier, Bytes scratch) {
  Carver carver(scratch.data);
  const PairWork work = carve_pairs(carver, classifier, pairs.rows, false);
  pair_loss(stream_, work, describe(x, pairs, classifier));
  label_loss_sums(stream_, static_cast<float*>(loss.data), work.losses, work.hits, pairs.rows,
                  scale);
}

void CudaBackend::pair_loss_backward(View dx, bool accumulate, double dloss, View x, View pairs,
                                     double scale, const PairClassifier& classifier,
                                     Bytes scratch) {
  Carver carver(scratch.data);
  const PairWork work = carve_pairs(carver, classifier, pairs.rows, true);
  const PairNetwork network = describe(x, pairs, classifier);
  pair_loss(stream_, work, network);
  PairGradients gradients;
  gradients.in_weight = gradient(classifier.in_weight);
  gradients.in_bias = gradient(classifier.in_bias);
  gradients.out_weight = gradient(classifier.out_weight);
  gradients.out_bias = gradient(classifier.out_bias);
  gradients.dx = static_cast<float*>(dx.data);
  gradients.vectors = x.rows;
  gradients.accumulate = accumulate;
  pair_loss_gradients(stream_, gradients, dloss * scale, work, network);
}

}  // namespace barcodemae
