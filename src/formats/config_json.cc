// SPDX-License-Identifier: MIT
#include "formats/config_json.h"

#include <limits>

#include "barcodemae_version.h"
#include "base/error.h"
#include "formats/json.h"

namespace barcodemae {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMostBases = 1 << 20;

/// The decimal number a person would write: 1e-12, not 9.999999960041972e-13.
double shortest(float value) { return std::stod(fmt::format("{}", value)); }

const char* name_of(HeadKind head) { return head == HeadKind::kBase ? "base" : "kmer"; }
const char* name_of(KmerInitialisation kind) {
  return kind == KmerInitialisation::kBases ? "bases" : "random";
}

const std::vector<ObjectiveKind> kObjectives = {
    ObjectiveKind::kMaskedAutoencoder, ObjectiveKind::kMaskedAutoencoderSeeing,
    ObjectiveKind::kMaskedLanguageModel, ObjectiveKind::kCausalLanguageModel};

/// The oldest format whose readers understand the model: what they do not know of is in version 2.
int format_version(const ModelDescription& description) {
  const ModelConfig& config = description.config;
  const bool first = config.objective == ObjectiveKind::kMaskedAutoencoder &&
                     config.bpe_specials == 0 && !config.cls && !config.n_kmers &&
                     config.pooling == Pooling::kMean && description.readout == nullptr;
  return first ? 1 : kModelFormatVersion;
}

/// The index of a word among the allowed ones.
int choice(const JsonReader& object, const char* key, const std::vector<std::string>& words) {
  const std::string word = object.text(key);
  for (std::size_t i = 0; i < words.size(); ++i)
    if (word == words[i]) return static_cast<int>(i);
  object.fail(key, fmt::format("\"{}\"", fmt::join(words, "\" or \"")));
}

Pooling read_pooling(const JsonReader& object) {
  const std::optional<Pooling> pooling = parse_pooling(object.text("pooling"));
  if (!pooling) object.fail("pooling", std::string("one of ") + kPoolingNames);
  return *pooling;
}

/// Ranges here keep numbers in their types; validate() then decides what a model can be.
TransformerConfig read_transformer(const JsonReader& object) {
  constexpr std::int64_t kMost = 1 << 24;
  TransformerConfig config;
  config.width = static_cast<int>(object.integer("hidden_size", 1, kMost));
  config.layers = static_cast<int>(object.integer("num_hidden_layers", 1, kMost));
  config.heads = static_cast<int>(object.integer("num_attention_heads", 1, kMost));
  config.feed_forward = static_cast<int>(object.integer("intermediate_size", 1, kMost));
  config.norm_epsilon = static_cast<float>(object.number("layer_norm_eps", 1e-30, 1));
  return config;
}

void write_transformer(Json& object, const TransformerConfig& config) {
  object["hidden_size"] = config.width;
  object["num_hidden_layers"] = config.layers;
  object["num_attention_heads"] = config.heads;
  object["intermediate_size"] = config.feed_forward;
  object["layer_norm_eps"] = shortest(config.norm_epsilon);
}

}  // namespace

std::string write_config_json(const ModelDescription& description) {
  const ModelConfig& config = description.config;
  const KmerTokenizer& tokenizer = description.coder.tokenizer;
  Json json;
  json["architectures"] = {"BertModel"};
  json["model_type"] = "bert";
  json["vocab_size"] = config.vocabulary;
  write_transformer(json, config.encoder);
  json["hidden_act"] = "gelu";
  json["hidden_dropout_prob"] = shortest(config.dropout);
  json["attention_probs_dropout_prob"] = shortest(config.dropout);
  json["max_position_embeddings"] = config.max_positions;
  json["position_embedding_type"] = "absolute";
  json["type_vocab_size"] = 2;
  json["initializer_range"] = 0.02;
  json["pad_token_id"] = KmerVocabulary::kMask;
  if (config.causal()) json["is_decoder"] = true;  // BertModel's word for causal attention
  // bfloat16 files are for storage: hidden states are to come out in float32 all the same.
  json["torch_dtype"] = "float32";

  Json& own = json["barcodemae"];
  own["format_version"] = format_version(description);
  own["written_by"] = BARCODEMAE_VERSION;
  if (const auto& bpe = description.coder.bpe) {
    own["tokenizer"] = {{"type", "bpe"},
                        {"specials", bpe->vocabulary().specials},
                        {"max_tokens", bpe->max_tokens()}};
  } else {
    own["tokenizer"] = {{"type", "kmer"},
                        {"k", tokenizer.vocabulary().k},
                        {"stride", tokenizer.stride()},
                        {"max_bases", tokenizer.max_bases()},
                        {"n_kmers", config.n_kmers},
                        {"cls", config.cls}};
  }
  own["pooling"] = to_string(config.pooling);
  if (const auto& readout = description.readout) {
    own["readout"] = {{"dimensions", readout->dimensions()}};
    if (readout->hidden_units() > 0) own["readout"]["hidden_units"] = readout->hidden_units();
  }
  own["anchored"] = description.coder.profile.has_value();
  own["objective"] = to_string(config.objective);
  if (config.has_decoder()) write_transformer(own["decoder"], config.decoder);
  own["head"] = name_of(config.head);
  if (config.predict_n) own["predict_n"] = true;
  own["kmer_initialisation"] = name_of(config.kmer_initialisation);
  own["training"] = Json::object();
  for (const auto& [name, value] : description.training) own["training"][name] = Json::parse(value);
  return json.dump(2) + "\n";
}

