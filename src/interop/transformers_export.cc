// SPDX-License-Identifier: MIT
#include "interop/transformers_export.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "barcodemae_version.h"
#include "base/atomic_file.h"
#include "base/error.h"
#include "formats/config_json.h"
#include "formats/safetensors.h"
#include "nn/objective.h"

namespace barcodemae {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kArchitecture = "BertForTokenClassification";

/// transformers keeps the number of labels as their names.
void set_labels(Json& config, std::int64_t labels) {
  config["architectures"] = {kArchitecture};
  Json names = Json::object(), ids = Json::object();
  for (std::int64_t label = 0; label < labels; ++label) {
    const std::string name = fmt::format("LABEL_{}", label);
    names[std::to_string(label)] = name;
    ids[name] = label;
  }
  config["id2label"] = std::move(names);
  config["label2id"] = std::move(ids);
}

/// The decoder as a BertConfig: of the encoder's with another shape.
Json decoder_config(const ModelDescription& description, std::int64_t labels) {
  Json config = Json::parse(write_config_json(description));
  const Json decoder = config["barcodemae"]["decoder"];
  config.erase("barcodemae");
  for (const auto& [key, value] : decoder.items()) config[key] = value;
  set_labels(config, labels);
  return config;
}

/// Tensors to be written, with the numbers of some of them.
class TensorList {
 public:
  TensorList(const SafetensorsFile& file, WeightType type)
      : file_(file), type_(type == WeightType::kFloat32 ? StoredType::kF32 : StoredType::kBF16) {}

  void add_from_file(const std::string& name, const std::string& stored) {
    const std::vector<std::int64_t>& shape = file_.entries().at(stored).shape;
    tensors_.push_back({name, type_, shape, {}, {}, [this, stored, shape] {
                          return file_.floats(stored, shape.size() == 2 ? shape[0] : 1,
                                              shape.empty() ? 1 : shape.back());
                        }});
  }
  void add(const std::string& name, std::vector<std::int64_t> shape,
           std::function<std::vector<float>()> values) {
    tensors_.push_back({name, type_, std::move(shape), {}, {}, std::move(values)});
  }
  void write(const fs::path& path) const {
    if (tensors_.empty()) return;
    write_safetensors(path, tensors_,
                      {{"format", "pt"}, {"written_by", "barcodemae " BARCODEMAE_VERSION}});
  }

 private:
  const SafetensorsFile& file_;
  StoredType type_;
  std::vector<TensorToWrite> tensors_;
};

/// `name` with another beginning, if it begins so.
std::optional<std::string> renamed(const std::string& name, std::string_view from, const char* to) {
  if (!name.starts_with(from)) return std::nullopt;
  return to + name.substr(from.size());
}

void write_decoder(const fs::path& folder, const ModelDescription& description,
                   const SafetensorsFile& pretraining, WeightType type,
                   std::vector<std::string>& left_out) {
  fs::create_directory(folder);
  TensorList decoder(pretraining, type), wiring(pretraining, type);
  const std::int64_t words = description.config.vocabulary;
  const std::int64_t width = description.config.decoder.width;
  decoder.add("bert.embeddings.word_embeddings.weight", {words, width},
              [&pretraining, words, width] {
                std::vector<float> values(static_cast<std::size_t>(words * width));
                if (pretraining.contains(kMaskVectorName)) {
                  const std::vector<float> mask = pretraining.floats(kMaskVectorName, 1, width);
                  std::copy(mask.begin(), mask.end(), values.begin());
                }
                return values;
              });
  for (const auto& [name, entry] : pretraining.entries()) {
    std::optional<std::string> in_decoder;
    for (const auto& [from, to] :
         {std::pair{"decoder.embeddings.", "bert.embeddings."},
          std::pair{"decoder.encoder.", "bert.encoder."},
          std::pair{"head.weight", "classifier.weight"}, std::pair{"head.bias", "classifier.bias"}})
      if (!in_decoder) in_decoder = renamed(name, from, to);
    if (in_decoder) {
      decoder.add_from_file(*in_decoder, name);
    } else if (const auto projection = renamed(name, "projection.", "projection_layer.")) {
      wiring.add_from_file(*projection, name);
    } else if (name == "head.site_bias") {
      wiring.add_from_file("site_bias", name);
    } else if (name != kMaskVectorName) {
      left_out.push_back(name);
    }
  }
  const std::int64_t labels = pretraining.entries().at("head.weight").shape.at(0);
  write_file_atomically(folder / "config.json", decoder_config(description, labels).dump(2) + "\n");
  wiring.write(folder / "projection.safetensors");
  decoder.write(folder / "model.safetensors");
}

void write_token_classifier(const fs::path& folder, const ModelDescription& description,
                            const Parameters& parameters, const SafetensorsFile& pretraining,
                            WeightType type, std::vector<std::string>& left_out) {
  TensorList tensors(pretraining, type), beside(pretraining, type);
  for (const auto& [name, rows, cols, matmul] : parameters.names()) {
    const bool vector = rows == 1 && !name.ends_with("embeddings.weight");
    tensors.add("bert." + name, vector ? std::vector{cols} : std::vector{rows, cols},
                [&parameters, stored = name] { return parameters.download(stored); });
  }
  for (const auto& [name, entry] : pretraining.entries()) {
    if (name == "head.site_bias") {
      beside.add_from_file("site_bias", name);
    } else if (const auto ours = renamed(name, "head.", "classifier.")) {
      tensors.add_from_file(*ours, name);
    } else {
      left_out.push_back(name);
    }
  }
  Json config = Json::parse(write_config_json(description));
  set_labels(config, pretraining.entries().at("head.weight").shape.at(0));
  write_file_atomically(folder / "config.json", config.dump(2) + "\n");
  beside.write(folder / "site_bias.safetensors");
  tensors.write(folder / "model.safetensors");
}

}  // namespace

TransformersExport export_to_transformers(const fs::path& folder, const fs::path& model,
                                          const ModelDescription& whole,
                                          const Parameters& parameters, WeightType type) {
  if (type == WeightType::kInt8)
    throw UserError(
        "--precision int8 --format transformers: transformers does not read our int8\n"
        "Choose f32 or bf16.");
  TransformersExport result;
  if (whole.readout) result.left_out.emplace_back("the stored readout");
  ModelDescription description = whole;
  description.readout = nullptr;
  description.training.erase("readout");
  write_model(folder, description, parameters, /*pretraining=*/false, type);
  const fs::path path = model / "pretraining.safetensors";
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return result;
  const SafetensorsFile pretraining(path);
  if (!pretraining.contains("head.weight") ||
      pretraining.entries().at("head.weight").shape.size() != 2)
    throw UserError("{}: there is no head in it (a tensor \"head.weight\" of two dimensions)",
                    path.string());
  result.decoder = pretraining.contains("projection.weight");
  result.head = !result.decoder;
  if (result.decoder) {
    write_decoder(folder / "decoder", description, pretraining, type, result.left_out);
  } else {
    write_token_classifier(folder, description, parameters, pretraining, type, result.left_out);
  }
  return result;
}

}  // namespace barcodemae
