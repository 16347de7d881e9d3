// SPDX-License-Identifier: MIT
#include "formats/model_directory.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/file_content.h"
#include "base/fingerprint.h"
#include "data/site_features.h"
#include "formats/bpe_json.h"
#include "formats/config_json.h"
#include "formats/json.h"
#include "formats/tokenizer_json.h"

namespace barcodemae {
namespace fs = std::filesystem;
namespace {

constexpr const char* kReadoutFile = "readout.safetensors";

bool is_model(const fs::path& directory) {
  std::error_code ignored;
  return fs::is_regular_file(directory / "config.json", ignored);
}

/// Of the shared library that this code is part of; nothing where it is in a program.
std::optional<fs::path> library_folder() {
  Dl_info found{};
  if (::dladdr(reinterpret_cast<const void*>(&is_model), &found) == 0) return std::nullopt;
  const fs::path file = found.dli_fname;  // of a program as it was called
  if (file.is_relative() || file.filename().string().find(".so") == std::string::npos) {
    return std::nullopt;
  }
  return file.parent_path();
}

/// Folders that hold models by name, in order of preference.
std::vector<fs::path> model_collections() {
  std::vector<fs::path> collections;
  if (const char* own = std::getenv("BARCODEMAE_MODELS"); own && *own)
    collections.emplace_back(own);
  std::error_code code;
  const fs::path binary = fs::read_symlink("/proc/self/exe", code);
  if (!code) {
    const fs::path folder = binary.parent_path();
    collections.push_back(folder / "../../models");                // build/<preset>/ of the sources
    collections.push_back(folder / "../share/barcodemae/models");  // bin/ of an installation
    collections.push_back(folder / "models");
  }
  if (const auto folder = library_folder()) {
    collections.push_back(*folder / BARCODEMAE_MODELS_FOLDER);  // of an installation
  }
  return collections;
}

/// The byte pairs of a model directory, where ids are ours already.
std::shared_ptr<const BpeTokenizer> read_bpe(std::string_view text, const std::string& source,
                                             const ConfigContent& content) {
  BpeFile file = read_bpe_json(text, source);
  if (file.vocabulary.tokens.size() != static_cast<std::size_t>(content.config.vocabulary) ||
      file.vocabulary.specials != content.config.bpe_specials ||
      !std::is_sorted(file.id_in_file.begin(), file.id_in_file.end()))
    throw UserError(
        "{}: {} tokens, {} of them special, [MASK] and [UNK] leading, expected by config.json\n"
        "Take both from the same model; make one of other files with: barcodemae import",
        source, content.config.vocabulary, content.config.bpe_specials);
  return std::make_shared<const BpeTokenizer>(std::move(file.vocabulary), content.bpe_max_tokens);
}

}  // namespace

fs::path find_model(const std::string& model) {
  std::error_code ignored;
  if (is_model(model)) return model;
  if (fs::is_directory(model, ignored))
    throw UserError(
        "{}: expected a model folder with config.json, which is missing\n"
        "Is it the folder given to `barcodemae pretrain --out`, and has that run finished?",
        model);
  if (fs::exists(model, ignored))
    throw UserError("{}: expected a model folder, found a file; give the folder that holds it",
                    model);

  std::set<std::string> names;
  for (const fs::path& collection : model_collections()) {
    for (const auto& entry : fs::directory_iterator(collection, ignored)) {
      if (!is_model(entry.path())) continue;
      if (entry.path().filename() == model) return fs::canonical(entry.path());
      names.insert(entry.path().filename().string());
    }
  }
  throw UserError("{}: no such model folder, and no model of that name\nModels known by name: {}",
                  model,
                  names.empty() ? "none (set BARCODEMAE_MODELS to a folder of models)"
                                : fmt::format("{}", fmt::join(names, ", ")));
}

std::string model_name(const fs::path& directory) {
  return (directory.filename().empty() ? directory.parent_path() : directory).filename().string();
}

int ModelDescription::pooled_width() const {
  return config.embedding_width() + (config.pooling.sites ? site_feature_count(coder) : 0);
}

void require_sites(const ModelDescription& description, const std::string& source) {
  if (!description.config.pooling.sites || has_site_features(description.coder)) return;
  throw UserError(
      "{}: pooling \"{}\" needs k-mers in marker coordinates, which this model does not read\n"
      "Choose another --pooling, such as mean.",
      source, to_string(description.config.pooling));
}

ModelDescription parse_model_description(const DescriptionFiles& files, const fs::path& directory) {
  const ConfigContent content =
      read_config_json(files.config, (directory / "config.json").string());
  ModelDescription description;
  description.config = content.config;
  description.training = content.training;
  const std::string tokenizer_source = (directory / "tokenizer.json").string();
  if (content.bpe_max_tokens > 0) {
    description.coder.bpe = read_bpe(files.tokenizer, tokenizer_source, content);
    if (content.anchored)
      throw UserError("{}: byte pairs have no place in a marker, but \"anchored\" is true",
                      (directory / "config.json").string());
  } else {
    description.coder.tokenizer =
        KmerTokenizer(read_vocabulary(files.tokenizer, tokenizer_source, content.config),
                      content.stride, content.max_bases);
  }
  int most_tokens = description.coder.max_tokens();
  if (content.anchored) {
    const std::string source = (directory / "marker.json").string();
    if (!files.marker)
      throw UserError(
          "{}: missing, but config.json says that the model reads marker coordinates\n"
          "Copy the whole model folder.",
          source);
    description.coder.profile = MarkerProfile::from_json(*files.marker, source);
    // A sequence that the profile does not explain is still read from its first base.
    most_tokens = std::max(most_tokens, description.coder.profile->length() / content.stride +
                                            (content.config.cls ? 1 : 0));
  }
  if (most_tokens > content.config.max_positions)
    throw UserError(
        "{}: sequences of up to {} tokens, but only {} positions (max_position_embeddings)",
        (directory / "config.json").string(), most_tokens, content.config.max_positions);
  require_sites(description, (directory / "config.json").string());
  if (content.readout_dimensions > 0) {
    const std::string source = (directory / kReadoutFile).string();
    if (!files.readout) {
      throw UserError(
          "{}: missing, but config.json says that vectors go through it\n"
          "Copy the whole model folder.",
          source);
    }
    description.readout = std::make_shared<const Readout>(parse_readout(
        *files.readout, source,
        {description.pooled_width(), content.readout_dimensions, content.readout_hidden_units}));
  }
  return description;
}

ModelDescription read_model_description(const fs::path& directory) {
  const auto read = [&](const char* name) {
    const std::string path = (directory / name).string();
    std::optional<std::string> content = file_content(path);
    if (!content) {
      throw UserError("{}: missing or not readable\nCopy the whole model folder.", path);
    }
    return *content;
  };
  std::error_code ignored;
  DescriptionFiles files{read("config.json"), read("tokenizer.json"), std::nullopt};
  if (fs::exists(directory / "marker.json", ignored)) files.marker = read("marker.json");
  if (fs::exists(directory / kReadoutFile, ignored)) files.readout = read(kReadoutFile);
  return parse_model_description(files, directory);
}

std::string model_fingerprint(const fs::path& directory) {
  Fingerprint fingerprint;
  for (const char* name :
       {"config.json", "tokenizer.json", "marker.json", kReadoutFile, "model.safetensors"}) {
    const bool optional = name == std::string_view("marker.json") || name == kReadoutFile;
    if (optional && !fs::exists(directory / name)) continue;
    fingerprint.add(name);
    fingerprint.add(fingerprint_file(directory / name));
  }
  return fingerprint.hex();
}

void write_model(const fs::path& directory, const ModelDescription& description,
                 const Parameters& parameters, bool pretraining, WeightType type) {
  const KmerTokenizer& tokenizer = description.coder.tokenizer;
  write_file_atomically(directory / "config.json", write_config_json(description));
  const auto& bpe = description.coder.bpe;
  write_file_atomically(directory / "tokenizer.json",
                        bpe ? write_bpe_json(bpe->vocabulary()) : write_tokenizer_json(tokenizer));
  write_file_atomically(
      directory / "tokenizer_config.json",
      bpe ? write_bpe_tokenizer_config_json(*bpe) : write_tokenizer_config_json(tokenizer));
  if (description.coder.profile)
    write_file_atomically(directory / "marker.json", description.coder.profile->to_json());
  if (description.readout) {
    write_readout(directory / kReadoutFile, *description.readout,
                  type == WeightType::kFloat32 ? StoredType::kF32 : StoredType::kBF16);
  }
  write_weights(directory, parameters, pretraining, type);
}

void copy_model(const fs::path& directory, const fs::path& from,
                const ModelDescription& description) {
  for (const char* name :
       {"tokenizer.json", "tokenizer_config.json", "marker.json", "model.safetensors"}) {
    std::error_code error;
    if (!fs::exists(from / name, error)) continue;
    if (!fs::copy_file(from / name, directory / name, error)) {
      throw UserError("{}: cannot be copied to {} ({})", (from / name).string(), directory.string(),
                      error.message());
    }
  }
  write_file_atomically(directory / "config.json", write_config_json(description));
  if (description.readout) write_readout(directory / kReadoutFile, *description.readout);
}

}  // namespace barcodemae