ConfigContent read_config_json(std::string_view text, const std::string& source) {
  const nlohmann::json json = parse_json_object(text, source);
  const JsonReader bert(json, source);
  if (!bert.has("barcodemae"))
    throw UserError(
        "{}: expected a model made by barcodemae, found no \"barcodemae\" object\n"
        "Pretrain one with: barcodemae pretrain DATA --out DIR",
        source);
  const JsonReader own = bert.object("barcodemae");
  const auto version = own.integer("format_version", 1, std::numeric_limits<std::int64_t>::max());
  if (version > kModelFormatVersion)
    throw UserError(
        "{}: the model is of format {}; barcodemae {} reads up to format {}\n"
        "Use a newer barcodemae.",
        source, version, BARCODEMAE_VERSION, kModelFormatVersion);

  ConfigContent content;
  ModelConfig& config = content.config;
  choice(bert, "model_type", {"bert"});
  choice(bert, "hidden_act", {"gelu"});
  if (bert.has("position_embedding_type")) choice(bert, "position_embedding_type", {"absolute"});
  config.encoder = read_transformer(bert);
  config.vocabulary =
      static_cast<int>(bert.integer("vocab_size", 1, std::numeric_limits<int>::max()));
  config.max_positions =
      static_cast<int>(bert.integer("max_position_embeddings", 1, std::numeric_limits<int>::max()));
  bert.integer("type_vocab_size", 2, 2);
  config.dropout = static_cast<float>(bert.number("hidden_dropout_prob", 0, 1));
  if (bert.number("attention_probs_dropout_prob", 0, 1) != bert.number("hidden_dropout_prob", 0, 1))
    bert.fail("attention_probs_dropout_prob", "equal to \"hidden_dropout_prob\"");

  const JsonReader tokenizer = own.object("tokenizer");
  if (choice(tokenizer, "type", {"kmer", "bpe"}) == 1) {
    config.bpe_specials = static_cast<int>(tokenizer.integer("specials", 2, config.vocabulary));
    content.bpe_max_tokens = static_cast<int>(tokenizer.integer("max_tokens", 1, kMostBases));
  } else {
    config.k = static_cast<int>(tokenizer.integer("k", 1, 10));
    content.stride = static_cast<int>(tokenizer.integer("stride", 1, kMostBases));
    content.max_bases = static_cast<int>(tokenizer.integer("max_bases", config.k, kMostBases));
    if (tokenizer.has("n_kmers")) config.n_kmers = tokenizer.boolean("n_kmers");
    if (tokenizer.has("cls")) config.cls = tokenizer.boolean("cls");
  }
  config.pooling = read_pooling(own);
  if (own.has("readout")) {
    constexpr std::int64_t kMost = 1 << 20;
    const JsonReader readout = own.object("readout");
    content.readout_dimensions = static_cast<int>(readout.integer("dimensions", 1, kMost));
    if (readout.has("hidden_units")) {
      content.readout_hidden_units =
          static_cast<int>(readout.integer("hidden_units", 1, kMostHiddenUnits));
    }
  }
  content.anchored = own.boolean("anchored");
  if (own.has("objective")) {  // older files do not say: mae
    std::vector<std::string> names;
    names.reserve(kObjectives.size());
    for (const ObjectiveKind objective : kObjectives) names.emplace_back(to_string(objective));
    config.objective = kObjectives[static_cast<std::size_t>(choice(own, "objective", names))];
  }
  config.decoder = config.has_decoder() ? read_transformer(own.object("decoder"))
                                        : TransformerConfig{0, 0, 0, 0};
  config.head = choice(own, "head", {"kmer", "base"}) ? HeadKind::kBase : HeadKind::kKmer;
  if (own.has("predict_n")) config.predict_n = own.boolean("predict_n");
  config.kmer_initialisation = choice(own, "kmer_initialisation", {"random", "bases"})
                                   ? KmerInitialisation::kBases
                                   : KmerInitialisation::kRandom;
  for (const auto& [name, value] : own.object("training").json().items())
    content.training[name] = value.dump();
  try {
    validate(config);
  } catch (const UserError& error) {
    throw UserError("{}: {}", source, error.what());
  }
  return content;
}

}  // namespace barcodemae
