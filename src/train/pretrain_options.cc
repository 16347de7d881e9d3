// SPDX-License-Identifier: MIT
#include "train/pretrain_options.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

#include "base/error.h"
#include "formats/bpe_json.h"
#include "nn/presets.h"
#include "tokenizer/kmer_tokenizer.h"

namespace barcodemae {
namespace {

constexpr double kHuge = std::numeric_limits<double>::max();
constexpr double kAboveZero = std::numeric_limits<double>::min();

/// The whole text as a number; false when it is anything else.
template <typename Number>
bool parse_number(const std::string& text, Number& value) {
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  return result.ec == std::errc() && result.ptr == end;
}

[[noreturn]] void reject(const std::string& name, const std::string& text,
                         const std::string& expected) {
  throw UserError("--{} {}: expected {}", name, text.empty() ? "''" : text, expected);
}

/// Builds the table; `Get` maps options to the field, so that nested fields work too.
class Table {
 public:
  explicit Table(std::vector<PretrainField>& fields) : fields_(fields) {}

  void group(std::string name) { group_ = std::move(name); }

  template <typename Get>
  PretrainField& integer(const std::string& name, Get get, std::int64_t low, std::int64_t high,
                         const std::string& help) {
    return add(
        name, "N", help,
        [=](PretrainOptions& options, const std::string& text) {
          std::int64_t value = 0;
          if (!parse_number(text, value) || value < low || value > high) {
            reject(name, text, fmt::format("a whole number from {} to {}", low, high));
          }
          auto& field = get(options);
          field = static_cast<std::remove_reference_t<decltype(field)>>(value);
        },
        plain_value(get));
  }

  /// low ≤ value ≤ high; kAboveZero as `low` reads "above 0".
  template <typename Get>
  PretrainField& real(const std::string& name, Get get, double low, double high,
                      const std::string& help) {
    return add(
        name, "X", help,
        [=](PretrainOptions& options, const std::string& text) {
          double value = 0;
          if (!parse_number(text, value) || !(value >= low && value <= high)) {
            reject(name, text, range_text(low, high));
          }
          auto& field = get(options);
          field = static_cast<std::remove_reference_t<decltype(field)>>(value);
        },
        plain_value(get));
  }

  template <typename Get, typename Value>
  PretrainField& choice(const std::string& name, Get get,
                        std::vector<std::pair<std::string, Value>> choices,
                        const std::string& help) {
    std::string names;
    for (const auto& [text, value] : choices) names += (names.empty() ? "" : "|") + text;
    return add(
        name, names, help,
        [=](PretrainOptions& options, const std::string& text) {
          const auto found = std::find_if(choices.begin(), choices.end(),
                                          [&](const auto& entry) { return entry.first == text; });
          if (found == choices.end()) reject(name, text, "one of " + names);
          get(options) = found->second;
        },
        [=](const PretrainOptions& options) -> nlohmann::json {
          const Value value = get(const_cast<PretrainOptions&>(options));
          return std::find_if(choices.begin(), choices.end(),
                              [&](const auto& entry) { return entry.second == value; })
              ->first;
        });
  }

  template <typename Get>
  PretrainField& text(const std::string& name, Get get, const std::string& value_name,
                      const std::string& help) {
    return add(
        name, value_name, help,
        [=](PretrainOptions& options, const std::string& value) {
          if (value.empty()) reject(name, value, "a value");
          get(options) = value;
        },
        plain_value(get));
  }

 private:
  template <typename Get>
  static std::function<nlohmann::json(const PretrainOptions&)> plain_value(Get get) {
    return [get](const PretrainOptions& options) -> nlohmann::json {
      const auto value = get(const_cast<PretrainOptions&>(options));
      // As it was written: 0.1f is 0.1 and not 0.10000000149011612.
      if constexpr (std::is_same_v<decltype(value), const float>) {
        return std::stod(fmt::format("{}", value));
      }
      return value;
    };
  }

  static std::string range_text(double low, double high) {
    const std::string from =
        low == kAboveZero ? "a number above 0" : fmt::format("a number from {}", low);
    if (high == kHuge) return low == kAboveZero ? from : from + " up";
    return fmt::format("{} {} {}", from, low == kAboveZero ? "and at most" : "to", high);
  }

