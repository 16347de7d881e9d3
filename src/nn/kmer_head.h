// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "nn/config.h"
#include "ops/ops.h"
#include "tensor/context.h"

namespace barcodemae {

/// One named term of the loss, on the device; the trainer downloads all of them once a step.
struct LossTerm {
  std::string name;        ///< "masked", "visible", "next"
  double weight = 1;       ///< in the total loss
  ops::Loss loss;          ///< {mean over the global batch (this part's share), hits}
  std::int64_t count = 0;  ///< tokens scored in this micro-batch
};

/// Predicts k-mers from hidden states: dropout, then one linear layer (HeadKind).
class KmerHead {
 public:
  /// Declares head.{weight,bias} and, per base, head.site_bias.
  KmerHead(Parameters& parameters, const ModelConfig& config);
  ~KmerHead();
  /// The site biases of a per-base head. `site_log_frequencies` [max_positions × 4k], empty: zeros.
  void initialise(Parameters& parameters, const std::vector<float>& site_log_frequencies) const;

  /// The term "row rows[i] of x is token ids[i]", divided by `global_count`. x [T, head width];
  /// `segments` of x; their positions name the sites.
  LossTerm score(Context& context, const std::string& name, double weight, Tensor x,
                 const std::vector<std::int32_t>& rows, const std::vector<std::int32_t>& ids,
                 std::int64_t global_count, const Segments& segments) const;

  /// What soft targets take on the device, beside the parameters.
  std::size_t table_bytes() const;

 private:
  class Table;
  CrossEntropyHead head() const;
  std::vector<std::int32_t> targets(const std::vector<std::int32_t>& ids) const;

  ModelConfig config_;
  const Parameters* parameters_;
  int weight_, bias_, site_ = -1;
  std::unique_ptr<const Table> soft_;  // of soft targets
};

}  // namespace barcodemae
