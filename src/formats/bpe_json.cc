// SPDX-License-Identifier: MIT
#include "formats/bpe_json.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "base/error.h"
#include "formats/json.h"
#include "formats/tokenizer_json.h"

namespace barcodemae {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kMostTokens = 1 << 22;

/// null, "type" among those that leave upper-case letters as they are, or a sequence of such.
void require_harmless(const JsonReader& object, const char* key, const char* list,
                      const std::set<std::string>& harmless) {
  if (!object.has(key)) return;
  const JsonReader step = object.object(key);
  const std::string type = step.text("type");
  if (type == "Sequence") {
    const nlohmann::json& steps = step.value(list);
    if (!steps.is_array()) step.fail(list, "an array");
    for (const nlohmann::json& inner : steps) {
      if (!inner.is_object() || !inner.contains("type") || !inner["type"].is_string() ||
          harmless.count(inner["type"].get<std::string>()) == 0)
        step.fail(list, fmt::format("steps of type {}", fmt::join(harmless, ", ")));
      if (inner.value("add_prefix_space", nlohmann::json(false)) == true)
        step.fail(list, "without \"add_prefix_space\"");
    }
    return;
  }
  if (harmless.count(type) == 0)
    step.fail("type", fmt::format("one of {}", fmt::join(harmless, ", ")));
  if (step.has("add_prefix_space") && step.boolean("add_prefix_space"))
    step.fail("add_prefix_space", "false");
}

/// What the post-processor puts around a sequence, as tokens.
void read_template(const JsonReader& file, std::vector<std::string>& prefix,
                   std::vector<std::string>& suffix) {
  if (!file.has("post_processor")) return;
  const JsonReader processor = file.object("post_processor");
  const std::string type = processor.text("type");
  if (type == "ByteLevel") return;
  if (type == "BertProcessing") {
    for (const auto& [key, place] : {std::pair{"cls", &prefix}, std::pair{"sep", &suffix}}) {
      const nlohmann::json& token = processor.value(key);
      if (!token.is_array() || token.size() != 2 || !token[0].is_string())
        processor.fail(key, "a token and its id");
      place->push_back(token[0].get<std::string>());
    }
    return;
  }
  if (type != "TemplateProcessing")
    processor.fail("type", "TemplateProcessing, BertProcessing or ByteLevel");
  const nlohmann::json& single = processor.value("single");
  if (!single.is_array()) processor.fail("single", "an array");
  int sequences = 0;
  for (const nlohmann::json& piece : single) {
    if (piece.is_object() && piece.contains("Sequence")) {
      ++sequences;
    } else if (piece.is_object() && piece.contains("SpecialToken") &&
               piece["SpecialToken"].is_object() &&
               piece["SpecialToken"].value("id", nlohmann::json()).is_string()) {
      (sequences == 0 ? prefix : suffix).push_back(piece["SpecialToken"]["id"].get<std::string>());
    } else {
      processor.fail("single", "made of Sequence and SpecialToken");
    }
  }
  if (sequences != 1) processor.fail("single", "one Sequence among special tokens");
}

}  // namespace

bool is_bpe_json(std::string_view text, const std::string& source) {
  const nlohmann::json json = parse_json_object(text, source);
  const JsonReader file(json, source);
  return file.has("model") && file.object("model").has("type") &&
         file.object("model").text("type") == "BPE";
}

