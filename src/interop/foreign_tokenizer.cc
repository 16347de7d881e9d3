// SPDX-License-Identifier: MIT
#include "interop/foreign_tokenizer.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <numeric>
#include <sstream>

#include "base/error.h"
#include "base/file_content.h"
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

/// A yes or no of the training's options; none when they do not say.
std::optional<bool> flag(const CheckpointFacts& facts, const char* name) {
  const auto found = facts.run.find(name);
  if (found == facts.run.end() || !found->is_boolean()) return std::nullopt;
  return found->get<bool>();
}

/// Names of the 2023 models and BERT's own, as ours.
std::string our_name(const std::string& token) {
  if (token.size() > 2 && token.front() == '<' && token.back() == '>')
    return "[" + token.substr(1, token.size() - 2) + "]";
  return token;
}

/// Of A, C, G, T and perhaps N.
bool is_kmer(const std::string& token) {
  return !token.empty() && token.find_first_not_of("ACGTN") == std::string::npos;
}

void require_tokenizable(const KmerVocabulary& kmers, const std::string& source) {
  if (!kmers.n_kmers || kmers.k <= KmerVocabulary::kMaxKWithN) return;
  throw UserError("{}: {}-mers that hold N are tokens; with these, k can be at most {}", source,
                  kmers.k, KmerVocabulary::kMaxKWithN);
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
  vocabulary.n_kmers = std::any_of(tokens.begin(), tokens.end(), [](const std::string& token) {
    return is_kmer(token) && token.find('N') != std::string::npos;
  });
  require_tokenizable(vocabulary, source);
  std::map<std::string, std::int32_t> ids;
  std::vector<std::int32_t> others;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const std::string name = our_name(tokens[i]);
    if (!ids.emplace(name, static_cast<std::int32_t>(i)).second)
      throw UserError("{}: the token \"{}\" has two ids", source, tokens[i]);
    if (tokens[i].size() == k && is_kmer(tokens[i])) continue;
    if (is_kmer(tokens[i]))
      throw UserError(
          "{}: the token \"{}\" among {}-mers cannot be read\n"
          "Only vocabularies of all k-mers over A, C, G, T, or over these and N, can be imported.",
          source, tokens[i], k);
    if (name != "[MASK]" && name != "[UNK]") others.push_back(static_cast<std::int32_t>(i));
  }
  ForeignTokenizer result;
  for (const std::int32_t id : others)
    vocabulary.specials.push_back(our_name(tokens[static_cast<std::size_t>(id)]));
  for (std::int32_t id = 0; id < vocabulary.size(); ++id) {
    const auto found = ids.find(vocabulary.token(id));
    if (found == ids.end())
      throw UserError(
          "{}: the vocabulary lacks \"{}\"\nExpected [MASK], [UNK] and all {} {}-mers{}.", source,
          vocabulary.token(id), vocabulary.all_kmers(), k,
          vocabulary.n_kmers ? ", those with N too" : "");
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
  kmers.n_kmers = flag(facts, "tokenize_n_nucleotide").value_or(false);
  require_tokenizable(kmers, facts.source);
  const int without_cls = kmers.size();
  if (vocabulary == without_cls + 1) kmers.specials.emplace_back(KmerVocabulary::kCls);
  if (vocabulary != kmers.size())
    throw UserError(
        "{}: {} words, but k = {} makes {}: [MASK], [UNK] and {} {}-mers{}\n"
        "Give the right --k, or --tokenizer FILE.",
        facts.source, vocabulary, *k, without_cls, kmers.all_kmers(), *k,
        kmers.n_kmers ? ", those with N too (tokenize_n_nucleotide)" : "");
  ForeignTokenizer result;
  result.coder.tokenizer = KmerTokenizer(kmers, stride > 0 ? stride : *k, max_bases);
  result.id_in_file.resize(static_cast<std::size_t>(vocabulary));
  std::iota(result.id_in_file.begin(), result.id_in_file.end(), 0);
  return result;
}

/// The engine puts [CLS] before every sequence when there is a word for it. Some versions of the
/// authors' code have the word whether they put it there or not, and then number k-mers one lower
/// when they evaluate than when they train: what such a model computes is not known.
void check_cls(const CheckpointFacts& facts, const ImportOptions& options, bool has_word,
               bool byte_pairs) {
  const std::optional<bool> said = flag(facts, "use_cls_token");
  if (byte_pairs) {
    if (said.value_or(false) || options.cls)
      throw UserError(
          "{}: byte pairs, whose tokenizer.json says where [CLS] is, and {} besides\n"
          "The authors' code defines no such model.",
          facts.source, options.cls ? "--cls" : "use_cls_token");
    return;
  }
  if (options.cls && said == false)
    throw UserError("{}: trained without [CLS] before sequences (use_cls_token), but --cls given",
                    facts.source);
  const bool begins = options.cls || said.value_or(false);
  if (begins && !has_word)
    throw UserError(
        "{}: {} says that sequences begin with [CLS], but the vocabulary has no [CLS]\n"
        "Take both from the same model.",
        facts.source, options.cls ? "--cls" : "use_cls_token");
  if (has_word && !begins)
    throw UserError(
        "{}: a vocabulary with [CLS], {}\n"
        "{}Without it before sequences the authors' evaluation gave k-mers\n"
        "other ids than their training: such a model cannot be imported.",
        facts.source,
        said ? "and training without it (use_cls_token)"
             : "and nothing says that sequences begin with it",
        said ? "" : "Give --cls if they do. ");
}

}  // namespace

ForeignTokenizer read_foreign_tokenizer(const CheckpointFacts& facts, const ImportOptions& options,
                                        int vocabulary, int positions) {
  std::optional<std::string> json = facts.tokenizer_json;
  std::string source = facts.tokenizer_source;
  if (!options.tokenizer.empty()) {
    fs::path path = options.tokenizer;
    std::error_code ignored;
    if (fs::is_directory(path, ignored)) path /= "tokenizer.json";
    source = path.string();
    json = file_content(path);
    if (!json) throw UserError("--tokenizer {}: cannot be read", source);
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
  const KmerVocabulary& words = result.coder.tokenizer.vocabulary();
  check_cls(facts, options, !result.coder.bpe && words.cls() >= 0, result.coder.bpe != nullptr);
  if (const auto n_kmers = flag(facts, "tokenize_n_nucleotide");
      !result.coder.bpe && n_kmers && *n_kmers != words.n_kmers)
    throw UserError(
        "{}: k-mers with N are {}tokens in training (tokenize_n_nucleotide), but {}in {}\n"
        "Take both from the same model.",
        facts.source, *n_kmers ? "" : "no ", words.n_kmers ? "" : "not ", source);
  if (result.id_in_file.size() != static_cast<std::size_t>(vocabulary))
    throw UserError(
        "{}: {} tokens, but the model has {} words (vocab_size)\n"
        "Take both from the same model.",
        source, result.id_in_file.size(), vocabulary);
  if (!said && !result.coder.bpe && result.coder.max_tokens() > positions) {
    const KmerTokenizer& kmers = result.coder.tokenizer;
    const int most = positions - (kmers.vocabulary().cls() >= 0 ? 1 : 0);
    result.coder.tokenizer = KmerTokenizer(kmers.vocabulary(), kmers.stride(),
                                           (most - 1) * kmers.stride() + kmers.vocabulary().k);
  }
  if (result.coder.max_tokens() > positions)
    throw UserError(
        "{}: sequences of up to {} tokens, but the model has {} positions\n"
        "Give a smaller --max-bases.",
        facts.source, result.coder.max_tokens(), positions);
  return result;
}

}  // namespace barcodemae
