// SPDX-License-Identifier: MIT
#include "formats/model_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "backend/backends.h"
#include "base/random.h"
#include "formats/safetensors.h"
#include "formats/tokenizer_json.h"
#include "nn/masked_autoencoder.h"
#include "nn/objective.h"
#include "readouts.h"
#include "temporary_folder.h"
#include "tensor/quantisation.h"
#include "user_error.h"

namespace barcodemae {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::HasSubstr;
using testing::Key;
using testing::Not;

/// Two-base words, so that a whole vocabulary is short to read.
ModelDescription tiny_description() {
  ModelDescription description;
  ModelConfig& config = description.config;
  config.encoder = {16, 2, 2, 32, 1e-12f};
  config.decoder = {8, 1, 1, 16, 1e-12f};
  config.k = 2;
  config.vocabulary = 18;
  config.max_positions = 20;
  config.head = HeadKind::kBase;
  description.coder.tokenizer = KmerTokenizer(KmerVocabulary{2, {"[MASK]", "[UNK]"}}, 2, 40);
  description.training = {{"steps", "12"}, {"checkpoint", "\"best\""}};
  return description;
}

/// Gives a file its bytes back at the end, also when loading it threw.
class Restored {
 public:
  explicit Restored(fs::path path) : path_(std::move(path)), bytes_(read_file(path_)) {}
  ~Restored() { std::ofstream(path_, std::ios::binary) << bytes_; }
  Restored(const Restored&) = delete;
  Restored& operator=(const Restored&) = delete;

 private:
  const fs::path path_;
  const std::string bytes_;
};

class ModelDirectory : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(directory_);
    backend_ = make_reference_backend();
    parameters_ = std::make_unique<Parameters>(*backend_);
    MaskedAutoencoder(*parameters_, tiny_description().config);
    parameters_->allocate(false);
    parameters_->initialise(7);
    write_model(directory_, tiny_description(), *parameters_, true);
  }

  std::string read(const char* name) const { return read_file(directory_ / name); }
  void write(const char* name, const std::string& content) const {
    std::ofstream(directory_ / name, std::ios::binary) << content;
  }
  /// Loads everything, and compares it.
  void load() const {
    const ModelDescription description = read_model_description(directory_);
    Parameters loaded(*backend_);
    MaskedAutoencoder(loaded, description.config);
    loaded.allocate(false);
    load_encoder(directory_, loaded);
    load_pretraining(directory_, loaded);
    for (const auto& tensor : loaded.names())
      EXPECT_EQ(loaded.download(tensor.name), parameters_->download(tensor.name)) << tensor.name;
  }
  std::string refusal() const {
    return user_error([&] { load(); });
  }
  void load_with_config(const std::function<void(nlohmann::json&)>& change) const {
    const Restored original(directory_ / "config.json");
    nlohmann::json json = nlohmann::json::parse(read("config.json"));
    change(json);
    write("config.json", json.dump());
    load();
  }
  /// model.safetensors with its tensors changed.
  void load_with_tensors(
      const std::function<void(std::map<std::string, std::vector<float>>&,
                               std::map<std::string, std::vector<std::int64_t>>&)>& change) const {
    std::map<std::string, std::vector<float>> values;
    std::map<std::string, std::vector<std::int64_t>> shapes;
    {
      const SafetensorsFile file(directory_ / "model.safetensors");
      for (const auto& [name, entry] : file.entries()) {
        shapes[name] = entry.shape;
        values[name] =
            file.floats(name, entry.shape.size() == 2 ? entry.shape[0] : 1, entry.shape.back());
      }
    }
    change(values, shapes);
    std::vector<TensorToWrite> tensors;
    for (const auto& [name, value] : values)
      tensors.push_back({name, StoredType::kF32, shapes.at(name), value, {}});
    const Restored original(directory_ / "model.safetensors");
    write_safetensors(directory_ / "model.safetensors", tensors);
    load();
  }

  const TemporaryFolder folder_;
  const fs::path directory_ = folder_ / "tiny";
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Parameters> parameters_;
};

