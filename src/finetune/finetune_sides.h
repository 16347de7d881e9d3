// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "evaluation/linear.h"
#include "finetune/finetune_options.h"

namespace barcodemae {

/// Who is taught, and asked, what; the labels of `train` are the classes.
struct FinetuneSides : TaughtSides {
  std::vector<std::string> classes;          ///< names of the labels of `train`, ascending
  std::vector<std::int32_t> class_of_label;  ///< the data set's label → class, or −1
  std::vector<std::int32_t> label_of_class;  ///< and back
  std::int64_t val_unknown = 0;              ///< `val` records of no class

  /// The classes of labels; −1: not trained on.
  std::vector<std::int32_t> classes_of(const std::vector<std::int32_t>& labels) const;
};

/// Throws UserError for sides that cannot be used.
FinetuneSides choose_sides(const EvaluationData& evaluation, const Dataset& data,
                           const FinetuneOptions& options);

}  // namespace barcodemae
