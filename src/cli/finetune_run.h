// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <string>

#include "communication/communicator.h"
#include "finetune/finetune.h"

namespace barcodemae {

/// finetune() on `device`, which signals end in good order. Throws EndedBySignal then, and
/// UserError as finetune() does. Collective.
FinetuneResult finetune_until_signal(const std::filesystem::path& model,
                                     const std::filesystem::path& data,
                                     const std::filesystem::path& out,
                                     const FinetuneOptions& options, const std::string& device,
                                     Communicator& communicator);

}  // namespace barcodemae
