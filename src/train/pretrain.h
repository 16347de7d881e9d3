// SPDX-License-Identifier: MIT
// A pretraining from the file of barcodes to the finished model, or the next sitting of one.
#pragma once

#include <filesystem>

#include "communication/communicator.h"
#include "tensor/backend.h"
#include "train/pretrain_options.h"
#include "train/trainer.h"

namespace barcodemae {

enum class PretrainOutcome { kFinished, kAlreadyFinished, kInterrupted };

/// Begins, or goes on with, the run in `out`. `options.precision` is resolved and is `activation`'s
/// name. Throws UserError for data, options or a folder that cannot be used, and when the processes
/// of the job do not agree on what to do. Collective: every process computes its share of each
/// batch, rank 0 alone writes. How many there are has no influence on the result but the order in
/// which gradients are added up; a resumption may have another number of them.
PretrainOutcome pretrain(const std::filesystem::path& data_file, const std::filesystem::path& out,
                         const PretrainOptions& options, Backend& backend, DType activation,
                         const StopRequest& stop, Communicator& communicator);

}  // namespace barcodemae
