// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>

#include "backend/backends.h"
#include "barcodemae_version.h"
#include "base/error.h"
#include "base/machine.h"
#include "base/progress.h"
#include "base/threads.h"
#include "cli/command.h"
#include "cli/common_options.h"
#include "formats/model_directory.h"

namespace barcodemae {
namespace {

using Json = nlohmann::ordered_json;

struct InfoOptions {
  std::string model;
  bool json = false;
};

/// {"library", "devices"}, or {"problem"}: why the GPUs cannot be used. Null: built without CUDA.
Json describe_gpus() {
  try {
    const CudaPlugin* plugin = find_cuda_plugin();
    if (plugin == nullptr) return nullptr;
    Json devices = Json::array();
    for (const CudaDevice& device : plugin->devices()) {
      devices.push_back({{"name", device.name},
                         {"compute_capability", fmt::format("{}.{}", device.major, device.minor)},
                         {"memory_bytes", device.memory_bytes}});
    }
    return {{"library", plugin->library()}, {"devices", devices}};
  } catch (const UserError& error) {
    const std::string_view message = error.what();
    return {{"problem", message.substr(0, message.find('\n'))}};
  }
}

Json describe_machine() {
  const Machine& here = machine();
  return {{"cpu", here.cpu_model},
          {"cores", here.cores},
          {"memory_bytes", here.memory_bytes},
          {"available_memory_bytes", available_memory_bytes()},
          {"simd", to_string(here.simd)},
          {"bf16", here.simd >= SimdLevel::kAvx512Bf16},
          {"amx", here.simd >= SimdLevel::kAmx},
          {"matrix_library", cpu_matrix_library()},
          {"gpus", describe_gpus()}};
}

Json describe_use() {
  return {{"device", "cpu"},
          {"threads", thread_count()},
          {"precision", precision_name(preferred_cpu_precision())}};
}

Json describe(const TransformerConfig& config) {
  return {{"layers", config.layers},
          {"width", config.width},
          {"heads", config.heads},
          {"feed_forward", config.feed_forward}};
}

Json describe(const SequenceCoder& coder) {
  if (coder.bpe) {
    const BpeVocabulary& vocabulary = coder.bpe->vocabulary();
    return {
        {"type", "bpe"},
        {"max_tokens", coder.bpe->max_tokens()},
        {"vocabulary", vocabulary.tokens.size()},
        {"specials", std::vector<std::string>(vocabulary.tokens.begin(),
                                              vocabulary.tokens.begin() + vocabulary.specials)}};
  }
  const KmerVocabulary& vocabulary = coder.tokenizer.vocabulary();
  return {{"type", "kmer"},
          {"k", vocabulary.k},
          {"stride", coder.tokenizer.stride()},
          {"max_bases", coder.tokenizer.max_bases()},
          {"vocabulary", vocabulary.size()},
          {"specials", vocabulary.specials}};
}

Json describe_model(const std::filesystem::path& directory) {
  const ModelDescription description = read_model_description(directory);
  const ModelConfig& config = description.config;
  const WeightSummary weights = summarise_weights(directory);
  Json json{{"path", directory.string()},
            {"fingerprint", model_fingerprint(directory)},
            {"encoder", describe(config.encoder)},
            {"parameters", weights.parameters},
            {"weights", weights.type},
            {"weights_bytes", weights.bytes},
            {"objective", to_string(config.objective)},
            {"decoder", config.has_decoder() ? describe(config.decoder) : Json()},
            {"head", config.head == HeadKind::kBase ? "base" : "kmer"},
            {"tokenizer", describe(description.coder)},
            {"positions", config.max_positions},
            {"pooling", to_string(config.pooling)},
            {"readout", nullptr},
            {"dimensions", description.embedding_width()},
            {"anchor", nullptr},
            {"training", Json::object()}};
  if (const auto& readout = description.readout)
    json["readout"] = {{"inputs", readout->inputs()},
                       {"dimensions", readout->dimensions()},
                       {"hidden_units", readout->hidden_units()}};
  if (const auto& profile = description.coder.profile)
    json["anchor"] = {{"length", profile->length()},
                      {"codon_start", profile->codon_start()},
                      {"conserved_sites", profile->conserved_sites()}};
  for (const auto& [name, value] : description.training)
    json["training"][name] = Json::parse(value);
  // An imported encoder may have come without what trained it.
  if (json["training"].contains("imported_from") &&
      !std::filesystem::exists(directory / "pretraining.safetensors")) {
    json["objective"] = json["decoder"] = json["head"] = nullptr;
  }
  return json;
}

constexpr std::size_t kNameWidth = 14, kLineWidth = 100;

/// "  name          value", continued below the value.
void print_line(const std::string& name, const std::string& value) {
  std::string text = fmt::format("  {:<{}}", name, kNameWidth);
  std::size_t used = text.size();
  for (std::size_t begin = 0; begin < value.size();) {
    const std::size_t end = std::min(value.find(' ', begin), value.size());
    if (begin > 0 && used + 1 + end - begin > kLineWidth) {
      text += "\n" + std::string(kNameWidth + 2, ' ');
      used = kNameWidth + 2;
    } else if (begin > 0 || text.back() != ' ') {
      text += ' ';
      ++used;
    }
    text.append(value, begin, end - begin);
    used += end - begin;
    begin = end + 1;
  }
  std::printf("%s\n", text.c_str());
}

/// A fact of the training as text; of several in one, those that were set.
std::string fact_text(const Json& fact) {
  if (fact.is_string()) return fact.get<std::string>();
  if (!fact.is_object()) return fact.dump();
  std::string text;
  for (const auto& [name, value] : fact.items())
    if (!value.is_null() && value != Json(""))
      text += fmt::format("{} {}, ", name, fact_text(value));
  return text.substr(0, text.size() - std::min<std::size_t>(text.size(), 2));
}

std::string transformer_text(const Json& part) {
  return fmt::format("{} layers of width {}, {} heads, feed-forward {}", part["layers"].get<int>(),
                     part["width"].get<int>(), part["heads"].get<int>(),
                     part["feed_forward"].get<int>());
}

std::string hidden_units(const Json& readout) {
  const int units = readout["hidden_units"].get<int>();
  return units == 0 ? "" : fmt::format(", {} hidden units beside it,", format_count(units));
}

std::string yes_no(const Json& value) { return value.get<bool>() ? "yes" : "no"; }

void print_gpus(const Json& gpus) {
  if (gpus.is_null()) return print_line("GPUs", "none: built without CUDA");
  if (gpus.contains("problem")) return print_line("GPUs", "none: " + fact_text(gpus["problem"]));
  int number = 0;
  for (const Json& device : gpus["devices"]) {
    print_line(fmt::format("cuda:{}", number++),
               fmt::format("{}, {}, compute capability {}, {}", device["name"].get<std::string>(),
                           format_bytes(device["memory_bytes"].get<double>()),
                           device["compute_capability"].get<std::string>(),
                           gpus["library"].get<std::string>()));
  }
}

void print_text(const Json& info) {
  const Json &here = info["machine"], &use = info["use"];
  std::printf("barcodemae %s\n\nMachine\n", BARCODEMAE_VERSION);
  print_line("CPU", here["cpu"]);
  print_line("cores", fmt::format("{} for this process", here["cores"].get<int>()));
  print_line("memory",
             fmt::format("{}, {} of it free", format_bytes(here["memory_bytes"].get<double>()),
                         format_bytes(here["available_memory_bytes"].get<double>())));
  print_line("SIMD", fmt::format("{} (bf16 {}, AMX {})", here["simd"].get<std::string>(),
                                 yes_no(here["bf16"]), yes_no(here["amx"])));
  print_line("matrices", here["matrix_library"]);
  print_gpus(here["gpus"]);
  std::printf("\nWould be used\n");
  print_line("device", use["device"]);
  print_line("threads", std::to_string(use["threads"].get<int>()));
  print_line("precision", use["precision"]);
  if (!info.contains("model")) return;

  const Json& model = info["model"];
  const Json& tokenizer = model["tokenizer"];
  std::printf("\nModel %s\n", model["path"].get<std::string>().c_str());
  print_line("encoder", transformer_text(model["encoder"]));
  print_line("parameters", fmt::format("{}, stored as {} ({})",
                                       format_count(model["parameters"].get<std::int64_t>()),
                                       model["weights"].get<std::string>(),
                                       format_bytes(model["weights_bytes"].get<double>())));
  if (!model["objective"].is_null()) {
    const std::string decoder = model["decoder"].is_null()
                                    ? ""
                                    : "a decoder of " + transformer_text(model["decoder"]) + "; ";
    print_line("pretrained by", fmt::format("{}; {}{} head", model["objective"].get<std::string>(),
                                            decoder, model["head"].get<std::string>()));
  }
  print_line(
      "tokens",
      tokenizer["type"] == "bpe"
          ? fmt::format("byte pairs, up to {}; vocabulary of {}",
                        tokenizer["max_tokens"].get<int>(), tokenizer["vocabulary"].get<int>())
          : fmt::format("{}-mers, stride {}, up to {} bases; vocabulary of {}",
                        tokenizer["k"].get<int>(), tokenizer["stride"].get<int>(),
                        tokenizer["max_bases"].get<int>(), tokenizer["vocabulary"].get<int>()));
  const Json& anchor = model["anchor"];
  print_line("anchor",
             anchor.is_null()
                 ? std::string("none: sequences are read from their first base")
                 : fmt::format("a marker of {} sites, {} conserved, codons from site {}",
                               anchor["length"].get<int>(), anchor["conserved_sites"].get<int>(),
                               anchor["codon_start"].get<int>()));
  const Json& readout = model["readout"];
  print_line("embedding",
             readout.is_null()
                 ? fmt::format("{}, {} dimensions", model["pooling"].get<std::string>(),
                               model["dimensions"].get<int>())
                 : fmt::format("{}, {} numbers through a stored readout{} to {} dimensions",
                               model["pooling"].get<std::string>(), readout["inputs"].get<int>(),
                               hidden_units(readout), readout["dimensions"].get<int>()));
  print_line("fingerprint", model["fingerprint"]);
  if (!model["training"].empty()) std::printf("\nTraining\n");
  for (const auto& [name, value] : model["training"].items()) print_line(name, fact_text(value));
}

void run(const InfoOptions& options) {
  Json info{
      {"version", BARCODEMAE_VERSION}, {"machine", describe_machine()}, {"use", describe_use()}};
  if (!options.model.empty()) info["model"] = describe_model(find_model(options.model));
  if (options.json)
    std::printf("%s\n", info.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
  else
    print_text(info);
}

}  // namespace

void add_info_command(CLI::App& application) {
  CLI::App& command = *application.add_subcommand(
      "info", "Say what this machine offers, what would be used, and what a model is");
  auto options = std::make_shared<InfoOptions>();
  command.add_option("MODEL", options->model, "Model folder, or the name of a shipped model");
  command.add_flag("--json", options->json, "As JSON");
  add_common_options(command);
  command.footer(
      "Examples:\n"
      "  barcodemae info\n"
      "  barcodemae info coi-small --json");
  command.callback([options] { run(*options); });
}

}  // namespace barcodemae
