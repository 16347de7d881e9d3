// SPDX-License-Identifier: MIT
#include "interop/checkpoint_facts.h"

#include <array>
#include <fstream>

#include "base/error.h"
#include "base/file_content.h"
#include "formats/json.h"
#include "interop/torch_file.h"

namespace barcodemae {
namespace {

namespace fs = std::filesystem;

constexpr int kMostDepth = 4;
constexpr int kMostJsonItems = 4096;

/// A pickled value as JSON, as far as it is plain: objects by their attributes, texts that are
/// UTF-8; what is deeper, longer or anything else is left out as null.
nlohmann::json plain(const Pickle& pickle, Pickle::Id id, int& budget, int depth = 0) {
  using Kind = Pickle::Kind;
  // Values may hold one another many times over.
  if (--budget < 0) return nullptr;
  const Pickle::Node* node = &pickle[id];
  if (node->kind == Kind::kCall && node->state) node = &pickle[*node->state];
  switch (node->kind) {
    case Kind::kBoolean:
      return node->integer != 0;
    case Kind::kInteger:
      return node->integer;
    case Kind::kReal:
      return node->real;
    case Kind::kText: {
      nlohmann::json text = std::string(node->text);
      // dump() throws at what is no UTF-8.
      return nlohmann::json::parse(
          text.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    }
    case Kind::kDictionary: {
      nlohmann::json object = nlohmann::json::object();
      if (depth >= kMostDepth || node->items.size() > std::size_t{kMostJsonItems}) return object;
      for (std::size_t i = 0; i + 1 < node->items.size(); i += 2) {
        const nlohmann::json key = plain(pickle, node->items[i], budget, kMostDepth);
        if (key.is_string())
          object[key.get<std::string>()] = plain(pickle, node->items[i + 1], budget, depth + 1);
      }
      return object;
    }
    default:
      return nullptr;
  }
}

nlohmann::json plain(const Pickle& pickle, Pickle::Id id) {
  int budget = kMostJsonItems;
  return plain(pickle, id, budget);
}

std::optional<std::string> read_text(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored) ? file_content(path) : std::nullopt;
}

void read_tokenizer_files(const fs::path& folder, CheckpointFacts& facts) {
  facts.tokenizer_json = read_text(folder / "tokenizer.json");
  facts.tokenizer_source = (folder / "tokenizer.json").string();
  if (!facts.tokenizer_json) {
    facts.vocabulary_text = read_text(folder / "vocab.txt");
    if (facts.vocabulary_text) facts.tokenizer_source = (folder / "vocab.txt").string();
  }
}

/// config.json of a folder: a BertConfig; k, stride, length, [CLS] and N in it or in
/// tokenizer_config.json; what tools/convert_checkpoint kept of a checkpoint in "barcodebert".
void read_folder_config(const fs::path& folder, CheckpointFacts& facts) {
  const fs::path path = folder / "config.json";
  std::error_code ignored;
  if (!fs::exists(path, ignored))
    throw UserError(
        "{}: missing; weights alone do not say what model they are of\n"
        "Put the config.json (a BertConfig) that belongs to {} beside it.",
        path.string(), fs::path(facts.source).filename().string());
  facts.bert = read_json_object(path);
  if (facts.bert.contains("barcodemae")) {
    throw UserError(
        "{}: a model of this program, which needs no import (and would lose marker and readout)\n"
        "Use the folder as it is: barcodemae embed {} DATA --out X.npy",
        folder.string(), folder.string());
  }
  for (const char* name : {"config.json", "tokenizer_config.json"}) {
    if (!fs::exists(folder / name, ignored)) continue;
    const nlohmann::json config = read_json_object(folder / name);
    for (const char* key : {"k", "k_mer", "kmer", "stride", "max_len"})
      if (config.contains(key) && config[key].is_number_integer()) facts.run[key] = config[key];
    for (const char* key : {"use_cls_token", "tokenize_n_nucleotide"})
      if (config.contains(key) && config[key].is_boolean()) facts.run[key] = config[key];
  }
  if (facts.bert.contains("barcodebert") && facts.bert["barcodebert"].is_object()) {
    const nlohmann::json kept = facts.bert["barcodebert"];
    if (kept.contains("config") && kept["config"].is_object()) facts.run.update(kept["config"]);
    if (kept.contains("counts") && kept["counts"].is_object()) facts.counts = kept["counts"];
    if (kept.contains("decoder_config") && kept["decoder_config"].is_object())
      facts.decoder = kept["decoder_config"];
  }
  read_tokenizer_files(folder, facts);
}

/// A zip archive, or before PyTorch 1.6 a pickle. A safetensors file may begin with any bytes, its
/// header's length, but the header itself begins with a brace.
bool is_torch_file(const fs::path& path) {
  constexpr std::size_t kLengthBytes = 8;
  std::array<char, kLengthBytes + 1> head{};
  std::ifstream(path, std::ios::binary).read(head.data(), head.size());
  if (head[kLengthBytes] == '{') return false;
  const std::string_view begin(head.data(), head.size());
  return begin.starts_with("PK") || begin.starts_with('\x80');
}

void read_torch_file(const fs::path& path, CheckpointFacts& facts) {
  const auto file = std::make_shared<const TorchFile>(path.string());
  const Pickle& pickle = file->pickle();
  const auto model = pickle.find(pickle.root(), "model");
  const auto bert = pickle.find(pickle.root(), "bert_config");
  if (!model || pickle[*model].kind != Pickle::Kind::kDictionary) {
    // Weights alone, as pytorch_model.bin has them.
    facts.tensors = open_state_dict(file, pickle.root());
    if (facts.tensors->shapes().empty())
      throw UserError(
          "{}: expected a checkpoint with \"model\" and \"bert_config\", or weights alone, found "
          "neither\nBarcodeBERT's and BarcodeMAE's code writes such checkpoints.",
          path.string());
    read_folder_config(path.parent_path(), facts);
    return;
  }
  facts.tensors = open_state_dict(file, *model);
  if (!bert)
    throw UserError(
        "{}: the checkpoint has \"model\" but no \"bert_config\": its shape is unknown\n"
        "Convert it with tools/convert_checkpoint and complete config.json.",
        path.string());
  facts.bert = plain(pickle, *bert);
  if (!facts.bert.is_object())
    throw UserError("{}: \"bert_config\" is no dictionary: the model's shape is unknown",
                    path.string());
  const auto object = [&](const char* key, nlohmann::json& place) {
    const auto found = pickle.find(pickle.root(), key);
    nlohmann::json value = found ? plain(pickle, *found) : nlohmann::json();
    if (value.is_object()) place = std::move(value);
  };
  object("config", facts.run);
  object("decoder_config", facts.decoder);
  for (const char* key : {"epoch", "total_step", "n_samples_seen", "max_accuracy", "best_epoch"}) {
    if (const auto count = pickle.find(pickle.root(), key)) {
      const nlohmann::json value = plain(pickle, *count);
      if (value.is_number()) facts.counts[key] = value;
    }
  }
}

}  // namespace

CheckpointFacts read_checkpoint_facts(const fs::path& path) {
  CheckpointFacts facts;
  std::error_code ignored;
  if (!fs::exists(path, ignored)) throw UserError("{}: no such file or folder", path.string());
  fs::path weights = path;
  if (fs::is_directory(path, ignored)) {
    weights.clear();
    for (const char* name : {"model.safetensors", "pytorch_model.bin"})
      if (weights.empty() && fs::exists(path / name, ignored)) weights = path / name;
    if (weights.empty() && fs::exists(path / "model.safetensors.index.json", ignored))
      throw UserError(
          "{}: weights in several files cannot be read\n"
          "Save them as one: model.save_pretrained(FOLDER, max_shard_size=\"99GB\")",
          path.string());
    if (weights.empty())
      throw UserError("{}: expected model.safetensors (or pytorch_model.bin) and config.json in it",
                      path.string());
  }
  facts.source = weights.string();
  facts.run = facts.counts = nlohmann::json::object();
  if (is_torch_file(weights)) {
    read_torch_file(weights, facts);
  } else {
    facts.tensors = open_safetensors(weights.string());
    read_folder_config(weights.parent_path(), facts);
  }
  return facts;
}

}  // namespace barcodemae
