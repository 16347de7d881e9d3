// SPDX-License-Identifier: MIT
#include "formats/classifier_files.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>

#include "base/atomic_file.h"
#include "base/error.h"
#include "formats/json.h"
#include "formats/safetensors.h"

namespace barcodemae {
namespace {

constexpr const char* kClassesFile = "classes.json";
constexpr const char* kWeightsFile = "classifier.safetensors";
constexpr const char* kWeight = "classifier.weight";
constexpr const char* kBias = "classifier.bias";

}  // namespace

void write_classifier(const std::filesystem::path& directory, const ClassifierHead& head) {
  nlohmann::ordered_json json;
  json["format_version"] = kClassifierFormatVersion;
  json["rank"] = to_string(head.rank);
  json["classes"] = head.classes;
  write_file_atomically(directory / kClassesFile,
                        json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  write_safetensors(
      directory / kWeightsFile,
      {{kWeight, StoredType::kF32, {head.weights.rows, head.weights.cols}, head.weights.values, {}},
       {kBias, StoredType::kF32, {head.weights.rows}, head.bias, {}}},
      {{"format", "pt"}});
}

ClassifierHead read_classifier(const std::filesystem::path& directory, int width) {
  const std::string source = (directory / kClassesFile).string();
  const nlohmann::json json = read_json_object(source);
  const JsonReader reader(json, source);
  reader.integer("format_version", 1, kClassifierFormatVersion);
  const std::optional<Rank> rank = parse_rank(reader.text("rank"));
  if (!rank) reader.fail("rank", "a rank such as species");
  ClassifierHead head;
  head.rank = *rank;
  const nlohmann::json& names = reader.value("classes");
  if (!names.is_array() || names.size() < 2) reader.fail("classes", "two names or more");
  for (const nlohmann::json& name : names) {
    if (!name.is_string()) reader.fail("classes", "names");
    head.classes.push_back(name.get<std::string>());
  }
  const auto classes = static_cast<std::int64_t>(head.classes.size());
  const SafetensorsFile file(directory / kWeightsFile);
  head.weights = {classes, width, file.floats(kWeight, classes, width)};
  head.bias = file.floats(kBias, 1, classes);
  for (const std::vector<float>* values : {&head.weights.values, &head.bias}) {
    if (std::all_of(values->begin(), values->end(), [](float v) { return std::isfinite(v); })) {
      continue;
    }
    throw UserError("{}: holds values that are not finite\nFine-tune again.", file.source());
  }
  return head;
}

}  // namespace barcodemae
