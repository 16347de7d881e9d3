// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "nn/config.h"

namespace barcodemae {

/// "tiny" (for tests), "small" (trains on a laptop) and "base" (the paper).
std::vector<std::string> preset_names();

/// The model of a preset, for 6-mers. Throws UserError naming the presets for anything else.
ModelConfig preset(const std::string& name);

}  // namespace barcodemae