  PretrainField& add(std::string name, std::string value_name, std::string help,
                     std::function<void(PretrainOptions&, const std::string&)> parse,
                     std::function<nlohmann::json(const PretrainOptions&)> value) {
    fields_.push_back({std::move(name), group_, std::move(value_name), std::move(help), false,
                       false, std::move(parse), std::move(value)});
    return fields_.back();
  }

  std::vector<PretrainField>& fields_;
  std::string group_;
};

/// A value of 0 means that this option was not given.
void zero_is_none(PretrainField& field) {
  field.value = [value = std::move(field.value)](const PretrainOptions& options) {
    nlohmann::json json = value(options);
    return json == 0 ? nlohmann::json() : json;
  };
}

// A path such as model.encoder.width as a function.
// NOLINTBEGIN(bugprone-macro-parentheses)
#define FIELD(member) \
  [](PretrainOptions & o) -> auto& { return o.member; }
// NOLINTEND(bugprone-macro-parentheses)

std::vector<PretrainField> make_fields() {
  std::vector<PretrainField> fields;
  Table table(fields);
  std::vector<std::pair<std::string, std::string>> presets;
  for (const std::string& name : preset_names()) presets.emplace_back(name, name);

  table.group("Preset");
  table.choice("preset", FIELD(preset), presets,
               "Values of all options not given: tiny (for tests), small, base (the paper)");

  table.group("Objective");
  table
      .choice("objective", FIELD(model.objective),
              std::vector<std::pair<std::string, ObjectiveKind>>{
                  {"mae", ObjectiveKind::kMaskedAutoencoder},
                  {"mae-masked", ObjectiveKind::kMaskedAutoencoderSeeing},
                  {"mlm", ObjectiveKind::kMaskedLanguageModel},
                  {"causal", ObjectiveKind::kCausalLanguageModel}},
              "Masked autoencoder (the paper); the same with [MASK] in its encoder (its control); "
              "encoder-only (BarcodeBERT); next token")
      .added_later = true;

  table.group("Data");
  table.text(
      "splits", FIELD(splits), "NAME,…",
      "Splits to train on; default: pretrain, or all but 1 % where there is no split column");
  table
      .text("marker-code", FIELD(marker_code), "CODE",
            "Only records of this marker_code, where the file has that column")
      .may_change = true;  // the data's fingerprint tells
  table.text("anchor", FIELD(anchor), "auto|none|FILE",
             "Marker coordinates: learned when they explain 80 % of the records, none (the paper), "
             "or a profile from a file");

  table.group("Duration (one of them)");
  zero_is_none(table.real("epochs", FIELD(epochs), kAboveZero, 1e9, "Passes over the barcodes"));
  zero_is_none(table.integer("steps", FIELD(steps), 1, 4'000'000'000, "Optimiser steps"));
  zero_is_none(table.real("minutes", FIELD(minutes), kAboveZero, 1e9,
                          "Minutes on this machine: steps are timed first, then their number is "
                          "fixed and stored"));

  table.group("Model");
  table.text("tokenizer", FIELD(tokenizer), "FILE",
             "tokenizer.json of byte pairs instead of k-mers; needs --anchor none");
  table.integer("k", FIELD(model.k), 1, 10,
                "Bases in a k-mer; with --tokenizer, frame offsets to draw from");
  table.integer("stride", FIELD(stride), 0, 660, "Bases from one k-mer to the next; 0: k");
  table.integer("max-bases", FIELD(max_bases), 1, 100'000, "Bases of a barcode that are used");
  table.integer("max-positions", FIELD(model.max_positions), 1, 2048,
                "Rows of position embeddings");
  table.integer("width", FIELD(model.encoder.width), 8, 16'384, "Width of the encoder");
  table.integer("layers", FIELD(model.encoder.layers), 1, 80, "Layers of the encoder");
  table.integer("heads", FIELD(model.encoder.heads), 1, 256, "Attention heads of the encoder");
  table.integer("feed-forward", FIELD(model.encoder.feed_forward), 1, 65'536,
                "Inner width of the encoder's feed-forward blocks");
  table.integer("decoder-width", FIELD(model.decoder.width), 0, 16'384,
                "Width of the decoder; 0: the encoder's");
  table.integer("decoder-layers", FIELD(model.decoder.layers), 1, 80, "Layers of the decoder");
  table.integer("decoder-heads", FIELD(model.decoder.heads), 0, 256,
                "Attention heads of the decoder; 0: the encoder's");
  table.integer("decoder-feed-forward", FIELD(model.decoder.feed_forward), 0, 65'536,
                "Inner width of the decoder's feed-forward blocks; 0: the encoder's");
  table.real("dropout", FIELD(model.dropout), 0, 0.9, "Dropout probability");
  table.choice("head", FIELD(model.head),
               std::vector<std::pair<std::string, HeadKind>>{{"kmer", HeadKind::kKmer},
                                                             {"base", HeadKind::kBase}},
               "Logits per k-mer (the paper) or per base, from each site's log frequencies");
  table.choice("kmer-init", FIELD(model.kmer_initialisation),
               std::vector<std::pair<std::string, KmerInitialisation>>{
                   {"random", KmerInitialisation::kRandom}, {"bases", KmerInitialisation::kBases}},
               "First k-mer embeddings: random (the paper) or sums of base embeddings");

  table.group("Objective");
  table.real("mask-ratio", FIELD(mask_ratio), 0.01, 0.99, "Share of the k-mers that are masked");
  table.choice("masking", FIELD(masking),
               std::vector<std::pair<std::string, MaskingScheme>>{
                   {"bernoulli", MaskingScheme::kBernoulli}, {"exact", MaskingScheme::kExactCount}},
               "Each k-mer by chance (the paper), or exactly that share of each barcode");
  table.real("masked-weight", FIELD(masked_weight), 0, 1,
             "w of the loss: w · masked + (1 − w) · visible k-mers");

  table.group("Optimiser");
  table.integer("batch", FIELD(batch), 1, 1 << 20, "Barcodes per optimiser step");
  table.integer("micro-batch", FIELD(micro_batch), 1, 1 << 20,
                "Barcodes in memory at a time; gradients accumulate to --batch");
  table.real("lr", FIELD(lr), kAboveZero, kHuge,
             "Highest learning rate, used as it is; base without it: 1e-4 · batch / 64");
  table.choice(
      "schedule", FIELD(schedule.kind),
      std::vector<std::pair<std::string, ScheduleKind>>{{"onecycle", ScheduleKind::kOneCycle},
                                                        {"cosine", ScheduleKind::kCosine},
                                                        {"constant", ScheduleKind::kConstant}},
      "Course of the learning rate");
  table.real("warmup", FIELD(schedule.warmup), 0, 1, "Share of the steps with a rising rate");
  table.real("cycle-start-divisor", FIELD(schedule.cycle_start_divisor), 1, 1e12,
             "onecycle: the first rate is lr divided by this");
  table.real("cycle-end-divisor", FIELD(schedule.cycle_end_divisor), 1, 1e12,
             "onecycle: the last rate is the first divided by this");
  table.real("cycle-beta1-high", FIELD(schedule.cycle_beta1_high), 0, 0.9999,
             "onecycle: β₁ at the ends");
  table.real("cycle-beta1-low", FIELD(schedule.cycle_beta1_low), 0, 0.9999,
             "onecycle: β₁ at the peak");
  table.real("beta1", FIELD(schedule.beta1), 0, 0.9999, "AdamW's β₁ with cosine and constant");
  table.real("beta2", FIELD(beta2), 0, 0.999999, "AdamW's β₂");
  table.real("epsilon", FIELD(epsilon), kAboveZero, 1, "AdamW's ε");
  table.real("weight-decay", FIELD(weight_decay), 0, 100,
             "AdamW's weight decay, on every parameter");
  table.real("clip", FIELD(clip), 0, kHuge, "Largest gradient norm; 0: no clipping");
  table.integer("seed", FIELD(seed), 0, std::numeric_limits<std::int64_t>::max(),
                "Names every random number of the run");

  table.group("Validation and records");
  table.integer("validate-every", FIELD(validate_every), 0, 4'000'000'000,
                "Steps between validations; 0: at most 20, and a tenth of the work");
  table.integer("validate-records", FIELD(validate_records), 1, 1 << 30,
                "Most held-out barcodes for the masked loss");
  table.integer("validate-queries", FIELD(validate_queries), 0, 1 << 30,
                "Most val_unseen barcodes for genus 1-NN");
  table.integer("validate-keys", FIELD(validate_keys), 0, 1 << 30,
                "Most train barcodes, of the queries' genera, to search among");
  table.integer("log-every", FIELD(log_every), 0, 4'000'000'000,
                "Steps between lines of metrics.jsonl; 0: about 500 lines");
  table
      .real("checkpoint-minutes", FIELD(checkpoint_minutes), kAboveZero, 1e9,
            "Minutes between checkpoints")
      .may_change = true;

  table.group("Compute");
  table.choice("precision", FIELD(precision),
               std::vector<std::pair<std::string, std::string>>{
                   {"auto", "auto"}, {"f32", "f32"}, {"bf16", "bf16"}},
               "auto: the faster on this machine");
  table.choice(
      "device", FIELD(device),
      std::vector<std::pair<std::string, std::string>>{{"cpu", "cpu"}, {"reference", "reference"}},
      "cpu, or reference: slow plain loops, the oracle of the tests");
  return fields;
}

#undef FIELD

/// Options that say nothing under an objective, and why.
void refuse_idle_options(const std::map<std::string, std::string>& given,
                         const ModelConfig& model) {
  const auto refuse = [&](std::initializer_list<const char*> names, const std::string& reason) {
    for (const char* name : names) {
      if (given.count(name) == 0) continue;
      throw UserError("--{}: --objective {} {}\nLeave the option out.", name,
                      to_string(model.objective), reason);
    }
  };
  if (!model.has_decoder()) {
    refuse({"decoder-width", "decoder-layers", "decoder-heads", "decoder-feed-forward"},
           "has no decoder");
  }
  if (model.causal()) refuse({"mask-ratio", "masking", "masked-weight"}, "masks nothing");
}

/// --warmup when it is not given.
constexpr double kOneCycleWarmup = 0.3, kOtherWarmup = 0.05;

void resolve_duration(const std::map<std::string, std::string>& given, PretrainOptions& options) {
  std::string first;
  for (const char* name : {"epochs", "steps", "minutes"}) {
    if (given.count(name) == 0) continue;
    if (!first.empty()) {
      throw UserError("--{} and --{} exclude each other\nGive one of --epochs, --steps, --minutes.",
                      first, name);
    }
    first = name;
  }
  if (!first.empty() && first != "epochs") options.epochs = 0;
}

}  // namespace

MaskingRules PretrainOptions::masking_rules() const {
  MaskingRules rules;
  rules.scheme = masking;
  rules.ratio = mask_ratio;
  rules.leave_out = model.objective == ObjectiveKind::kMaskedAutoencoder;
  rules.first_kmer = model.first_kmer();
  rules.kmers = model.kmers();
  return rules;
}

nlohmann::json value_in(const nlohmann::ordered_json& options, const PretrainField& field) {
  if (!options.contains(field.name) && field.added_later) return field.value(PretrainOptions{});
  return options.value(field.name, nlohmann::ordered_json());
}

const std::vector<PretrainField>& pretrain_fields() {
  static const std::vector<PretrainField> fields = make_fields();
  return fields;
}

PretrainOptions preset_options(const std::string& name) {
  PretrainOptions options;
  options.preset = name;
  options.model = preset(name);
  // The decoder is like the encoder, whose shape may yet be given.
  options.model.decoder.width = options.model.decoder.heads = options.model.decoder.feed_forward =
      0;
  if (name == "base") {  // the paper
    options.epochs = 45;
    return options;
  }
  // Short trainings: a pass or three over the data, chosen on val_unseen (docs/results.md).
  options.model.dropout = 0;
  options.epochs = 3;
  options.batch = options.micro_batch = 64;
  options.lr = name == "small" ? 1e-3 : 2e-3;
  options.schedule.kind = ScheduleKind::kCosine;
  options.weight_decay = 0.01;
  options.beta2 = 0.98;
  options.clip = 1;
  return options;
}

PretrainOptions resolve_pretrain_options(const std::map<std::string, std::string>& given) {
  const auto preset = given.find("preset");
  PretrainOptions options =
      preset_options(preset == given.end() ? PretrainOptions{}.preset : preset->second);
  for (const PretrainField& field : pretrain_fields()) {
    if (const auto found = given.find(field.name); found != given.end()) {
      field.parse(options, found->second);
    }
  }
  resolve_duration(given, options);

  ModelConfig& model = options.model;
  refuse_idle_options(given, model);
  if (!model.has_decoder())
    model.decoder = {.width = 0, .layers = 0, .heads = 0, .feed_forward = 0};
  if (model.has_decoder()) {
    if (model.decoder.width == 0) model.decoder.width = model.encoder.width;
    if (model.decoder.heads == 0) model.decoder.heads = model.encoder.heads;
    if (model.decoder.feed_forward == 0) model.decoder.feed_forward = model.encoder.feed_forward;
  }
  if (options.stride == 0) options.stride = model.k;
  if (!options.tokenizer.empty()) {
    if (options.anchor != "none")
      throw UserError("--tokenizer {}: byte pairs have no place in a marker\nAdd --anchor none.",
                      options.tokenizer);
    const std::shared_ptr<const BpeTokenizer> tokenizer = training_bpe(options);
    const BpeVocabulary& pairs = tokenizer->vocabulary();
    model.vocabulary = static_cast<int>(pairs.tokens.size());
    model.bpe_specials = pairs.specials;
    // Presets choose these for k-mers.
    if (given.count("head") == 0) model.head = HeadKind::kKmer;
    if (given.count("kmer-init") == 0) model.kmer_initialisation = KmerInitialisation::kRandom;
  }
  const KmerVocabulary vocabulary{model.k};
  if (model.bpe_specials == 0) model.vocabulary = vocabulary.size();
  const int tokens = KmerTokenizer(vocabulary, options.stride, options.max_bases).max_tokens();
  if (model.bpe_specials == 0 && tokens > model.max_positions) {
    throw UserError(
        "--k {} --stride {} --max-bases {} make up to {} tokens, but --max-positions is {}\n"
        "Raise --max-positions or use fewer bases.",
        model.k, options.stride, options.max_bases, tokens, model.max_positions);
  }
  validate(model);

  if (options.lr == 0) options.lr = 1e-4 * static_cast<double>(options.batch) / 64;
  options.schedule.peak = options.lr;
  if (given.count("warmup") == 0) {
    options.schedule.warmup =
        options.schedule.kind == ScheduleKind::kOneCycle ? kOneCycleWarmup : kOtherWarmup;
  }
  if (given.count("micro-batch") == 0) {
    options.micro_batch = std::min(options.micro_batch, options.batch);
  } else if (options.micro_batch > options.batch) {
    throw UserError("--micro-batch {} is larger than --batch {}\nIt is a part of the batch.",
                    options.micro_batch, options.batch);
  }
  return options;
}

std::shared_ptr<const BpeTokenizer> training_bpe(const PretrainOptions& options) {
  if (options.tokenizer.empty()) return nullptr;
  std::ifstream stream(options.tokenizer, std::ios::binary);
  std::error_code ignored;
  if (!stream || std::filesystem::is_directory(options.tokenizer, ignored))
    throw UserError("--tokenizer {}: cannot be read", options.tokenizer);
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  BpeFile file = read_bpe_json(text, options.tokenizer);
  return std::make_shared<const BpeTokenizer>(std::move(file.vocabulary),
                                              options.model.max_positions);
}

nlohmann::ordered_json to_json(const PretrainOptions& options) {
  nlohmann::ordered_json json;
  for (const PretrainField& field : pretrain_fields()) json[field.name] = field.value(options);
  return json;
}

}  // namespace barcodemae
