// SPDX-License-Identifier: MIT
// What is imported computes what PyTorch and transformers did, to 1e-5.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "models.h"
#include "user_error.h"

namespace barcodemae {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using Pretraining = ForeignModel::Pretraining;

constexpr std::int64_t kTokens = 9, kWidth = 16, kDecoderWidth = 24, kLabels = 16;

class Import : public testing::Test {
 protected:
  fs::path folder(const std::string& name = "model") const { return temporary_.path() / name; }
  std::string refusal(const std::string& source, const ImportOptions& options = {}) const {
    return user_error([&] { import_model(source, folder("refused"), options); });
  }
  /// A copy of a golden folder to be spoilt.
  fs::path copy(const std::string& name) const {
    fs::copy(kGolden + name, folder(name), fs::copy_options::recursive);
    return folder(name);
  }
  /// The decoder's last hidden states of the imported model, tokens 1, 4 and 5 masked.
  std::vector<float> decoded_states(const std::vector<std::int32_t>& ids) const {
    const auto backend = make_reference_backend();
    Parameters parameters(*backend);
    const MaskedAutoencoder model(parameters, read_model_description(folder()).config);
    parameters.allocate(false);
    load_encoder(folder(), parameters);
    load_pretraining(folder(), parameters);
    const PackedBatch batch = batch_of(ids);
    MaskingPlan plan;
    plan.masked_rows = {1, 4, 5};
    for (std::int32_t row = 0; row < static_cast<std::int32_t>(ids.size()); ++row) {
      if (row != 1 && row != 4 && row != 5) plan.encoder_rows.push_back(row);
    }
    plan.encoder_begins = {0, static_cast<std::int32_t>(plan.encoder_rows.size())};
    return values_of(*backend, [&](Context& context) {
      const Segments segments =
          make_segments(context, batch.begins, batch.records, batch.positions);
      return model.decode(context, model.encode(context, batch, plan), plan, segments);
    });
  }
  TemporaryFolder temporary_;
};

TEST_F(Import, EncoderOfAMaskedAutoencoder) {
  const ForeignModel model = import_model(kGolden + "maelm.pt", folder());
  EXPECT_EQ(model.pretraining(), Pretraining::kNone);
  EXPECT_THAT(model.left_out(),
              ElementsAre("embeddings.position_ids", "pooler.dense.bias", "pooler.dense.weight"));
  const ModelDescription description = read_model_description(folder());
  EXPECT_EQ(description.coder.tokenizer.vocabulary().k, 2);
  EXPECT_EQ(description.coder.tokenizer.max_bases(), 40);
  EXPECT_EQ(description.training.at("epoch"), "3");
  expect_near(hidden_states(folder(), golden_ids()), expected("maelm.hidden", kTokens, kWidth));
}

// "module." names, a transposed tensor, two in one storage, one in bfloat16, stride None.
TEST_F(Import, MaskedLanguageModelWithItsHead) {
  const ForeignModel model = import_model(kGolden + "transformer.pt", folder());
  EXPECT_EQ(model.pretraining(), Pretraining::kHead);
  EXPECT_EQ(model.description().config.objective, ObjectiveKind::kMaskedLanguageModel);
  const std::vector<float> hidden = hidden_states(folder(), golden_ids());
  expect_near(hidden, expected("transformer.hidden", kTokens, kWidth));
  expect_near(logits(folder(), hidden, kLabels), expected("transformer.logits", kTokens, kLabels));
}

TEST_F(Import, WholeMaskedAutoencoder) {
  const ForeignModel imported = import_model(kGolden + "maelm_whole.pt", folder());
  ASSERT_EQ(imported.pretraining(), Pretraining::kAutoencoder);
  const std::vector<std::int32_t> ids = golden_ids();
  expect_near(hidden_states(folder(), ids), expected("maelm_whole.hidden", kTokens, kWidth));
  const std::vector<float> decoded = decoded_states(ids);
  expect_near(decoded, expected("maelm_whole.decoder_hidden", kTokens, kDecoderWidth));
  expect_near(logits(folder(), decoded, kLabels), expected("maelm_whole.logits", kTokens, kLabels));
}

// BarcodeMAE+ puts [CLS] before every sequence; it is seen and decoded as the other tokens.
TEST_F(Import, WholeMaskedAutoencoderBehindCls) {
  const std::string golden = "expected_cls_and_n.safetensors";
  const ForeignModel imported = import_model(kGolden + "maelm_cls.pt", folder());
  ASSERT_EQ(imported.pretraining(), Pretraining::kAutoencoder);
  const ModelDescription description = read_model_description(folder());
  EXPECT_TRUE(description.config.cls);
  EXPECT_EQ(description.config.pooling, Pooling::kMean);
  const TokenSequence tokens = description.coder.encode("ACGT");
  EXPECT_THAT(tokens.ids, ElementsAre(2, 3 + 1, 3 + 11));
  EXPECT_THAT(tokens.positions, ElementsAre(0, 1, 2));
  const std::vector<std::int32_t> ids = golden_ids("cls_ids", golden);
  expect_near(hidden_states(folder(), ids),
              expected("maelm_cls.hidden", kTokens + 1, kWidth, golden));
  const std::vector<float> decoded = decoded_states(ids);
  expect_near(decoded, expected("maelm_cls.decoder_hidden", kTokens + 1, kDecoderWidth, golden));
  expect_near(logits(folder(), decoded, kLabels),
              expected("maelm_cls.logits", kTokens + 1, kLabels, golden));
}

TEST_F(Import, KmersWithN) {
  const std::string golden = "expected_cls_and_n.safetensors";
  const ForeignModel imported = import_model(kGolden + "with_n.pt", folder());
  EXPECT_EQ(imported.pretraining(), Pretraining::kHead);
  const ModelDescription description = read_model_description(folder());
  EXPECT_TRUE(description.config.n_kmers);
  EXPECT_TRUE(description.config.predict_n) << "its head has a row for each";
  const std::vector<std::int32_t> ids = golden_ids("with_n_ids", golden);
  EXPECT_EQ(description.coder.encode("ACGNNNTTNAYATN").ids,
            (std::vector<std::int32_t>(ids.begin(), ids.begin() + 6)))
      << "AC GN NN TT NA, YA is unknown, the trailing N goes";
  const std::vector<float> hidden = hidden_states(folder(), ids);
  expect_near(hidden, expected("with_n.hidden", 7, kWidth, golden));
  expect_near(logits(folder(), hidden, 25), expected("with_n.logits", 7, 25, golden));
}

// As transformers has it, with a vocabulary in another order of its special tokens.
TEST_F(Import, TokenClassifierOfTransformers) {
  for (const std::string source : {"token_classifier", "token_classifier/model.safetensors"}) {
    const ForeignModel model = import_model(kGolden + source, folder());
    EXPECT_EQ(model.pretraining(), Pretraining::kHead);
    EXPECT_EQ(read_model_description(folder()).coder.tokenizer.vocabulary().token(0), "[MASK]");
    expect_near(hidden_states(folder(), golden_ids()),
                expected("token_classifier.hidden", kTokens, kWidth));
  }
}

// The length of the header comes first; with 4224 bytes it looks like a pickle.
TEST_F(Import, SafetensorsMayBeginWithAnyByte) {
  const fs::path weights = copy("token_classifier") / "model.safetensors";
  const std::string plain = read_file(weights);
  constexpr std::size_t kLength = 4224;
  std::string header = plain.substr(
      8, static_cast<unsigned char>(plain[0]) | static_cast<unsigned char>(plain[1]) << 8);
  const std::string tensors = plain.substr(8 + header.size());
  header.resize(kLength, ' ');
  std::string length(8, '\0');
  length[0] = static_cast<char>(kLength & 0xff);
  length[1] = static_cast<char>(kLength >> 8);
  std::ofstream(weights, std::ios::binary) << length << header << tensors;
  EXPECT_NO_THROW(import_model(weights.string(), folder()));
}

TEST_F(Import, BytePairsWithTheirWordsInOurOrder) {
  import_model(kGolden + "bpe_model", folder());
  const SafetensorsFile file(kGolden + "bpe_model/expected.safetensors");
  const SequenceCoder coder = read_model_description(folder()).coder;
  ASSERT_TRUE(coder.bpe);
  const TokenSequence tokens = coder.encode(file.metadata().at("sequence"));
  const auto count = static_cast<std::int64_t>(tokens.ids.size());
  EXPECT_EQ(tokens.ids.front(), 2) << "[CLS]";
  EXPECT_EQ(tokens.ids.back(), 3) << "[SEP]";
  expect_near(hidden_states(folder(), tokens.ids), file.floats("hidden", count, kWidth));
}

TEST_F(Import, SaysWhatIsMissingOrWrong) {
  const fs::path classifier = copy("token_classifier");
  EXPECT_THAT(
      refusal(classifier.string(), {.k = 3, .stride = {}, .max_bases = {}, .tokenizer = {}}),
      HasSubstr("a vocabulary of 2-mers, but --k is 3"));
  std::ofstream(classifier / "vocab.txt", std::ios::app) << "<CLS>\n";
  EXPECT_THAT(refusal(classifier.string()),
              HasSubstr("nothing says that sequences begin with it\nGive --cls if they do."));
  EXPECT_THAT(refusal(classifier.string(),
                      {.k = {}, .stride = {}, .max_bases = {}, .tokenizer = {}, .cls = true}),
              HasSubstr("19 tokens, but the model has 18 words"));
  fs::remove(classifier / "vocab.txt");
  EXPECT_THAT(refusal(classifier.string()), HasSubstr("Give --k"));
  EXPECT_THAT(
      refusal(classifier.string(), {.k = 4, .stride = {}, .max_bases = {}, .tokenizer = {}}),
      HasSubstr("18 words, but k = 4 makes 258"));
  EXPECT_NO_THROW(import_model(classifier.string(), folder(),
                               {.k = 2, .stride = {}, .max_bases = {}, .tokenizer = {}}));
  EXPECT_THAT(
      refusal(classifier.string(), {.k = 2, .stride = {}, .max_bases = 600, .tokenizer = {}}),
      HasSubstr("up to 300 tokens, but the model has 24 positions"));
  fs::remove(classifier / "config.json");
  EXPECT_THAT(refusal(classifier.string()), HasSubstr("config.json: missing"));
  EXPECT_THAT(refusal(kGolden + "legacy.pt"), HasSubstr("tools/convert_checkpoint"));
  EXPECT_THAT(refusal(kGolden + "none.pt"), HasSubstr("no such file"));
  EXPECT_THAT(
      refusal(kGolden + "bpe_model", {.k = 2, .stride = {}, .max_bases = {}, .tokenizer = {}}),
      HasSubstr("byte pairs, not k-mers"));
  EXPECT_THAT(
      refusal(
          kGolden + "token_classifier",
          {.k = {}, .stride = {}, .max_bases = {}, .tokenizer = kGolden + "bpe_whitespace.json"}),
      HasSubstr("but the model has 18 words"));
}

// What the authors' code would make of it is not known, or not defined.
TEST_F(Import, AClsThatStandsNowhereIsRefused) {
  const fs::path classifier = copy("token_classifier");
  nlohmann::json config = nlohmann::json::parse(read_file(classifier / "config.json"));
  config["use_cls_token"] = false;
  std::ofstream(classifier / "config.json") << config;
  EXPECT_NO_THROW(import_model(classifier.string(), folder()));
  EXPECT_THAT(refusal(classifier.string(),
                      {.k = {}, .stride = {}, .max_bases = {}, .tokenizer = {}, .cls = true}),
              HasSubstr("but --cls given"));
  std::ofstream(classifier / "vocab.txt", std::ios::app) << "[CLS]\n";
  EXPECT_THAT(refusal(classifier.string()), HasSubstr("training without it (use_cls_token)"));
  EXPECT_THAT(refusal(kGolden + "bpe_model",
                      {.k = {}, .stride = {}, .max_bases = {}, .tokenizer = {}, .cls = true}),
              HasSubstr("byte pairs"));
}

// An encoder loaded in part would embed as if nothing were wrong.
TEST_F(Import, ConfigOfAnotherModelIsRefused) {
  const fs::path classifier = copy("token_classifier");
  std::ifstream stream(classifier / "config.json");
  const nlohmann::json config = nlohmann::json::parse(stream);
  const auto change = [&](const char* key, const nlohmann::json& value) {
    nlohmann::json changed = config;
    changed[key] = value;
    std::ofstream(classifier / "config.json") << changed;
  };
  const auto refusal_with = [&](const char* key, const nlohmann::json& value) {
    change(key, value);
    return refusal(classifier.string());
  };
  EXPECT_THAT(refusal_with("num_hidden_layers", 1), HasSubstr("encoder.layer.1."));
  EXPECT_THAT(refusal_with("num_hidden_layers", 3), HasSubstr("is missing"));
  EXPECT_THAT(refusal_with("intermediate_size", 64), HasSubstr("has the shape [32, 16]"));
  EXPECT_THAT(refusal_with("hidden_act", "relu"), HasSubstr("hidden_act"));
  EXPECT_THAT(refusal_with("position_embedding_type", "relative_key"), HasSubstr("position_emb"));
  EXPECT_THAT(refusal_with("num_attention_heads", 5), HasSubstr("heads is 5"));
  EXPECT_THAT(refusal_with("vocab_size", 19), HasSubstr("has 19 words"));
  EXPECT_THAT(refusal_with("use_cls_token", true), HasSubstr("but the vocabulary has no [CLS]"));
  EXPECT_THAT(refusal_with("tokenize_n_nucleotide", true),
              HasSubstr("k-mers with N are tokens in training"));
  change("num_labels", 16);
  EXPECT_NO_THROW(import_model(classifier.string(), folder()));
  change("is_decoder", true);
  EXPECT_NO_THROW(import_model(classifier.string(), folder()));
  EXPECT_TRUE(read_model_description(folder()).config.causal());
}

}  // namespace
}  // namespace barcodemae