TEST_F(ModelDirectory, ComesBackAsItWasWritten) {
  ASSERT_NO_THROW(load());
  const ModelDescription description = read_model_description(directory_);
  EXPECT_EQ(description.config.encoder.width, 16);
  EXPECT_EQ(description.config.encoder.norm_epsilon, 1e-12f);
  EXPECT_EQ(description.config.decoder.layers, 1);
  EXPECT_EQ(description.config.dropout, 0.1f);
  EXPECT_EQ(description.config.head, HeadKind::kBase);
  EXPECT_EQ(description.coder.tokenizer.max_bases(), 40);
  EXPECT_EQ(description.coder.tokenizer.vocabulary().token(17), "TT");
  EXPECT_FALSE(description.coder.profile);
  EXPECT_EQ(description.training, tiny_description().training);
  EXPECT_THAT(read("config.json"), HasSubstr("\"layer_norm_eps\": 1e-12,"));
}

TEST_F(ModelDirectory, OverlappingKmersAreRefusedByAutoTokenizer) {
  const KmerVocabulary vocabulary{2, {"[MASK]", "[UNK]"}};
  const auto step = [&](int stride) {
    return nlohmann::json::parse(write_tokenizer_json(KmerTokenizer(vocabulary, stride, 40)))
        .at("pre_tokenizer")
        .at("type");
  };
  EXPECT_EQ(step(2), "Split");
  EXPECT_EQ(step(1), "KmersWithStride") << "no step that the tokenizers library knows";
}

TEST_F(ModelDirectory, HoldsPlainBertModelNames) {
  const SafetensorsFile file(directory_ / "model.safetensors");
  const auto& entries = file.entries();
  EXPECT_EQ(entries.at("embeddings.token_type_embeddings.weight").shape,
            (std::vector<std::int64_t>{2, 16}));
  EXPECT_EQ(entries.at("encoder.layer.1.attention.self.key.bias").shape,
            (std::vector<std::int64_t>{16}));
  EXPECT_EQ(entries.at("encoder.layer.0.intermediate.dense.weight").shape,
            (std::vector<std::int64_t>{32, 16}));
  EXPECT_EQ(entries.size(), 5u + 2u * 16u);
  EXPECT_EQ(file.metadata().at("format"), "pt");
  EXPECT_THAT(SafetensorsFile(directory_ / "pretraining.safetensors").entries(),
              Contains(Key("head.weight")));
}

TEST_F(ModelDirectory, BFloat16WeightsAreRoundedToNearest) {
  write_weights(directory_, *parameters_, false, WeightType::kBFloat16);
  Parameters loaded(*backend_);
  Encoder(loaded, tiny_description().config);
  loaded.allocate(false);
  load_encoder(directory_, loaded);
  const std::string name = "encoder.layer.1.output.dense.weight";
  const auto expected = parameters_->download(name), values = loaded.download(name);
  for (std::size_t i = 0; i < values.size(); ++i)
    ASSERT_LE(std::abs(values[i] - expected[i]), std::abs(expected[i]) / 256);
  EXPECT_NE(values, expected);
}

// What int8 stands for, and a second rounding changes nothing: a file gives the embeddings that
// rounding the model at hand gives.
TEST_F(ModelDirectory, Int8WeightsAreRoundedOnce) {
  const std::string name = "encoder.layer.1.output.dense.weight";
  const auto reload = [&](Parameters& parameters) {
    Encoder(parameters, tiny_description().config);
    parameters.allocate(false);
    load_encoder(directory_, parameters);
    return parameters.download(name);
  };
  write_weights(directory_, *parameters_, false, WeightType::kInt8);
  const std::string once = read("model.safetensors");
  Parameters loaded(*backend_), again(*backend_);
  const std::vector<float> expected = parameters_->download(name), values = reload(loaded);
  const auto cols = values.size() / 16;
  for (std::size_t row = 0; row < 16; ++row) {
    const std::span of = std::span(expected).subspan(row * cols, cols);
    const float scale = int8_scale(of);
    EXPECT_LT(scale, 0.05f);
    for (std::size_t col = 0; col < cols; ++col) {
      ASSERT_LE(std::abs(values[row * cols + col] - of[col]), 0.501f * scale);
    }
  }
  write_weights(directory_, loaded, false, WeightType::kInt8);
  EXPECT_EQ(read("model.safetensors"), once);
  EXPECT_EQ(reload(again), values);
  EXPECT_EQ(summarise_weights(directory_).type, "BF16 and I8");
  EXPECT_EQ(summarise_weights(directory_).parameters, loaded.count());
}

