// SPDX-License-Identifier: MIT
// The tensors of a model directory.
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>

#include "barcodemae_version.h"
#include "base/error.h"
#include "formats/model_directory.h"
#include "formats/safetensors.h"
#include "tensor/quantisation.h"

namespace barcodemae {
namespace {

constexpr const char* kEncoderFile = "model.safetensors";
constexpr const char* kPretrainingFile = "pretraining.safetensors";

/// BertModel's own names; everything else belongs to pretraining.
bool is_encoder_tensor(std::string_view name) {
  return name.starts_with("embeddings.") || name.starts_with("encoder.");
}

/// What other writers put in front of BertModel's names: a model with a head on top, data
/// parallelism.
std::string prefix_of(const SafetensorsFile& file) {
  for (const char* prefix : {"", "bert.", "module.", "module.bert."})
    if (file.contains(std::string(prefix) + "embeddings.word_embeddings.weight")) return prefix;
  return "";
}

/// Vectors have one dimension in files, but a table of one row stays a table.
std::vector<std::int64_t> stored_shape(const Parameters::NamedShape& tensor) {
  if (tensor.rows == 1 && !tensor.name.ends_with("embeddings.weight")) return {tensor.cols};
  return {tensor.rows, tensor.cols};
}

void load_tensors(const SafetensorsFile& file, const std::string& prefix, Parameters& parameters,
                  bool encoder) {
  std::vector<std::string> known;
  for (const auto& [name, rows, cols, matmul] : parameters.names()) {
    if (is_encoder_tensor(name) != encoder) continue;
    known.push_back(name);
    if (matmul) known.push_back(name + kInt8ScaleSuffix);
    const std::vector<float> values = file.floats(prefix + name, rows, cols);
    if (!std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); }))
      throw UserError(
          "{}: tensor \"{}\" holds values that are not finite\n"
          "The training that wrote it diverged; use an earlier model.",
          file.source(), prefix + name);
    parameters.upload(name, values);
  }
  // Under a prefix, what lacks it is another model's head. Without, each tensor must be known: an
  // unread layer would mean that config.json belongs to another model.
  std::sort(known.begin(), known.end());
  for (const auto& [full_name, entry] : file.entries()) {
    if (!full_name.starts_with(prefix)) continue;
    const std::string name = full_name.substr(prefix.size());
    if (std::binary_search(known.begin(), known.end(), name) || name.starts_with("pooler.") ||
        name == "embeddings.position_ids" || name.starts_with("auxiliary.") ||
        (!prefix.empty() && !is_encoder_tensor(name)))
      continue;
    throw UserError("{}: tensor \"{}\" does not belong to the model that config.json describes",
                    file.source(), full_name);
  }
}

StoredType stored_type(WeightType type) {
  return type == WeightType::kFloat32 ? StoredType::kF32 : StoredType::kBF16;
}

/// A weight as I8 and the scales of its rows.
void add_int8(std::vector<TensorToWrite>& tensors, std::vector<std::vector<std::byte>>& memory,
              const Parameters::NamedShape& tensor, const std::vector<float>& values) {
  const auto cols = static_cast<std::size_t>(tensor.cols);
  std::vector<float> scales;
  std::vector<std::byte>& bytes = memory.emplace_back(values.size());
  const std::span numbers(reinterpret_cast<std::int8_t*>(bytes.data()), values.size());
  for (std::size_t row = 0; row < values.size(); row += cols) {
    const std::span of = std::span(values).subspan(row, cols);
    scales.push_back(int8_scale(of));
    quantise_int8(numbers.subspan(row, cols), of, scales.back());
  }
  tensors.push_back({tensor.name, StoredType::kI8, {tensor.rows, tensor.cols}, {}, bytes});
  tensors.push_back({tensor.name + kInt8ScaleSuffix,
                     StoredType::kF32,
                     {tensor.rows, 1},
                     {},
                     {},
                     [scales = std::move(scales)] { return scales; }});
}

void write_tensors(const std::filesystem::path& path, const Parameters& parameters, bool encoder,
                   WeightType type) {
  std::vector<TensorToWrite> tensors;
  std::vector<std::vector<std::byte>> memory;
  memory.reserve(parameters.names().size());  // the tensors point into it
  for (const Parameters::NamedShape& tensor : parameters.names()) {
    if (is_encoder_tensor(tensor.name) != encoder) continue;
    if (type == WeightType::kInt8 && tensor.matmul) {
      add_int8(tensors, memory, tensor, parameters.download(tensor.name));
      continue;
    }
    tensors.push_back({tensor.name,
                       stored_type(type),
                       stored_shape(tensor),
                       {},
                       {},
                       [&parameters, name = tensor.name] { return parameters.download(name); }});
  }
  // transformers refuses a file that does not say which framework's layout it has.
  write_safetensors(path, tensors,
                    {{"format", "pt"}, {"written_by", "barcodemae " BARCODEMAE_VERSION}});
}

}  // namespace

void load_encoder(const std::filesystem::path& directory, Parameters& parameters) {
  const SafetensorsFile file(directory / kEncoderFile);
  load_tensors(file, prefix_of(file), parameters, true);
}

void load_pretraining(const std::filesystem::path& directory, Parameters& parameters) {
  load_tensors(SafetensorsFile(directory / kPretrainingFile), "", parameters, false);
}

WeightSummary summarise_weights(const std::filesystem::path& directory) {
  const SafetensorsFile file(directory / kEncoderFile);
  const std::string prefix = prefix_of(file);
  WeightSummary summary;
  std::set<std::string> types;
  for (const auto& [name, entry] : file.entries()) {
    if (!name.starts_with(prefix)) continue;
    const std::string plain = name.substr(prefix.size());
    if (!is_encoder_tensor(plain) || plain == "embeddings.position_ids") continue;
    // Scales belong to the numbers before them.
    if (plain.ends_with(kInt8ScaleSuffix)) continue;
    summary.parameters += entry.elements();
    types.insert(entry.type_name);
  }
  summary.type = fmt::format("{}", fmt::join(types, " and "));
  summary.bytes = std::filesystem::file_size(directory / kEncoderFile);
  return summary;
}

void write_weights(const std::filesystem::path& directory, const Parameters& parameters,
                   bool pretraining, WeightType type) {
  if (pretraining) write_tensors(directory / kPretrainingFile, parameters, false, type);
  write_tensors(directory / kEncoderFile, parameters, true, type);
}

}  // namespace barcodemae
