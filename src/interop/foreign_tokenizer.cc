// SPDX-License-Identifier: MIT
#include "interop/foreign_tokenizer.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <numeric>
#include <sstream>

#include "base/error.h"
#include "formats/bpe_json.h"
#include "formats/json.h"

namespace barcodemae {
namespace {

namespace fs = std::filesystem;

constexpr int kPaperBases = 660;

/// A whole number of the training's options under one of these names; None and absent are none.
std::optional<int> number(const CheckpointFacts& facts, std::initializer_list<const char*> names) {
  const JsonReader run(facts.run, facts.source);
  for (const char* name : names)
    if (run.has(name)) return static_cast<int>(run.integer(name, 1, 1 << 20));
  return std::nullopt;
}

bool flag(const CheckpointFacts& facts, const char* name) {
  const auto found = facts.run.find(name);
  return found != facts.run.end() && found->is_boolean() && found->get<bool>();
}

/// Names of the 2023 models and BERT's own, as ours.
std::string our_name(const std::string& token) {
  if (token.size() > 2 && token.front() == '<' && token.back() == '>')
    return "[" + token.substr(1, token.size() - 2) + "]";
  return token;
}

bool is_kmer(const std::string& token) {
  return !token.empty() && token.find_first_not_of("ACGT") == std::string::npos;
}

/// k-mers of a vocabulary in whatever order: special tokens first, then the k-mers in order.
ForeignTokenizer kmers_of(const std::vector<std::string>& tokens, const std::string& source,
                          const ImportOptions& options, int stride, int max_bases) {
  std::size_t k = 0;
  for (const std::string& token : tokens)
    if (is_kmer(token)) k = std::max(k, token.size());
  if (k == 0 || k > KmerVocabulary::kMaxK || (options.k && *options.k != static_cast<int>(k)))
    throw UserError("{}: {}, but {}", source,
                    k == 0 ? std::string("no k-mers in the vocabulary")
                           : fmt::format("a vocabulary of {}-mers", k),
                    options.k ? fmt::format("--k is {}", *options.k)
                              : fmt::format("k must be from 1 to {}", KmerVocabulary::kMaxK));
  KmerVocabulary vocabulary{static_cast<int>(k), {"[MASK]", "[UNK]"}};
  std::map<std::string, std::int32_t> ids;
  std::vector<std::int32_t> others;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const std::string name = our_name(tokens[i]);
    if (!ids.emplace(name, static_cast<std::int32_t>(i)).second)
      throw UserError("{}: the token \"{}\" has two ids", source, tokens[i]);
    if (tokens[i].size() == k && is_kmer(tokens[i])) continue;
    if (tokens[i].find_first_not_of("ACGTN") == std::string::npos)
      throw UserError(
          "{}: the token \"{}\" among {}-mers cannot be read\n"
          "Only vocabularies of all k-mers over A, C, G, T can be imported.",
          source, tokens[i], k);
    if (name != "[MASK]" && name != "[UNK]") others.push_back(static_cast<std::int32_t>(i));
  }
  ForeignTokenizer result;
  for (const std::int32_t id : others)
    vocabulary.specials.push_back(our_name(tokens[static_cast<std::size_t>(id)]));
  for (std::int32_t id = 0; id < vocabulary.size(); ++id) {
    const auto found = ids.find(vocabulary.token(id));
    if (found == ids.end())
      throw UserError("{}: the vocabulary lacks \"{}\"\nExpected [MASK], [UNK] and all {} {}-mers.",
                      source, vocabulary.token(id), vocabulary.kmers(), k);
    result.id_in_file.push_back(found->second);
  }
  result.coder.tokenizer =
      KmerTokenizer(vocabulary, stride > 0 ? stride : static_cast<int>(k), max_bases);
  return result;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    lines.push_back(line);
  }
  return lines;
}

std::vector<std::string> words_of(const std::string& text, const std::string& source) {
  const nlohmann::json json = parse_json_object(text, source);
  const JsonReader model = JsonReader(json, source).object("model");
  if (model.text("type") != "WordLevel") model.fail("type", "\"WordLevel\" or \"BPE\"");
  const JsonReader vocabulary = model.object("vocab");
  const auto count = static_cast<std::int64_t>(vocabulary.json().size());
  std::vector<std::string> tokens(static_cast<std::size_t>(count));
  for (const auto& [token, id] : vocabulary.json().items()) {
    std::string& place =
        tokens[static_cast<std::size_t>(vocabulary.integer(token.c_str(), 0, count - 1))];
    if (!place.empty())
      throw UserError("{}: the tokens \"{}\" and \"{}\" have the same id", source, place, token);
    place = token;
  }
  return tokens;
}