TEST_F(ModelDirectory, ReadsOtherWritersNames) {
  const auto load_with_prefix = [&](const std::string& prefix, bool head) {
    load_with_tensors([&](auto& values, auto& shapes) {
      std::map<std::string, std::vector<float>> renamed;
      for (const auto& [name, value] : values) {
        renamed[prefix + name] = value;
        shapes[prefix + name] = shapes[name];
      }
      if (head) renamed["classifier.bias"] = {1.f}, shapes["classifier.bias"] = {1};
      renamed[prefix + "pooler.dense.bias"] = {1.f}, shapes[prefix + "pooler.dense.bias"] = {1};
      renamed[prefix + "embeddings.position_ids"] = {0.f},
                       shapes[prefix + "embeddings.position_ids"] = {1, 1};
      values = renamed;
    });
  };
  EXPECT_NO_THROW(load_with_prefix("", false));
  EXPECT_NO_THROW(load_with_prefix("bert.", true));
  EXPECT_NO_THROW(load_with_prefix("module.", false));
  EXPECT_THAT(user_error([&] { load_with_prefix("", true); }),
              HasSubstr("\"classifier.bias\" does not belong"));
  // The whole encoder one level too deep would otherwise load as silence and random weights.
  EXPECT_THAT(user_error([&] { load_with_prefix("encoder.", false); }),
              HasSubstr("no tensor \"embeddings.word_embeddings.weight\""));
}

TEST_F(ModelDirectory, NamesTheTensorThatIsWrong) {
  const std::string name = "encoder.layer.1.output.dense.weight";
  const auto refusal_with = [&](const auto& change) {
    return user_error([&] { load_with_tensors(change); });
  };
  EXPECT_THAT(refusal_with([&](auto& values, auto&) { values.erase(name); }),
              HasSubstr("no tensor \"" + name + "\""));
  EXPECT_THAT(
      refusal_with([&](auto&, auto& shapes) { std::swap(shapes[name][0], shapes[name][1]); }),
      HasSubstr("has the shape [32, 16], expected [16, 32]"));
  EXPECT_THAT(refusal_with([&](auto& values, auto&) {
                values[name][3] = std::numeric_limits<float>::quiet_NaN();
              }),
              HasSubstr("not finite"));
  EXPECT_THAT(refusal_with([&](auto& values, auto& shapes) {
                values["encoder.layer.2.output.dense.bias"] = {1.f};
                shapes["encoder.layer.2.output.dense.bias"] = {1};
              }),
              HasSubstr("does not belong to the model that config.json describes"));
  fs::resize_file(directory_ / "model.safetensors",
                  fs::file_size(directory_ / "model.safetensors") - 1);
  EXPECT_THAT(refusal(), HasSubstr("truncated"));
  fs::remove(directory_ / "model.safetensors");
  EXPECT_THAT(refusal(), HasSubstr("model.safetensors: cannot be opened"));
}

