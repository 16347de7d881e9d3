// SPDX-License-Identifier: MIT
// Fine-tuning (paper, closed world: species of `test`): the whole encoder and a linear head learn
// on `train`, stop by `val` and are reported on `test`.
#pragma once

#include <filesystem>
#include <optional>

#include "communication/communicator.h"
#include "finetune/finetune_options.h"
#include "finetune/finetune_result.h"
#include "tensor/backend.h"
#include "train/trainer.h"

namespace barcodemae {

/// Begins, or goes on with, the run in `out`, which then holds the fine-tuned encoder as a model
/// directory and its head (formats/classifier_files.h); a finished one is only asked about
/// options.test. nullopt: interrupted by `stop`. Throws UserError when model, data, options or
/// folder cannot be used: a split is missing or on two sides, no record of one has a label at the
/// rank, all of `train` have the same one, or none of `val` or `test` is known from `train`.
/// Collective, as pretrain() is; rank 0 alone has the epochs of the result.
std::optional<FinetuneResult> finetune(const std::filesystem::path& model,
                                       const std::filesystem::path& data_file,
                                       const std::filesystem::path& out,
                                       const FinetuneOptions& options, Backend& backend,
                                       const StopRequest& stop, Communicator& communicator);

}  // namespace barcodemae
