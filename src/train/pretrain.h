// SPDX-License-Identifier: MIT
// A pretraining from the file of barcodes to the finished model, or the next sitting of one.
#pragma once

#include <filesystem>

#include "tensor/backend.h"
#include "train/pretrain_options.h"
#include "train/trainer.h"

namespace barcodemae {

enum class PretrainOutcome { kFinished, kAlreadyFinished, kInterrupted };

/// Begins, or goes on with, the run in `out`. `options.precision` is resolved and is `activation`'s
/// name. Throws UserError for data, options or a folder that cannot be used.
PretrainOutcome pretrain(const std::filesystem::path& data_file, const std::filesystem::path& out,
                         const PretrainOptions& options, Backend& backend, DType activation,
                         const StopRequest& stop);

}  // namespace barcodemae
