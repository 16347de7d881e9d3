// SPDX-License-Identifier: MIT
// config.json: a BertConfig as transformers reads it, and one object "barcodemae" for the rest.
#pragma once

#include <string>
#include <string_view>

#include "formats/model_directory.h"

namespace barcodemae {

std::string write_config_json(const ModelDescription& description);

/// What config.json says beyond the model's shape; the tokenizer's vocabulary is in tokenizer.json.
struct ConfigContent {
  ModelConfig config;
  int stride = 6, max_bases = 660;
  int bpe_max_tokens = 0;  ///< 0: tokens are k-mers
  bool anchored = false;
  int readout_dimensions = 0;  ///< 0: there is no readout.safetensors
  int readout_hidden_units = 0;
  std::map<std::string, std::string> training;
};
/// Throws UserError naming `source` and the key.
ConfigContent read_config_json(std::string_view text, const std::string& source);

}  // namespace barcodemae