TEST_F(ModelDirectory, NamesTheSettingThatIsWrong) {
  using Json = nlohmann::json;
  const auto refusal_with = [&](const std::function<void(Json&)>& change) {
    return user_error([&] { load_with_config(change); });
  };
  const auto own = [&](const char* key, const Json& value) {
    return refusal_with([&](Json& json) { json["barcodemae"][key] = value; });
  };
  const auto bert = [&](const char* key, const Json& value) {
    return refusal_with([&](Json& json) { json[key] = value; });
  };
  EXPECT_THAT(own("format_version", 3), HasSubstr("format 3; barcodemae"));
  EXPECT_THAT(own("format_version", "1"),
              HasSubstr("\"barcodemae.format_version\" must be a whole number"));
  EXPECT_THAT(own("pooling", "max"),
              HasSubstr(std::string("must be one of ") + kPoolingNames + ", found \"max\""));
  for (const char* pooling :
       {"segments:1", "segments:65", "segments:08", "segments:", "segments:8 "}) {
    EXPECT_THAT(own("pooling", pooling), HasSubstr(std::string("found \"") + pooling)) << pooling;
  }
  EXPECT_NO_THROW(
      load_with_config([](Json& json) { json["barcodemae"]["pooling"] = "segments:8"; }));
  EXPECT_THAT(own("pooling", "mean+sites+sites"), HasSubstr("found \"mean+sites+sites"));
  EXPECT_THAT(own("pooling", "mean+sites"), HasSubstr("needs k-mers in marker coordinates"))
      << "this model reads none";
  EXPECT_THAT(own("head", nullptr), HasSubstr("\"barcodemae.head\" must be a string"));
  EXPECT_THAT(own("anchored", true), HasSubstr("marker.json: missing"));
  EXPECT_THAT(bert("barcodemae", Json()), HasSubstr("expected a model made by barcodemae"));
  EXPECT_THAT(bert("hidden_act", "relu"), HasSubstr("\"hidden_act\" must be \"gelu\""));
  EXPECT_THAT(bert("hidden_size", 1e300), HasSubstr("\"hidden_size\" must be a whole number"));
  EXPECT_THAT(bert("hidden_size", 18446744073709551615u), HasSubstr("must be a whole number"));
  EXPECT_THAT(bert("num_attention_heads", 3), HasSubstr("heads"));
  EXPECT_THAT(bert("vocab_size", 19),
              HasSubstr("18 tokens, but config.json has \"vocab_size\": 19"));
  EXPECT_THAT(bert("max_position_embeddings", 19),
              HasSubstr("up to 20 tokens, but only 19 positions"));
  EXPECT_THAT(refusal_with([](Json& json) { json.erase("layer_norm_eps"); }),
              HasSubstr("\"layer_norm_eps\" must be a number from 1e-30 to 1, but is missing"));

  std::string tokens = read("tokenizer.json");
  const auto swap_at = tokens.find("\"AC\": 3");
  ASSERT_NE(swap_at, std::string::npos);
  tokens.replace(swap_at, 7, "\"AC\": 4");
  write("tokenizer.json", tokens);
  EXPECT_THAT(refusal(), HasSubstr("have the same id 4"));
  write("tokenizer.json", "{\n\"a\": 1,\n]");
  EXPECT_THAT(refusal(), HasSubstr("tokenizer.json, line 3: malformed JSON"));
  fs::remove(directory_ / "tokenizer.json");
  EXPECT_THAT(refusal(), HasSubstr("tokenizer.json: missing"));
}

