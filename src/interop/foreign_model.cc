// SPDX-License-Identifier: MIT
#include "interop/foreign_model.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "backend/reference/reference_backend.h"
#include "base/error.h"
#include "formats/json.h"
#include "nn/objective.h"

namespace barcodemae {
namespace {

constexpr const char* kWords = "embeddings.word_embeddings.weight";
constexpr const char* kDecoder = "decoder.bert.";
constexpr const char* kDecoderHead = "decoder.classifier.";

/// Without what data parallelism and torch.compile put before names.
std::string plain_name(std::string_view name) {
  for (bool found = true; found;) {
    found = false;
    for (const std::string_view prefix : {"module.", "_orig_mod."}) {
      if (!name.starts_with(prefix)) continue;
      name.remove_prefix(prefix.size());
      found = true;
    }
  }
  return std::string(name);
}

TransformerConfig read_transformer(const JsonReader& bert) {
  constexpr std::int64_t kMost = 1 << 24;
  TransformerConfig config;  // BertConfig's defaults where the file leaves them out
  config.width =
      bert.has("hidden_size") ? static_cast<int>(bert.integer("hidden_size", 1, kMost)) : 768;
  config.layers = static_cast<int>(bert.integer("num_hidden_layers", 1, kMost));
  config.heads = static_cast<int>(bert.integer("num_attention_heads", 1, kMost));
  config.feed_forward = bert.has("intermediate_size")
                            ? static_cast<int>(bert.integer("intermediate_size", 1, kMost))
                            : 3072;
  config.norm_epsilon = bert.has("layer_norm_eps")
                            ? static_cast<float>(bert.number("layer_norm_eps", 1e-30, 1))
                            : 1e-12f;
  for (const auto& [key, value] :
       {std::pair{"hidden_act", "gelu"}, std::pair{"position_embedding_type", "absolute"}})
    if (bert.has(key) && bert.text(key) != value) bert.fail(key, fmt::format("\"{}\"", value));
  return config;
}

}  // namespace

ForeignModel::ForeignModel(const std::filesystem::path& path, const ImportOptions& options)
    : facts_(read_checkpoint_facts(path)) {
  find_parts();
  read_config(options);
  check_tensors();
}

void ForeignModel::find_parts() {
  for (const auto& [name, shape] : facts_.tensors->shapes()) {
    if (const auto [place, added] = files_names_.emplace(plain_name(name), name); !added)
      throw UserError("{}: the tensors \"{}\" and \"{}\" are the same of two models", facts_.source,
                      place->second, name);
  }
  const auto has = [&](const std::string& name) { return files_names_.count(name) != 0; };
  const auto run_says = [&](const char* key) {
    const auto found = facts_.run.find(key);
    return found != facts_.run.end() && *found == true;
  };
  if (has("register_tokens") || has("jumbo_token") || run_says("jumbo"))
    throw UserError(
        "{}: a model with register or jumbo tokens\nThe engine has no such encoder; only plain "
        "BERT encoders can be imported.",
        facts_.source);
  bool found = false;
  for (const char* prefix : {"", "bert.", "encoder.", "encoder.bert."}) {
    if (found || !has(std::string(prefix) + kWords)) continue;
    encoder_prefix_ = prefix;
    found = true;
  }
  if (!found)
    throw UserError(
        "{}: no BERT encoder in it: expected a tensor \"{}\", alone or after \"bert.\"\n"
        "Its first tensor is \"{}\".",
        facts_.source, kWords, files_names_.empty() ? "none" : files_names_.begin()->second);
  if (has(std::string(kDecoder) + kWords) && has("projection_layer.weight") &&
      facts_.decoder.is_object()) {
    pretraining_ = Pretraining::kAutoencoder;
    head_prefix_ = kDecoderHead;
  } else if (has("classifier.weight")) {
    pretraining_ = Pretraining::kHead;
    head_prefix_ = "classifier.";
  }
}

void ForeignModel::read_config(const ImportOptions& options) {
  const JsonReader bert(facts_.bert, facts_.source + ": bert_config");
  ModelConfig& config = description_.config;
  if (bert.has("model_type") && bert.text("model_type") != "bert")
    bert.fail("model_type", "\"bert\"");
  config.encoder = read_transformer(bert);
  config.decoder =
      pretraining_ == Pretraining::kAutoencoder
          ? read_transformer(JsonReader(facts_.decoder, facts_.source + ": decoder_config"))
          : config.encoder;
  if (pretraining_ == Pretraining::kHead) config.objective = ObjectiveKind::kMaskedLanguageModel;
  if (bert.has("is_decoder") && bert.boolean("is_decoder")) {  // causal attention, in use too
    if (pretraining_ == Pretraining::kAutoencoder) bert.fail("is_decoder", "false");
    config.objective = ObjectiveKind::kCausalLanguageModel;
  }
  config.vocabulary = static_cast<int>(bert.integer("vocab_size", 1, 1 << 24));
  config.max_positions = bert.has("max_position_embeddings")
                             ? static_cast<int>(bert.integer("max_position_embeddings", 1, 1 << 20))
                             : 512;
  if (bert.has("type_vocab_size")) bert.integer("type_vocab_size", 2, 2);
  if (bert.has("hidden_dropout_prob"))
    config.dropout = static_cast<float>(bert.number("hidden_dropout_prob", 0, 0.99));

  ForeignTokenizer tokenizer =
      read_foreign_tokenizer(facts_, options, config.vocabulary, config.max_positions);
  if (tokenizer.coder.bpe) {
    config.bpe_specials = tokenizer.coder.bpe->vocabulary().specials;
  } else {
    const KmerVocabulary& kmers = tokenizer.coder.tokenizer.vocabulary();
    config.k = kmers.k;
    config.n_kmers = kmers.n_kmers;
    config.cls = kmers.cls() >= 0;
  }
  description_.coder = std::move(tokenizer.coder);
  id_in_file_ = std::move(tokenizer.id_in_file);
  try {
    validate(config);
  } catch (const UserError& error) {
    throw UserError("{}: {}", facts_.source, error.what());
  }

  // A head over something else (species, say), or over k-mers in another order, is not for masked
  // tokens.
  if (pretraining_ != Pretraining::kNone) {
    const auto shape = facts_.tensors->shapes().at(files_names_.at(head_prefix_ + "weight"));
    const bool in_order =
        std::is_sorted(id_in_file_.begin() + config.first_kmer(), id_in_file_.end());
    config.predict_n =
        config.n_kmers && !shape.empty() && shape[0] == std::int64_t{config.all_kmers()};
    if (shape != std::vector<std::int64_t>{config.predicted_kmers(), config.decoder.width} ||
        !in_order || files_names_.count(head_prefix_ + "bias") == 0) {
      pretraining_ = Pretraining::kNone;
      config.predict_n = false;
    }
  }
  auto& training = description_.training;
  training["imported_from"] =
      nlohmann::json(std::filesystem::path(facts_.source).filename().string())
          .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  for (const auto& [name, value] : facts_.counts.items())
    if (value.is_number()) training[name] = value.dump();
}

std::string ForeignModel::name_in_file(const std::string& name) const {
  std::string plain;
  if (name.starts_with("embeddings.") || name.starts_with("encoder.")) {
    plain = encoder_prefix_ + name;
  } else if (name.starts_with("projection.")) {
    plain = "projection_layer." + name.substr(std::string_view("projection.").size());
  } else if (name == kMaskVectorName) {
    plain = std::string(kDecoder) + kWords;
  } else if (name.starts_with("head.")) {
    plain = head_prefix_ + name.substr(std::string_view("head.").size());
  } else {
    plain = kDecoder + name.substr(std::string_view("decoder.").size());
  }
  const auto found = files_names_.find(plain);
  if (found == files_names_.end())
    throw UserError(
        "{}: the tensor \"{}\" is missing\nThe file is incomplete, or its config is of "
        "another model.",
        facts_.source, plain);
  return found->second;
}

void ForeignModel::declare(Parameters& parameters) const {
  if (pretraining_ == Pretraining::kNone) {
    const Encoder declared(parameters, description_.config);
  } else {
    make_objective(parameters, description_.config);
  }
}

void ForeignModel::check_tensors() {
  // Shapes alone: nothing is allocated for a config that the weights do not fit.
  const auto backend = make_reference_backend();
  Parameters parameters(*backend);
  declare(parameters);
  std::set<std::string> used;
  for (const auto& [name, rows, cols, matmul] : parameters.names()) {
    const std::string file_name = name_in_file(name);
    used.insert(file_name);
    const std::vector<std::int64_t>& shape = facts_.tensors->shapes().at(file_name);
    const bool table = name == kMaskVectorName;  // its first row
    const std::vector<std::int64_t> expected =
        rows == 1 && !table && shape.size() == 1
            ? std::vector{cols}
            : std::vector{table && !shape.empty() ? shape[0] : rows, cols};
    if (shape != expected || (table && shape[0] < 1))
      throw UserError(
          "{}: the tensor \"{}\" has the shape [{}], expected [{}]\n"
          "Its config is of another model.",
          facts_.source, file_name, fmt::join(shape, ", "), fmt::join(expected, ", "));
  }
  // More layers than the config says would be left out in silence otherwise.
  for (const auto& [plain, name] : files_names_) {
    if (used.count(name) != 0) continue;
    const std::string_view rest = std::string_view(plain);
    const bool layer = rest.starts_with(encoder_prefix_ + "encoder.layer.") ||
                       rest.starts_with(encoder_prefix_ + "embeddings.");
    if (layer && !rest.ends_with("embeddings.position_ids") &&
        !rest.ends_with("embeddings.token_type_ids"))
      throw UserError("{}: the tensor \"{}\" is not one of the model that its config describes",
                      facts_.source, name);
    left_out_.push_back(name);
  }
}

void ForeignModel::load(Parameters& parameters) const {
  const auto width = static_cast<std::size_t>(description_.config.encoder.width);
  for (const auto& [name, rows, cols, matmul] : parameters.names()) {
    const std::string file_name = name_in_file(name);
    std::vector<float> values = facts_.tensors->floats(file_name);
    if (name == kMaskVectorName) values.resize(static_cast<std::size_t>(cols));
    if (!std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); }))
      throw UserError(
          "{}: the tensor \"{}\" holds values that are not finite\n"
          "The training that wrote it diverged; use an earlier checkpoint.",
          facts_.source, file_name);
    if (name == kWords) {
      std::vector<float> ordered;
      ordered.reserve(values.size());
      for (const std::int32_t id : id_in_file_) {
        const auto row =
            values.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(id) * width);
        ordered.insert(ordered.end(), row, row + static_cast<std::ptrdiff_t>(width));
      }
      values = std::move(ordered);
    }
    parameters.upload(name, values);
  }
}

}  // namespace barcodemae
