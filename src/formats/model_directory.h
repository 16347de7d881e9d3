// SPDX-License-Identifier: MIT
// A model on disk (docs/formats.md): what transformers.BertModel and AutoTokenizer load as it lies,
// plus marker.json, readout.safetensors and pretraining.safetensors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "data/dataset.h"
#include "formats/readout.h"
#include "nn/config.h"
#include "tensor/parameters.h"

namespace barcodemae {

/// config.json, tokenizer.json, marker.json and readout.safetensors: everything but weights.
struct ModelDescription {
  ModelConfig config;
  SequenceCoder coder{KmerTokenizer{KmerVocabulary{}}, std::nullopt};
  /// Facts of the training that made it, printed by `info`: name → value, in JSON (numbers stay
  /// numbers). E.g. steps, barcodes_seen, checkpoint ("best" or "last"), seed, data.
  std::map<std::string, std::string> training;
  /// What becomes of a pooled vector; null: it is left as it is.
  std::shared_ptr<const Readout> readout = nullptr;

  /// Of a pooled vector, sites and all.
  int pooled_width() const;
  /// Of the vector that stands for a barcode.
  int embedding_width() const { return readout ? readout->dimensions() : pooled_width(); }
};

/// Throws UserError, naming `source`, when the pooling asks for sites and the coder has none.
void require_sites(const ModelDescription& description, const std::string& source);

/// Format version of the `barcodemae` object in config.json; a newer major version is refused.
inline constexpr int kModelFormatVersion = 2;

/// Folder of a MODEL argument: a path as it is, or a name ("coi-small") looked up in
/// $BARCODEMAE_MODELS, in models/ beside the binary's source or install prefix. Throws UserError
/// listing the known names.
std::filesystem::path find_model(const std::string& model);

/// What a model is called in tables: its folder's name.
std::string model_name(const std::filesystem::path& directory);

/// Throws UserError (file, what was expected, what to do) on anything missing or malformed.
ModelDescription read_model_description(const std::filesystem::path& directory);

/// The same from the files' contents (fuzzing); `directory` names them in messages.
struct DescriptionFiles {
  std::string config, tokenizer;
  std::optional<std::string> marker;
  std::optional<std::string> readout = std::nullopt;
};
ModelDescription parse_model_description(const DescriptionFiles& files,
                                         const std::filesystem::path& directory);

/// Loads the encoder's tensors of model.safetensors into `parameters` (those declared by Encoder;
/// `position_ids`, the pooler and `bert.`/`module.` prefixes of other writers are tolerated). The
/// caller refreshes the backend's compute copies. Throws UserError naming the tensor that is
/// missing, misshapen, not finite or not the model's.
void load_encoder(const std::filesystem::path& directory, Parameters& parameters);
/// Loads pretraining.safetensors too: projection, decoder, head.
void load_pretraining(const std::filesystem::path& directory, Parameters& parameters);

/// What model.safetensors holds, for `info`: parameters of the encoder and how they are stored.
struct WeightSummary {
  std::int64_t parameters = 0;
  std::string type;  ///< "F32", "BF16", "BF16 and I8", …
  std::uintmax_t bytes = 0;
};
WeightSummary summarise_weights(const std::filesystem::path& directory);

/// Hash of the weights and the description: names the model in caches and libraries.
std::string model_fingerprint(const std::filesystem::path& directory);

/// kInt8: the weights of products as I8 with a scale for each row (tensor/quantisation.h), the
/// rest, a readout too, in bfloat16; loaded again they are the floats that int8 stands for.
enum class WeightType { kFloat32, kBFloat16, kInt8 };

/// Writes config.json, tokenizer.json, tokenizer_config.json, marker.json (anchored models),
/// readout.safetensors (models with a readout) and model.safetensors into an existing folder, each
/// file atomically, weights last; and pretraining.safetensors when `pretraining`.
void write_model(const std::filesystem::path& directory, const ModelDescription& description,
                 const Parameters& parameters, bool pretraining,
                 WeightType type = WeightType::kFloat32);

/// Another pooling or readout of the same encoder: writes config.json and readout.safetensors as
/// `description` says, and copies tokenizer, marker and encoder from the model directory `from`
/// byte for byte. Throws UserError when they cannot be copied.
void copy_model(const std::filesystem::path& directory, const std::filesystem::path& from,
                const ModelDescription& description);

/// The tensors alone: pretraining.safetensors when `pretraining`, then model.safetensors.
void write_weights(const std::filesystem::path& directory, const Parameters& parameters,
                   bool pretraining, WeightType type = WeightType::kFloat32);

}  // namespace barcodemae
