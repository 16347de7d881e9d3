// SPDX-License-Identifier: MIT
// Losses of BarcodeMAE+: what the pooled hidden states say about the barcodes' taxonomy.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/label_targets.h"
#include "nn/config.h"
#include "nn/kmer_head.h"

namespace barcodemae {

/// The hidden layer of the pair classifier, and the most pairs of a batch it is asked about.
inline constexpr int kPairHiddenWidth = 256;
inline constexpr std::int64_t kMostPairs = 32;

/// Heads and terms of ModelConfig::auxiliary. Their parameters are auxiliary.<i>.…: weight and bias
/// of a cross entropy's classes, or in_weight, in_bias, out_weight, out_bias of a pair classifier.
class AuxiliaryLosses {
 public:
  AuxiliaryLosses(Parameters& parameters, const ModelConfig& config);

  bool empty() const { return config_.auxiliary.empty(); }
  /// A term for each loss, named by auxiliary_name(). features [N, H] in the statistics type, one
  /// for each sequence; `targets` and `counts` one for each loss. `scale` multiplies the weights.
  std::vector<LossTerm> score(Context& context, Tensor features,
                              const std::vector<std::int32_t>& records,
                              const std::vector<LabelTargets>& targets,
                              const std::vector<std::int64_t>& counts, double scale) const;

 private:
  ops::Loss cross_entropy(Context& context, std::size_t i, Tensor features,
                          const std::vector<std::int32_t>& records, const LabelTargets& targets,
                          double mean, double weight) const;

  ModelConfig config_;
  const Parameters* parameters_;
  std::vector<std::vector<int>> heads_;  // indices into Parameters, in the order of declaration
};

}  // namespace barcodemae
