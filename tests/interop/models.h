// SPDX-License-Identifier: MIT
// The models of tests/golden/interop (tools/dump_interop.py) and what ours makes of them.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "backend/backends.h"
#include "formats/model_directory.h"
#include "formats/safetensors.h"
#include "interop/foreign_model.h"
#include "nn/masked_autoencoder.h"
#include "temporary_folder.h"

namespace barcodemae {

const std::string kGolden = BARCODEMAE_TEST_DATA "/golden/interop/";

inline std::vector<std::int32_t> golden_ids(const std::string& name = "ids",
                                            const std::string& of = "expected.safetensors") {
  const SafetensorsFile file(kGolden + of);
  const auto bytes = file.bytes(name);
  std::vector<std::int32_t> ids(bytes.size() / sizeof(std::int32_t));
  std::memcpy(ids.data(), bytes.data(), bytes.size());
  return ids;
}

inline std::vector<float> expected(const std::string& name, std::int64_t rows, std::int64_t cols,
                                   const std::string& of = "expected.safetensors") {
  return SafetensorsFile(kGolden + of).floats(name, rows, cols);
}

/// Imports into a model directory.
inline ForeignModel import_model(const std::string& source, const std::filesystem::path& folder,
                                 const ImportOptions& options = {}) {
  ForeignModel model(source, options);
  const auto backend = make_reference_backend();
  Parameters parameters(*backend);
  model.declare(parameters);
  parameters.allocate(false);
  model.load(parameters);
  std::filesystem::create_directories(folder);
  write_model(folder, model.description(), parameters,
              model.pretraining() != ForeignModel::Pretraining::kNone);
  return model;
}

/// Runs something on the reference backend; twice, as memory is planned first.
template <typename Run>
std::vector<float> values_of(Backend& backend, const Run& run) {
  Arena arena(backend);
  Context context{backend, arena};
  arena.begin_measuring();
  run(context);
  arena.reserve(arena.end_measuring());
  const Tensor result = run(context);
  std::vector<float> values(static_cast<std::size_t>(result.view.size()));
  backend.download(values.data(), result.view);
  return values;
}

inline PackedBatch batch_of(const std::vector<std::int32_t>& ids) {
  TokenSequence tokens{ids, {}};
  for (std::size_t i = 0; i < ids.size(); ++i)
    tokens.positions.push_back(static_cast<std::int32_t>(i));
  PackedBatch batch;
  batch.append(tokens, 0);
  return batch;
}

/// Last hidden states of the encoder in a model directory.
inline std::vector<float> hidden_states(const std::filesystem::path& folder,
                                        const std::vector<std::int32_t>& ids) {
  const auto backend = make_reference_backend();
  Parameters parameters(*backend);
  const Encoder encoder(parameters, read_model_description(folder).config);
  parameters.allocate(false);
  load_encoder(folder, parameters);
  const PackedBatch batch = batch_of(ids);
  return values_of(*backend, [&](Context& context) {
    const Segments segments = make_segments(context, batch.begins, batch.records, batch.positions);
    return encoder(context, context.upload(batch.ids), segments);
  });
}

/// x · Wᵀ + b, as pretraining.safetensors has the head.
inline std::vector<float> logits(const std::filesystem::path& folder,
                                 const std::vector<float>& hidden, std::int64_t labels) {
  const SafetensorsFile file(folder / "pretraining.safetensors");
  const std::int64_t width = file.entries().at("head.weight").shape[1];
  const std::vector<float> weight = file.floats("head.weight", labels, width);
  const std::vector<float> bias = file.floats("head.bias", 1, labels);
  std::vector<float> result;
  for (std::size_t row = 0; row < hidden.size(); row += static_cast<std::size_t>(width)) {
    for (std::int64_t label = 0; label < labels; ++label) {
      double sum = bias[static_cast<std::size_t>(label)];
      for (std::int64_t i = 0; i < width; ++i)
        sum += double{hidden[row + static_cast<std::size_t>(i)]} *
               weight[static_cast<std::size_t>(label * width + i)];
      result.push_back(static_cast<float>(sum));
    }
  }
  return result;
}

/// Float32 against float64: what hidden states of two layers differ by is below 1e-5.
inline void expect_near(const std::vector<float>& ours, const std::vector<float>& theirs,
                        float tolerance = 1e-5f) {
  ASSERT_EQ(ours.size(), theirs.size());
  ASSERT_FALSE(ours.empty());
  for (std::size_t i = 0; i < ours.size(); ++i)
    ASSERT_NEAR(ours[i], theirs[i], tolerance) << "element " << i;
}

}  // namespace barcodemae
