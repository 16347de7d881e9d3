// SPDX-License-Identifier: MIT
#include "evaluation/embedding_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "formats/json.h"

namespace barcodemae {

std::int64_t LabelledVectors::keep_labelled() {
  std::int64_t kept = 0;
  for (std::int64_t row = 0; row < vectors.rows; ++row) {
    const std::int32_t label = labels[static_cast<std::size_t>(row)];
    if (label < 0) continue;
    if (kept < row) std::copy_n(vectors.row(row).data(), vectors.cols, vectors.row(kept).data());
    labels[static_cast<std::size_t>(kept++)] = label;
  }
  const std::int64_t dropped = vectors.rows - kept;
  vectors.rows = kept;
  vectors.values.resize(static_cast<std::size_t>(kept * vectors.cols));
  labels.resize(static_cast<std::size_t>(kept));
  return dropped;
}

Matrix read_vectors(const std::filesystem::path& file) {
  Matrix vectors = read_npy(file);
  if (vectors.rows == 0 || vectors.cols == 0) {
    throw UserError("{}: an array of shape ({}, {}): at least one vector is expected",
                    file.string(), vectors.rows, vectors.cols);
  }
  const auto odd = std::find_if(vectors.values.begin(), vectors.values.end(),
                                [](float value) { return !std::isfinite(value); });
  if (odd != vectors.values.end()) {
    throw UserError("{}: row {} holds a number that is not finite\nMake that vector again.",
                    file.string(), (odd - vectors.values.begin()) / vectors.cols);
  }
  return vectors;
}

LabelledVectors read_embeddings(const EmbeddingFiles& files, Rank rank, LabelNumbers& numbers) {
  LabelledVectors read{read_vectors(files.vectors), {}};
  const Matrix& vectors = read.vectors;
  const std::vector<std::string> names = read_label_column(files.labels, rank);
  if (static_cast<std::int64_t>(names.size()) != vectors.rows) {
    throw UserError(
        "{} has {} vectors, but {} has {} labelled rows\nOne row per vector, in the same "
        "order, is expected.",
        files.vectors.string(), vectors.rows, files.labels.string(), names.size());
  }
  for (const std::string& name : names) read.labels.push_back(numbers.number(name));
  return read;
}

namespace {

/// What vectors of a model follow from, and its name.
struct Maker {
  std::string name, identity;
};

std::optional<Maker> maker_of(const EmbeddingFiles& files) {
  const std::filesystem::path file =
      std::filesystem::path(files.vectors).replace_extension(".model.json");
  std::error_code ignored;  // what cannot be looked at will say so when it is read
  if (!std::filesystem::exists(file, ignored)) return std::nullopt;
  const nlohmann::json json = read_json_object(file);
  const JsonReader reader(json, file.string());
  const std::string pooling = reader.text("pooling"), anchor = reader.text("anchor");
  return Maker{fmt::format("{} (pooling {}, anchor {})", reader.text("model"), pooling, anchor),
               fmt::format("{} {} {}", reader.text("model_fingerprint"), pooling, anchor)};
}

}  // namespace

void require_same_maker(const EmbeddingFiles& one, const EmbeddingFiles& other) {
  const std::optional<Maker> first = maker_of(one), second = maker_of(other);
  if (!first || !second || first->identity == second->identity) return;
  throw UserError(
      "{} was made by {},\n{} by {}\nVectors of different models cannot be compared: embed both by "
      "one model, or remove the .model.json that is out of date.",
      one.vectors.string(), first->name, other.vectors.string(), second->name);
}

}  // namespace barcodemae