/// k-mers by their number alone: what the authors' code makes of k.
ForeignTokenizer kmers_by_length(const CheckpointFacts& facts, const ImportOptions& options,
                                 int vocabulary, int stride, int max_bases) {
  const std::optional<int> k = options.k ? options.k : number(facts, {"k_mer", "k", "kmer"});
  if (!k)
    throw UserError(
        "{}: neither its config nor a tokenizer.json or vocab.txt beside it says which k-mers the "
        "model reads\nGive --k (and --stride unless it is k), or --tokenizer FILE.",
        facts.source);
  if (*k > KmerVocabulary::kMaxK)
    throw UserError("{}: k is {}, but must be from 1 to {}", facts.source, *k,
                    KmerVocabulary::kMaxK);
  KmerVocabulary kmers{*k, {"[MASK]", "[UNK]"}};
  if (vocabulary == kmers.size() + 1) kmers.specials.emplace_back("[CLS]");
  if (vocabulary != kmers.size())
    throw UserError(
        "{}: {} words, but k = {} makes {}: [MASK], [UNK] and {} {}-mers\n"
        "Give the right --k, or --tokenizer FILE.",
        facts.source, vocabulary, *k, kmers.size(), kmers.kmers(), *k);
  ForeignTokenizer result;
  result.coder.tokenizer = KmerTokenizer(kmers, stride > 0 ? stride : *k, max_bases);
  result.id_in_file.resize(static_cast<std::size_t>(vocabulary));
  std::iota(result.id_in_file.begin(), result.id_in_file.end(), 0);
  return result;
}

[[noreturn]] void refuse_cls(const std::string& source) {
  throw UserError(
      "{}: trained with a [CLS] token before every sequence of k-mers\n"
      "Such checkpoints cannot be imported yet.",
      source);
}

}  // namespace

ForeignTokenizer read_foreign_tokenizer(const CheckpointFacts& facts, const ImportOptions& options,
                                        int vocabulary, int positions) {
  if (flag(facts, "tokenize_n_nucleotide"))
    throw UserError(
        "{}: trained with k-mers that hold N as tokens (tokenize_n_nucleotide)\n"
        "Such vocabularies cannot be imported.",
        facts.source);
  if (flag(facts, "use_cls_token")) refuse_cls(facts.source);
  std::optional<std::string> json = facts.tokenizer_json;
  std::string source = facts.tokenizer_source;
  if (!options.tokenizer.empty()) {
    fs::path path = options.tokenizer;
    std::error_code ignored;
    if (fs::is_directory(path, ignored)) path /= "tokenizer.json";
    source = path.string();
    std::ifstream stream(path, std::ios::binary);
    if (!stream || fs::is_directory(path, ignored))
      throw UserError("--tokenizer {}: cannot be read", source);
    json = std::string{std::istreambuf_iterator<char>(stream), {}};
  }
  const bool trained_on_bpe = facts.run.value("tokenizer", nlohmann::json()) == "bpe";
  if (trained_on_bpe && !json)
    throw UserError(
        "{}: trained on byte pairs, whose tokenizer.json is not in the checkpoint\n"
        "Give it: --tokenizer FOLDER/tokenizer.json (the training had it in {}).",
        facts.source, facts.run.value("bpe_path", nlohmann::json("its bpe_path")).dump());

  const int stride = options.stride.value_or(number(facts, {"stride"}).value_or(0));
  // Nothing says it: as the paper, or what the model has positions for.
  const std::optional<int> said =
      options.max_bases ? options.max_bases : number(facts, {"max_len"});
  const int max_bases = said.value_or(kPaperBases);
  ForeignTokenizer result;
  if (json && is_bpe_json(*json, source)) {
    if (options.k || options.stride || options.max_bases)
      throw UserError("{}: byte pairs, not k-mers\nLeave out --k, --stride and --max-bases.",
                      source);
    BpeFile file = read_bpe_json(*json, source);
    result.id_in_file = std::move(file.id_in_file);
    const int max_tokens = std::min(
        positions, trained_on_bpe ? number(facts, {"max_len"}).value_or(positions) : positions);
    result.coder.bpe = std::make_shared<const BpeTokenizer>(std::move(file.vocabulary), max_tokens);
    // The authors' code renumbers the special tokens before the model sees them: [UNK], [CLS] and
    // [SEP] are 1, 2, 3 in its checkpoints, as here.
    if (trained_on_bpe) std::iota(result.id_in_file.begin(), result.id_in_file.end(), 0);
  } else if (json) {
    result = kmers_of(words_of(*json, source), source, options, stride, max_bases);
  } else if (facts.vocabulary_text) {
    result = kmers_of(lines_of(*facts.vocabulary_text), source, options, stride, max_bases);
  } else {
    result = kmers_by_length(facts, options, vocabulary, stride, max_bases);
  }
  if (!result.coder.bpe && result.coder.tokenizer.vocabulary().cls() >= 0) refuse_cls(facts.source);
  if (result.id_in_file.size() != static_cast<std::size_t>(vocabulary))
    throw UserError(
        "{}: {} tokens, but the model has {} words (vocab_size)\n"
        "Take both from the same model.",
        source, result.id_in_file.size(), vocabulary);
  if (!said && !result.coder.bpe && result.coder.max_tokens() > positions) {
    const KmerTokenizer& kmers = result.coder.tokenizer;
    result.coder.tokenizer = KmerTokenizer(kmers.vocabulary(), kmers.stride(),
                                           (positions - 1) * kmers.stride() + kmers.vocabulary().k);
  }
  if (result.coder.max_tokens() > positions)
    throw UserError(
        "{}: sequences of up to {} tokens, but the model has {} positions\n"
        "Give a smaller --max-bases.",
        facts.source, result.coder.max_tokens(), positions);
  return result;
}

}  // namespace barcodemae