BpeFile read_bpe_json(std::string_view text, const std::string& source) {
  const nlohmann::json json = parse_json_object(text, source);
  const JsonReader file(json, source);
  const JsonReader model = file.object("model");
  if (model.has("type") && model.text("type") != "BPE") model.fail("type", "\"BPE\"");
  if (model.has("dropout") && model.number("dropout", 0, 1) != 0) model.fail("dropout", "null");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (model.has(key) && !model.text(key).empty()) model.fail(key, "null");
  if (model.has("byte_fallback") && model.boolean("byte_fallback"))
    model.fail("byte_fallback", "false");
  if (model.text("unk_token") != "[UNK]") model.fail("unk_token", "\"[UNK]\"");
  if (json.value("normalizer", nlohmann::json()) != nlohmann::json(sequence_normaliser_json(0)))
    require_harmless(file, "normalizer", "normalizers", {"NFC", "NFD", "NFKC", "NFKD"});
  require_harmless(file, "pre_tokenizer", "pretokenizers",
                   {"BertPreTokenizer", "ByteLevel", "Whitespace", "WhitespaceSplit"});

  // The tokens by their ids in the file.
  const JsonReader vocabulary = model.object("vocab");
  std::map<std::string, std::int32_t> ids;
  for (const auto& [token, id] : vocabulary.json().items())
    ids[token] = static_cast<std::int32_t>(vocabulary.integer(token.c_str(), 0, kMostTokens));
  std::set<std::string> special;
  if (file.has("added_tokens")) {
    const nlohmann::json& added = file.value("added_tokens");
    if (!added.is_array()) file.fail("added_tokens", "an array");
    for (const nlohmann::json& entry : added) {
      if (!entry.is_object()) file.fail("added_tokens", "an array of objects");
      const JsonReader token(entry, source, "added_tokens.");
      const std::string content = token.text("content");
      // It would be cut out of sequences before any merge.
      if (content.empty() ||
          std::all_of(content.begin(), content.end(), [](char c) { return c >= 'A' && c <= 'Z'; }))
        token.fail("content", "something that no sequence holds, such as \"[CLS]\"");
      const auto id = static_cast<std::int32_t>(token.integer("id", 0, kMostTokens));
      if (!ids.emplace(content, id).second && ids[content] != id)
        token.fail("id", fmt::format("{} as in model.vocab", ids[content]));
      special.insert(content);
    }
  }
  special.insert("[UNK]");
  const auto size = static_cast<std::int32_t>(ids.size());
  std::vector<std::string> by_id(ids.size());
  std::vector<bool> taken(ids.size());
  for (const auto& [token, id] : ids) {
    if (id >= size || taken[static_cast<std::size_t>(id)])
      throw UserError("{}: {} tokens must have the ids 0 to {}, each once; \"{}\" has {}", source,
                      size, size - 1, token, id);
    taken[static_cast<std::size_t>(id)] = true;
    by_id[static_cast<std::size_t>(id)] = token;
  }
  for (const char* needed : {"[MASK]", "[UNK]"})
    if (ids.count(needed) == 0)
      throw UserError("{}: the vocabulary lacks the special token {}", source, needed);
  special.insert("[MASK]");

  // Ours: [MASK], [UNK], the other special tokens, the rest, each in the file's order.
  BpeFile result;
  const auto place = [&](std::int32_t id) {
    const std::string& token = by_id[static_cast<std::size_t>(id)];
    return token == "[MASK]" ? 0 : token == "[UNK]" ? 1 : special.count(token) != 0 ? 2 : 3;
  };
  result.id_in_file.resize(ids.size());
  std::iota(result.id_in_file.begin(), result.id_in_file.end(), 0);
  std::stable_sort(result.id_in_file.begin(), result.id_in_file.end(),
                   [&](std::int32_t a, std::int32_t b) { return place(a) < place(b); });
  BpeVocabulary& ours = result.vocabulary;
  for (const std::int32_t id : result.id_in_file) {
    const std::string& token = by_id[static_cast<std::size_t>(id)];
    ids[token] = static_cast<std::int32_t>(ours.tokens.size());
    ours.tokens.push_back(token);
  }
  ours.specials = static_cast<int>(special.size());
  ours.fuse_unknown = model.has("fuse_unk") && model.boolean("fuse_unk");
  ours.ignore_merges = model.has("ignore_merges") && model.boolean("ignore_merges");

  const auto id_of = [&](const std::string& token, const char* where) {
    const auto found = ids.find(token);
    if (found == ids.end())
      throw UserError("{}: {} names \"{}\", which is no token", source, where, token);
    return found->second;
  };
  // "A T", or ["A", "T"] in newer files.
  const nlohmann::json& merges = model.value("merges");
  if (!merges.is_array()) model.fail("merges", "an array");
  for (const nlohmann::json& merge : merges) {
    std::string left, right;
    if (merge.is_string()) {
      const std::string& pair = merge.get_ref<const std::string&>();
      const std::size_t space = pair.find(' ');
      left = pair.substr(0, space);
      right = space == std::string::npos ? "" : pair.substr(space + 1);
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
               merge[1].is_string()) {
      left = merge[0].get<std::string>();
      right = merge[1].get<std::string>();
    } else {
      model.fail("merges", "made of pairs of tokens");
    }
    if (left.find(' ') != std::string::npos || right.find(' ') != std::string::npos)
      model.fail("merges", "of tokens without spaces");
    ours.merges.emplace_back(id_of(left, "a merge"), id_of(right, "a merge"));
  }
  std::vector<std::string> prefix, suffix;
  read_template(file, prefix, suffix);
  for (const std::string& token : prefix) ours.prefix.push_back(id_of(token, "post_processor"));
  for (const std::string& token : suffix) ours.suffix.push_back(id_of(token, "post_processor"));
  try {
    BpeTokenizer(ours, 1);
  } catch (const UserError& error) {
    throw UserError("{}: {}", source, error.what());
  }
  return result;
}

