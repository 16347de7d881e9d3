// SPDX-License-Identifier: MIT
// The linear layer on the mean over a barcode's tokens: where it begins, and what it became.
#pragma once

#include <cstdint>

#include "communication/communicator.h"
#include "evaluation/frozen_features.h"
#include "finetune/finetune_options.h"
#include "finetune/finetune_sides.h"
#include "formats/classifier_files.h"
#include "tensor/parameters.h"

namespace barcodemae {

/// The head that a linear probe of the frozen encoder finds, of features as they come: where
/// fine-tuning begins, so that the first gradients do not distort features for the sake of a head
/// that knows nothing (Kumar et al. 2022, arXiv 2202.10054). The probe is `evaluate linear`'s; rank
/// 0 trains it. Throws UserError when there is too little memory. Collective; the same in all
/// processes.
ClassifierHead probed_head(const EvaluationData& evaluation, const FinetuneSides& sides,
                           const FinetuneOptions& options, Communicator& communicator);

/// The weights of a Classifier's head as they are now.
ClassifierHead head_of(const Parameters& parameters, const FinetuneSides& sides, Rank rank);

/// Gives rank 0's weights, [classes, width], to all. Collective.
void share_head(ClassifierHead& head, std::int64_t classes, std::int64_t width,
                Communicator& communicator);

}  // namespace barcodemae
