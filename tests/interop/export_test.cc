// SPDX-License-Identifier: MIT
// What is exported is what was imported, tensor by tensor, and transformers computes with it what
// PyTorch did before.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "interop/torch_file.h"
#include "interop/transformers_export.h"
#include "models.h"
#include "nn/objective.h"

namespace barcodemae {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Export : public testing::Test {
 protected:
  /// Imports a golden model and exports it again.
  TransformersExport round_trip(const std::string& source, WeightType type = WeightType::kFloat32) {
    import_model(kGolden + source, imported());
    const ModelDescription description = read_model_description(imported());
    const auto backend = make_reference_backend();
    Parameters parameters(*backend);
    const Encoder encoder(parameters, description.config);
    parameters.allocate(false);
    load_encoder(imported(), parameters);
    fs::create_directories(exported());
    return export_to_transformers(exported(), imported(), description, parameters, type);
  }
  fs::path imported() const { return temporary_.path() / "imported"; }
  fs::path exported() const { return temporary_.path() / "exported"; }

  /// Runs transformers on a folder; false when there is none.
  bool run_transformers(const nlohmann::json& inputs, const fs::path& folder) {
    const char* chosen = std::getenv("BARCODEMAE_PYTHON");
    const std::string python = chosen && *chosen ? chosen : "python3";
    std::ofstream(temporary_.path() / "inputs.json") << inputs;
    const int status =
        std::system(("HF_HUB_OFFLINE=1 " + python +
                     " " BARCODEMAE_TEST_DATA "/interop/transformers_export.py " +
                     (temporary_.path() / "inputs.json").string() + " " + folder.string() + " 2>&1")
                        .c_str());
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (code == 77 || code == 127) return false;
    EXPECT_EQ(code, 0);
    return true;
  }
  TemporaryFolder temporary_;
};

nlohmann::json config_of(const fs::path& folder) {
  return nlohmann::json::parse(read_file(folder / "config.json"));
}

constexpr const char* kNoPython =
    "skipped: no Python with torch, transformers and safetensors; set BARCODEMAE_PYTHON";

std::vector<float> all(const SafetensorsFile& file, const std::string& name) {
  const auto& shape = file.entries().at(name).shape;
  return file.floats(name, shape.size() == 2 ? shape[0] : 1, shape.back());
}

TEST_F(Export, TokenClassifierHasTheTensorsItCameFrom) {
  const TransformersExport result = round_trip("transformer.pt");
  EXPECT_TRUE(result.head);
  EXPECT_FALSE(result.decoder);
  const auto source = std::make_shared<const TorchFile>(kGolden + "transformer.pt");
  const auto original =
      open_state_dict(source, source->pickle().find(source->pickle().root(), "model").value());
  const SafetensorsFile file(exported() / "model.safetensors");
  std::size_t compared = 0;
  for (const auto& [name, shape] : original->shapes()) {
    if (name.ends_with("position_ids")) continue;
    const std::string plain = name.substr(std::string("module.").size());
    ASSERT_TRUE(file.contains(plain)) << plain;
    EXPECT_EQ(file.entries().at(plain).shape, shape) << plain;
    EXPECT_EQ(all(file, plain), original->floats(name)) << plain;
    ++compared;
  }
  EXPECT_EQ(compared, file.entries().size());
  const nlohmann::json config = config_of(exported());
  EXPECT_EQ(config["architectures"], nlohmann::json{"BertForTokenClassification"});
  EXPECT_EQ(config["id2label"].size(), 16u);
  EXPECT_EQ(config["label2id"]["LABEL_15"], 15);
  EXPECT_EQ(config["hidden_size"], 16);
  // It is still a model directory of ours.
  EXPECT_EQ(hidden_states(exported(), golden_ids()), hidden_states(imported(), golden_ids()));
}

TEST_F(Export, DecoderHasTheTensorsItCameFrom) {
  EXPECT_TRUE(round_trip("maelm_whole.pt").decoder);
  const auto source = std::make_shared<const TorchFile>(kGolden + "maelm_whole.pt");
  const auto original =
      open_state_dict(source, source->pickle().find(source->pickle().root(), "model").value());
  const SafetensorsFile decoder(exported() / "decoder/model.safetensors");
  const SafetensorsFile projection(exported() / "decoder/projection.safetensors");
  for (const auto& [name, entry] : decoder.entries()) {
    std::vector<float> theirs = original->floats("module.decoder." + name);
    std::vector<float> ours = all(decoder, name);
    if (name == "bert.embeddings.word_embeddings.weight") {
      const auto width = static_cast<std::size_t>(entry.shape[1]);
      EXPECT_EQ(std::vector<float>(ours.begin() + static_cast<std::ptrdiff_t>(width), ours.end()),
                std::vector<float>(ours.size() - width));
      ours.resize(width);  // the mask vector
      theirs.resize(width);
    }
    EXPECT_EQ(ours, theirs) << name;
  }
  for (const char* name : {"projection_layer.weight", "projection_layer.bias"})
    EXPECT_EQ(all(projection, name), original->floats(std::string("module.") + name)) << name;
  EXPECT_EQ(decoder.entries().size(), 5u + 16u + 2u);
  const nlohmann::json config = config_of(exported() / "decoder");
  EXPECT_EQ(config["architectures"], nlohmann::json{"BertForTokenClassification"});
  EXPECT_EQ(config["id2label"].size(), 16u);
  EXPECT_EQ(config["hidden_size"], 24);
  EXPECT_EQ(config["num_hidden_layers"], 1);
  EXPECT_FALSE(config.contains("barcodemae")) << "it is no encoder of ours";
}

TEST_F(Export, APerBaseHeadKeepsItsSitesBesideIt) {
  ModelDescription description;
  description.config.objective = ObjectiveKind::kMaskedLanguageModel;
  description.config.head = HeadKind::kBase;
  description.config.encoder = {16, 1, 2, 32, 1e-12f};
  description.config.k = 3;
  description.config.vocabulary = 66;
  description.config.max_positions = 20;
  description.coder.tokenizer = KmerTokenizer(KmerVocabulary{3, {"[MASK]", "[UNK]"}}, 3, 60);
  const auto backend = make_reference_backend();
  Parameters parameters(*backend);
  const auto objective = make_objective(parameters, description.config);
  parameters.allocate(false);
  parameters.initialise(1);
  std::vector<float> sites(20 * 12);
  for (std::size_t i = 0; i < sites.size(); ++i) sites[i] = static_cast<float>(i) / 7;
  objective->initialise(parameters, 1, sites);
  fs::create_directories(imported());
  fs::create_directories(exported());
  write_model(imported(), description, parameters, true);
  EXPECT_TRUE(
      export_to_transformers(exported(), imported(), description, parameters, WeightType::kFloat32)
          .head);
  EXPECT_EQ(SafetensorsFile(exported() / "site_bias.safetensors").floats("site_bias", 20, 12),
            sites);
  const SafetensorsFile file(exported() / "model.safetensors");
  EXPECT_EQ(all(file, "classifier.weight"), parameters.download("head.weight"));
  EXPECT_EQ(config_of(exported())["id2label"].size(), 12u);
}

TEST_F(Export, TransformersLoadsTheTokenClassifier) {
  round_trip("transformer.pt");
  if (!run_transformers(golden_ids(), exported())) GTEST_SKIP() << kNoPython;
  const SafetensorsFile file(exported() / "out.safetensors");
  expect_near(file.floats("hidden", 9, 16), expected("transformer.hidden", 9, 16));
  expect_near(file.floats("logits", 9, 16), expected("transformer.logits", 9, 16));
}

TEST_F(Export, TransformersLoadsTheDecoder) {
  round_trip("maelm_whole.pt");
  // The decoder's input, wired by hand from what was exported.
  const std::vector<std::int32_t> ids = golden_ids();
  const auto backend = make_reference_backend();
  Parameters parameters(*backend);
  const Encoder encoder(parameters, read_model_description(exported()).config);
  parameters.allocate(false);
  load_encoder(exported(), parameters);
  PackedBatch visible = batch_of({ids[0], ids[2], ids[3], ids[6], ids[7], ids[8]});
  visible.positions = {0, 2, 3, 6, 7, 8};
  const std::vector<float> hidden = values_of(*backend, [&](Context& context) {
    const Segments segments =
        make_segments(context, visible.begins, visible.records, visible.positions);
    return encoder(context, context.upload(visible.ids), segments);
  });
  const SafetensorsFile wiring(exported() / "decoder/projection.safetensors");
  const SafetensorsFile decoder(exported() / "decoder/model.safetensors");
  const std::vector<float> weight = wiring.floats("projection_layer.weight", 24, 16);
  const std::vector<float> bias = wiring.floats("projection_layer.bias", 1, 24);
  std::vector<float> mask = all(decoder, "bert.embeddings.word_embeddings.weight");
  mask.resize(24);
  std::vector<std::vector<float>> rows(ids.size(), mask);
  for (std::size_t v = 0; v < visible.positions.size(); ++v) {
    std::vector<float>& row = rows[static_cast<std::size_t>(visible.positions[v])];
    for (std::size_t out = 0; out < 24; ++out) {
      double sum = bias[out];
      for (std::size_t in = 0; in < 16; ++in)
        sum += double{hidden[v * 16 + in]} * weight[out * 16 + in];
      row[out] = static_cast<float>(sum);
    }
  }
  if (!run_transformers(rows, exported() / "decoder")) GTEST_SKIP() << kNoPython;
  const SafetensorsFile file(exported() / "decoder/out.safetensors");
  expect_near(file.floats("hidden", 9, 24), expected("maelm_whole.decoder_hidden", 9, 24));
  expect_near(file.floats("logits", 9, 16), expected("maelm_whole.logits", 9, 16));
}

TEST_F(Export, WithoutADecoderTheEncoderAlone) {
  const TransformersExport result = round_trip("maelm.pt", WeightType::kBFloat16);
  EXPECT_FALSE(result.decoder || result.head);
  EXPECT_FALSE(fs::exists(exported() / "decoder"));
  EXPECT_TRUE(SafetensorsFile(exported() / "model.safetensors")
                  .contains("embeddings.word_embeddings.weight"));
}

TEST_F(Export, Int8IsRefused) {
  EXPECT_THAT([&] { round_trip("maelm.pt", WeightType::kInt8); },
              testing::ThrowsMessage<UserError>(HasSubstr("does not read our int8")));
}

}  // namespace
}  // namespace barcodemae