std::string write_bpe_json(const BpeVocabulary& vocabulary) {
  const auto token = [&](std::int32_t id) {
    return vocabulary.tokens[static_cast<std::size_t>(id)];
  };
  Json ids = Json::object(), merges = Json::array(), single = Json::array();
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id)
    ids.get_ref<Json::object_t&>().emplace_back(vocabulary.tokens[id], id);
  for (const auto& [left, right] : vocabulary.merges)
    merges.push_back(token(left) + " " + token(right));
  Json used = Json::object();
  const auto add_special = [&](std::int32_t id) {
    single.push_back({{"SpecialToken", {{"id", token(id)}, {"type_id", 0}}}});
    used[token(id)] = {{"id", token(id)}, {"ids", {id}}, {"tokens", {token(id)}}};
  };
  for (const std::int32_t id : vocabulary.prefix) add_special(id);
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  for (const std::int32_t id : vocabulary.suffix) add_special(id);
  const Json processor{{"type", "TemplateProcessing"},
                       {"single", single},
                       {"pair", single},
                       {"special_tokens", used}};
  const Json json{
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens",
       special_tokens_json(
           std::span(vocabulary.tokens).first(static_cast<std::size_t>(vocabulary.specials)))},
      {"normalizer", sequence_normaliser_json(/*max_bases=*/0)},
      {"pre_tokenizer", nullptr},
      {"post_processor", single.size() > 1 ? processor : Json(nullptr)},
      {"decoder", nullptr},
      {"model",
       {{"type", "BPE"},
        {"dropout", nullptr},
        {"unk_token", "[UNK]"},
        {"continuing_subword_prefix", nullptr},
        {"end_of_word_suffix", nullptr},
        {"fuse_unk", vocabulary.fuse_unknown},
        {"byte_fallback", false},
        {"ignore_merges", vocabulary.ignore_merges},
        {"vocab", ids},
        {"merges", merges}}}};
  return json.dump(1) + "\n";
}

std::string write_bpe_tokenizer_config_json(const BpeTokenizer& tokenizer) {
  const BpeVocabulary& vocabulary = tokenizer.vocabulary();
  return special_token_roles_json(
      std::span(vocabulary.tokens).first(static_cast<std::size_t>(vocabulary.specials)),
      tokenizer.max_tokens());
}

}  // namespace barcodemae
