// SPDX-License-Identifier: MIT
// Losses of pooled vectors: a row per barcode, so small beside the tokens' work that the plain
// loops of the reference backend, in double, are what runs here too.
#include "backend/reference/label_loss.h"

#include "backend/cpu/cpu_backend.h"

namespace barcodemae {

KernelMemory CpuBackend::label_loss_memory(View x) const {
  return reference::label_loss_memory(x.rows, x.cols);
}

void CpuBackend::label_loss_forward(View loss, View x, View labels, View groups, double scale,
                                    const LabelLoss& options, Bytes scratch) {
  reference::label_loss_forward<float>(loss, x, labels, groups, scale, options, scratch);
}

void CpuBackend::label_loss_backward(View dx, bool accumulate, double dloss, View x, View labels,
                                     View groups, double scale, const LabelLoss& options,
                                     Bytes scratch) {
  reference::label_loss_backward<float>(dx, accumulate, dloss * scale, x, labels, groups, options,
                                        scratch);
}

KernelMemory CpuBackend::pair_loss_memory(const PairClassifier& classifier, std::int64_t) const {
  return reference::pair_loss_memory(classifier);
}

void CpuBackend::pair_loss_forward(View loss, View x, View pairs, double scale,
                                   const PairClassifier& classifier, Bytes scratch) {
  using namespace reference;
  reference::pair_loss_forward<float>(typed<float>(loss).data, typed<float>(x),
                                      typed<const std::int32_t>(pairs), scale, classifier,
                                      Workspace(scratch));
}

void CpuBackend::pair_loss_backward(View dx, bool accumulate, double dloss, View x, View pairs,
                                    double scale, const PairClassifier& classifier, Bytes scratch) {
  using namespace reference;
  reference::pair_loss_backward<float>(typed<float>(dx), accumulate, dloss * scale, typed<float>(x),
                                       typed<const std::int32_t>(pairs), classifier,
                                       Workspace(scratch));
}

}  // namespace barcodemae