TEST_F(ModelDirectory, KeepsAReadoutInEveryPrecision) {
  const std::string before = model_fingerprint(directory_);
  ModelDescription description = tiny_description();
  description.config.pooling = Pooling(Pooling::kSegments, 3);
  description.readout = some_readout(48, 5, 4);
  for (const WeightType type : {WeightType::kFloat32, WeightType::kBFloat16, WeightType::kInt8}) {
    write_model(directory_, description, *parameters_, false, type);
    const ModelDescription read_again = read_model_description(directory_);
    EXPECT_EQ(read_again.config.pooling, description.config.pooling);
    ASSERT_NE(read_again.readout, nullptr);
    const Readout &found = *read_again.readout, &expected = *description.readout;
    ASSERT_EQ(found.hidden_units(), 4);
    EXPECT_EQ(found.mean, expected.mean);
    const float tolerance = type == WeightType::kFloat32 ? 0 : 1.0f / 256;
    for (const auto& [have, want] : {std::pair{&found.matrix, &expected.matrix},
                                     std::pair{&found.hidden.in, &expected.hidden.in},
                                     std::pair{&found.hidden.out, &expected.hidden.out}}) {
      ASSERT_EQ(have->values.size(), want->values.size());
      for (std::size_t i = 0; i < want->values.size(); ++i) {
        EXPECT_NEAR(have->values[i], want->values[i], tolerance * std::abs(want->values[i]));
      }
    }
    EXPECT_EQ(read_again.embedding_width(), 5);
  }
  EXPECT_THAT(read("config.json"), HasSubstr("\"format_version\": 2"));
  const std::string after = model_fingerprint(directory_);
  EXPECT_NE(after, before);
  std::string changed = read("readout.safetensors");
  changed.back() = static_cast<char>(changed.back() ^ 1);
  write("readout.safetensors", changed);
  EXPECT_NE(model_fingerprint(directory_), after);

  // Without being named it is no part of the model.
  write_model(directory_, tiny_description(), *parameters_, true);
  EXPECT_EQ(read_model_description(directory_).readout, nullptr);
}

TEST_F(ModelDirectory, NamesWhatIsWrongWithAReadout) {
  ModelDescription description = tiny_description();
  description.readout = some_readout(16, 5);
  write_model(directory_, description, *parameters_, true);
  ASSERT_NO_THROW(load());
  const auto with_readout = [&](const Readout& readout) {
    write_readout(directory_ / "readout.safetensors", readout);
    return refusal();
  };
  EXPECT_THAT(with_readout(*some_readout(32, 5)), HasSubstr("readout.safetensors"));
  EXPECT_THAT(with_readout(*some_readout(16, 6)), HasSubstr("\"readout.matrix\""));
  const float infinite = std::numeric_limits<float>::infinity();
  EXPECT_THAT(
      with_readout({std::vector<float>(16, infinite), {5, 16, std::vector<float>(80, 1.0f)}}),
      HasSubstr("not finite"));
  EXPECT_THAT(with_readout(*some_readout(16, 5, 3)),
              HasSubstr("\"readout.hidden.in\" does not belong"));
  const std::vector<float> one{1};
  write_safetensors(directory_ / "readout.safetensors",
                    {{"readout.bias", StoredType::kF32, {1}, one, {}}});
  EXPECT_THAT(refusal(), HasSubstr("\"readout.bias\" does not belong"));
  write("readout.safetensors", "no tensors");
  EXPECT_THAT(refusal(), HasSubstr("readout.safetensors"));
  fs::remove(directory_ / "readout.safetensors");
  EXPECT_THAT(refusal(), HasSubstr("readout.safetensors: missing"));
  const auto named = [&](const nlohmann::json& value) {
    return user_error([&] {
      load_with_config([&](nlohmann::json& json) { json["barcodemae"]["readout"] = value; });
    });
  };
  EXPECT_THAT(named({{"dimensions", 0}}), HasSubstr("\"barcodemae.readout.dimensions\""));
  EXPECT_THAT(named({{"dimensions", 5}, {"hidden_units", -1}}),
              HasSubstr("\"barcodemae.readout.hidden_units\""));
  EXPECT_THAT(named(7), HasSubstr("\"barcodemae.readout\""));
}

TEST_F(ModelDirectory, IsCopiedByteForByteWithAnotherReadout) {
  const fs::path copy = directory_ / "copy";
  fs::create_directories(copy);
  ModelDescription description = read_model_description(directory_);
  description.readout = some_readout(16, 4);
  copy_model(copy, directory_, description);
  const std::string weights = read("model.safetensors"), tokenizer = read("tokenizer.json");
  EXPECT_EQ(read("copy/model.safetensors"), weights);
  EXPECT_EQ(read("copy/tokenizer.json"), tokenizer);
  EXPECT_FALSE(fs::exists(copy / "pretraining.safetensors"));
  EXPECT_EQ(read_model_description(copy).embedding_width(), 4);
}

