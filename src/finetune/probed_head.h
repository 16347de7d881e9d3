// SPDX-License-Identifier: MIT
#pragma once

#include "evaluation/frozen_features.h"
#include "finetune/finetune_options.h"
#include "finetune/finetune_sides.h"
#include "formats/classifier_files.h"

namespace barcodemae {

/// The head that a linear probe of the frozen encoder finds, of features as they come: where
/// fine-tuning begins, so that the first gradients do not distort features for the sake of a head
/// that knows nothing (Kumar et al. 2022, arXiv 2202.10054). The probe is `evaluate linear`'s.
/// Collective; the same in all processes.
ClassifierHead probed_head(const EvaluationData& evaluation, const FinetuneSides& sides,
                           const FinetuneOptions& options, Communicator& communicator);

}  // namespace barcodemae
