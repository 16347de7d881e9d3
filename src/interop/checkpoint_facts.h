// SPDX-License-Identifier: MIT
// What other programs' files say about a model, before anything is made of it.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "interop/tensor_source.h"

namespace barcodemae {

// NOLINTNEXTLINE(bugprone-exception-escape): JSON values check themselves when moved.
struct CheckpointFacts {
  std::string source;      ///< the file of the weights, for messages
  nlohmann::json bert;     ///< the encoder's BertConfig
  nlohmann::json decoder;  ///< the decoder's BertConfig, or null
  nlohmann::json run;      ///< options of the training: k_mer, stride, max_len, arch, …; or {}
  nlohmann::json counts;   ///< epoch, total_step, …; or {}
  /// Contents of tokenizer.json or of vocab.txt, and where they come from.
  std::optional<std::string> tokenizer_json, vocabulary_text;
  std::string tokenizer_source;
  std::unique_ptr<TensorSource> tensors;
};

/// Reads a folder with config.json and model.safetensors (or pytorch_model.bin), one of the two
/// weight files beside its config.json, or a checkpoint of the authors' code (.pt), told by
/// content. Executes nothing. Throws UserError (file, what was expected, what to do).
CheckpointFacts read_checkpoint_facts(const std::filesystem::path& path);

}  // namespace barcodemae
