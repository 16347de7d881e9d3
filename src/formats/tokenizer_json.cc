// SPDX-License-Identifier: MIT
#include "formats/tokenizer_json.h"

#include "base/error.h"
#include "formats/json.h"

namespace barcodemae {

using OrderedJson = nlohmann::ordered_json;

// Gaps dropped, upper case, U as T, cut at max_bases, trailing N stripped. Other letters make a
// k-mer [UNK] in either case.
OrderedJson sequence_normaliser_json(int max_bases) {
  const auto replace = [](const char* kind, const std::string& pattern, const char* content) {
    return OrderedJson{{"type", "Replace"}, {"pattern", {{kind, pattern}}}, {"content", content}};
  };
  OrderedJson steps = OrderedJson::array();
  steps.push_back(replace("Regex", "[^A-Za-z]+", ""));
  for (const char* letters : {"aA", "cC", "gG", "tT", "nN"})
    steps.push_back(replace("String", std::string(1, letters[0]), letters + 1));
  steps.push_back(replace("Regex", "[uU]", "T"));
  if (max_bases > 0)
    steps.push_back(replace("Regex", fmt::format("\\A.{{{}}}\\K.+", max_bases), ""));
  steps.push_back(replace("Regex", "N+\\z", ""));
  return {{"type", "Sequence"}, {"normalizers", steps}};
}

namespace {

/// What AutoTokenizer does with k-mers side by side. It has nothing for others, and would cut them
/// side by side all the same: the name of a step that it does not know makes it refuse the file.
OrderedJson pre_tokenizer(const KmerTokenizer& tokenizer) {
  const int k = tokenizer.vocabulary().k;
  if (tokenizer.stride() != k) {
    return {{"type", "KmersWithStride"}, {"k", k}, {"stride", tokenizer.stride()}};
  }
  // "Removed" and inverted keeps the matches alone: a trailing partial k-mer is dropped.
  return {{"type", "Split"},
          {"pattern", {{"Regex", fmt::format(".{{{}}}", k)}}},
          {"behavior", "Removed"},
          {"invert", true}};
}

/// [CLS] in front, where there is one.
OrderedJson post_processor(const KmerVocabulary& vocabulary) {
  if (vocabulary.cls() < 0) return nullptr;
  const std::string name = KmerVocabulary::kCls;
  const OrderedJson cls{{"SpecialToken", {{"id", name}, {"type_id", 0}}}};
  const auto sequence = [](const char* id, int type) {
    return OrderedJson{{"Sequence", {{"id", id}, {"type_id", type}}}};
  };
  return {{"type", "TemplateProcessing"},
          {"single", OrderedJson::array({cls, sequence("A", 0)})},
          {"pair", OrderedJson::array({cls, sequence("A", 0), sequence("B", 1)})},
          {"special_tokens",
           {{name,
             {{"id", name},
              {"ids", OrderedJson::array({vocabulary.cls()})},
              {"tokens", OrderedJson::array({name})}}}}}};
}

}  // namespace

OrderedJson special_tokens_json(std::span<const std::string> specials) {
  OrderedJson added = OrderedJson::array();
  for (std::size_t id = 0; id < specials.size(); ++id)
    added.push_back({{"id", id},
                     {"content", specials[id]},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  return added;
}

std::string write_tokenizer_json(const KmerTokenizer& tokenizer) {
  const KmerVocabulary& vocabulary = tokenizer.vocabulary();
  OrderedJson ids = OrderedJson::object();
  for (std::int32_t id = 0; id < vocabulary.size(); ++id)
    ids.get_ref<OrderedJson::object_t&>().emplace_back(vocabulary.token(id), id);
  const OrderedJson json{
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", special_tokens_json(vocabulary.specials)},
      {"normalizer", sequence_normaliser_json(tokenizer.max_bases())},
      {"pre_tokenizer", pre_tokenizer(tokenizer)},
      {"post_processor", post_processor(vocabulary)},
      {"decoder", nullptr},
      {"model", {{"type", "WordLevel"}, {"vocab", ids}, {"unk_token", "[UNK]"}}}};
  return json.dump(1) + "\n";
}

std::string write_tokenizer_config_json(const KmerTokenizer& tokenizer) {
  return special_token_roles_json(tokenizer.vocabulary().specials, tokenizer.max_tokens());
}

std::string special_token_roles_json(std::span<const std::string> specials, int max_tokens) {
  // Padding borrows [MASK]: the encoder never meets it, and the attention mask hides it.
  OrderedJson json{{"tokenizer_class", "PreTrainedTokenizerFast"},
                   {"mask_token", "[MASK]"},
                   {"unk_token", "[UNK]"},
                   {"pad_token", "[MASK]"}};
  for (const std::string& special : specials) {
    if (special == "[CLS]") json["cls_token"] = special;
    if (special == "[SEP]") json["sep_token"] = special;
  }
  json["model_max_length"] = max_tokens;
  json["clean_up_tokenization_spaces"] = false;
  json["model_input_names"] = {"input_ids", "attention_mask"};
  return json.dump(2) + "\n";
}

KmerVocabulary read_vocabulary(std::string_view text, const std::string& source,
                               const ModelConfig& config) {
  const int k = config.k, vocabulary_size = config.vocabulary;
  const nlohmann::json json = parse_json_object(text, source);
  const JsonReader model = JsonReader(json, source).object("model");
  if (model.text("type") != "WordLevel") model.fail("type", "\"WordLevel\"");
  const nlohmann::json& ids = model.object("vocab").json();
  if (ids.size() != static_cast<std::size_t>(vocabulary_size))
    throw UserError(
        "{}: {} tokens, but config.json has \"vocab_size\": {}\nTake both from the same model.",
        source, ids.size(), vocabulary_size);

  std::vector<std::string> tokens(ids.size());
  const JsonReader vocab(ids, source, "model.vocab.");
  for (const auto& [token, id] : ids.items()) {
    const auto number = vocab.integer(token.c_str(), 0, vocabulary_size - 1);
    std::string& place = tokens[static_cast<std::size_t>(number)];
    if (!place.empty() || token.empty())
      throw UserError("{}: the tokens \"{}\" and \"{}\" have the same id {}", source, place, token,
                      number);
    place = token;
  }
  KmerVocabulary vocabulary;
  vocabulary.k = k;
  vocabulary.n_kmers = config.n_kmers;
  vocabulary.specials.assign(tokens.begin(), tokens.end() - vocabulary.all_kmers());
  for (std::int32_t id = 0; id < vocabulary.size(); ++id) {
    const std::string expected = id == KmerVocabulary::kMask      ? "[MASK]"
                                 : id == KmerVocabulary::kUnknown ? "[UNK]"
                                                                  : vocabulary.token(id);
    if (tokens[static_cast<std::size_t>(id)] != expected)
      throw UserError(
          "{}: token {} is \"{}\", expected \"{}\"\n"
          "Special tokens come first, [MASK] and [UNK] leading, then all k-mers of {} bases in "
          "order.",
          source, id, tokens[static_cast<std::size_t>(id)], expected, k);
  }
  if ((vocabulary.cls() >= 0) != config.cls)
    throw UserError(
        "{}: {} token [CLS], but config.json says otherwise\nTake both from the same model.",
        source, config.cls ? "no" : "a");
  return vocabulary;
}

}  // namespace barcodemae