TEST_F(ModelDirectory, FingerprintFollowsTheContent) {
  const std::string before = model_fingerprint(directory_);
  EXPECT_EQ(model_fingerprint(directory_), before);
  std::vector<float> values = parameters_->download("embeddings.LayerNorm.bias");
  values[0] += 1e-3f;
  parameters_->upload("embeddings.LayerNorm.bias", values);
  write_weights(directory_, *parameters_, false);
  EXPECT_NE(model_fingerprint(directory_), before);
}

TEST_F(ModelDirectory, IsFoundByNameOrPath) {
  const char* before = std::getenv("BARCODEMAE_MODELS");
  const std::string kept = before ? before : "";
  setenv("BARCODEMAE_MODELS", directory_.parent_path().c_str(), 1);
  EXPECT_EQ(find_model(directory_.filename()), fs::canonical(directory_));
  EXPECT_EQ(find_model(directory_), directory_);
  const auto message = [](const fs::path& model) { return user_error([&] { find_model(model); }); };
  EXPECT_THAT(message("no-such-model"),
              HasSubstr(directory_.filename().string()));  // the known ones
  EXPECT_THAT(message(directory_ / "model.safetensors"), HasSubstr("give the folder"));
  EXPECT_THAT(message(directory_.parent_path()), HasSubstr("config.json"));
  before ? setenv("BARCODEMAE_MODELS", kept.c_str(), 1) : unsetenv("BARCODEMAE_MODELS");
}

TEST(ModelDescription, OfEveryObjectiveAndVocabularyIsReadAsWritten) {
  const auto backend = make_reference_backend();
  for (const ObjectiveKind objective :
       {ObjectiveKind::kMaskedAutoencoder, ObjectiveKind::kMaskedAutoencoderSeeing,
        ObjectiveKind::kMaskedLanguageModel, ObjectiveKind::kCausalLanguageModel}) {
    for (const bool with_n : {false, true}) {
      ModelDescription description = tiny_description();
      ModelConfig& config = description.config;
      config.objective = objective;
      config.cls = !config.causal();
      config.pooling = !config.cls ? Pooling(Pooling::kSegments, 7)
                       : with_n    ? Pooling(Pooling::kBoth)
                                   : Pooling(Pooling::kMean);
      config.n_kmers = with_n;
      config.head = HeadKind::kKmer;
      config.predict_n = with_n;
      KmerVocabulary vocabulary{2};
      vocabulary.n_kmers = with_n;
      if (config.cls) vocabulary.specials.emplace_back("[CLS]");
      config.vocabulary = vocabulary.size();
      description.coder.tokenizer = KmerTokenizer(vocabulary, 2, 30);
      const TemporaryFolder folder;
      Parameters parameters(*backend);
      const auto model = make_objective(parameters, config);
      parameters.allocate(false);
      write_model(folder.path(), description, parameters, true);
      const ModelDescription read = read_model_description(folder.path());
      EXPECT_EQ(read.config.objective, objective);
      EXPECT_EQ(read.config.cls, config.cls);
      EXPECT_EQ(read.config.pooling, config.pooling);
      EXPECT_EQ(read.config.n_kmers, with_n);
      EXPECT_EQ(read.config.predict_n, with_n);
      EXPECT_EQ(read.coder.tokenizer.vocabulary().specials, vocabulary.specials);
      EXPECT_EQ(read.coder.tokenizer.vocabulary().size(), vocabulary.size());
      Parameters again(*backend);
      const auto loaded = make_objective(again, read.config);
      again.allocate(false);
      load_encoder(folder.path(), again);
      load_pretraining(folder.path(), again);
    }
  }
}

}  // namespace
}  // namespace barcodemae
