// SPDX-License-Identifier: MIT
#include "train/pretrain_options.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <numbers>
#include <optional>
#include <sstream>
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
  PretrainField& flag(const std::string& name, Get get, const std::string& help) {
    PretrainField& field =
        choice(name, get,
               std::vector<std::pair<std::string, bool>>{{"false", false}, {"true", true}}, help);
    field.flag = true;
    field.added_later = true;
    return field;
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
    PretrainField field;
    field.name = std::move(name);
    field.group = group_;
    field.value_name = std::move(value_name);
    field.help = std::move(help);
    field.parse = std::move(parse);
    field.value = std::move(value);
    fields_.push_back(std::move(field));
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
  table
      .text("tokenizer", FIELD(tokenizer), "FILE",
            "tokenizer.json of byte pairs instead of k-mers; needs --anchor none")
      .added_later = true;
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

  const auto later = [](PretrainField& field) -> PretrainField& {
    field.added_later = true;
    return field;
  };
  later(table.real("random-share", FIELD(random_share), 0, 1,
                   "Share of the chosen k-mers that are replaced by another one, not masked"));
  later(table.real("keep-share", FIELD(keep_share), 0, 1,
                   "Share of the chosen k-mers that are left as they are, not masked"));
  later(
      table.integer("mask-span", FIELD(mask_span), 1, 2048,
                    "Neighbouring k-mers chosen together: for overlapping k-mers, which give each "
                    "other away"));
  zero_is_none(later(table.real("mask-ratio-final", FIELD(mask_ratio_final), 0, 0.99,
                                "Share that is masked at the end; from --mask-ratio there")));
  later(table.choice("mask-schedule", FIELD(mask_schedule),
                     std::vector<std::pair<std::string, MaskSchedule>>{
                         {"linear", MaskSchedule::kLinear}, {"cosine", MaskSchedule::kCosine}},
                     "Course from --mask-ratio to --mask-ratio-final"));
  later(table.real("unmasked-tail", FIELD(unmasked_tail), 0, 0.9,
                   "Last share of the steps, in which nothing is masked: visible k-mers and "
                   "auxiliary losses alone are trained on"));
  later(table.choice(
      "soft-targets", FIELD(model.soft_targets),
      std::vector<std::pair<std::string, SoftTargets>>{{"none", SoftTargets::kNone},
                                                       {"hamming", SoftTargets::kHamming},
                                                       {"levenshtein", SoftTargets::kLevenshtein}},
      "Targets spread over k-mers at distance d by exp(-X d): differing bases (what "
      "the reference code calls Levenshtein), or edits"));
  later(
      table.real("soft-sharpness", FIELD(model.soft_sharpness), 0.01, 100, "X of --soft-targets"));
  table.flag("freeze-mask-row", FIELD(model.freeze_mask_row),
             "The encoder's embedding of [MASK] stays 0, as in the reference code, where it is "
             "BERT's padding row (mae-masked and mlm)");
  table.flag("tokenize-n", FIELD(model.n_kmers),
             "k-mers with N are tokens of their own, not [UNK]");
  table.flag("predict-n", FIELD(model.predict_n), "… and are masked and predicted as the others");
  table.flag("cls", FIELD(model.cls), "Sequences begin with a [CLS] token (BarcodeMAE+)");
  later(
      table.choice("pooling", FIELD(model.pooling),
                   std::vector<std::pair<std::string, Pooling>>{
                       {"mean", Pooling::kMean}, {"cls", Pooling::kCls}, {"both", Pooling::kBoth}},
                   "The model's embedding: mean over tokens (the paper), [CLS], or both"));

  table.group("Auxiliary losses (BarcodeMAE+)");
  PretrainField& auxiliary = later(table.text(
      "auxiliary", FIELD(auxiliary), "RANK:LOSS:WEIGHT",
      "A loss of the barcodes' labels, such as genus:cross-entropy:0.1; repeatable. LOSS: "
      "cross-entropy, contrastive, contrastive-others (own species left out), triplet, "
      "pair"));
  auxiliary.repeatable = true;
  zero_is_none(later(
      table.real("temperature", FIELD(temperature), 0, 100, "Of contrastive losses; default 0.1")));
  zero_is_none(later(table.real("margin", FIELD(margin), 0, 2, "Of triplet losses; default 0.3")));
  later(table.real("auxiliary-warmup", FIELD(auxiliary_warmup), 0, 1e6,
                   "Epochs in which the weights of auxiliary losses rise from 0"));
  later(table.text("balanced-batches", FIELD(balanced_batches), "CxM",
                   "Begin every batch with M barcodes each of C classes at the first auxiliary "
                   "loss' rank, of different species where there are; 16x4 in BarcodeMAE+"));

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
  if (model.causal()) {
    refuse({"mask-ratio", "masking", "masked-weight", "random-share", "keep-share", "mask-span",
            "mask-ratio-final", "mask-schedule", "unmasked-tail"},
           "masks nothing");
  }
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

/// "RANK:LOSS:WEIGHT,…" into the model's losses.
void resolve_auxiliary(const std::map<std::string, std::string>& given, PretrainOptions& options) {
  const char* const expected = "RANK:LOSS:WEIGHT, such as genus:cross-entropy:0.1";
  for (const std::string& text : split(options.auxiliary, ',')) {
    const std::vector<std::string> parts = split(text, ':');
    AuxiliaryLoss loss;
    if (parts.size() != 3 || !parse_number(parts[2], loss.weight) || !(loss.weight > 0) ||
        !std::isfinite(loss.weight)) {
      reject("auxiliary", text, expected);
    }
    const std::optional<Rank> rank = parse_rank(parts[0]);
    if (!rank) reject("auxiliary", text, "a rank such as genus before the first colon");
    loss.rank = *rank;
    const AuxiliaryKind kinds[] = {AuxiliaryKind::kCrossEntropy, AuxiliaryKind::kContrastive,
                                   AuxiliaryKind::kContrastiveOthers, AuxiliaryKind::kTriplet,
                                   AuxiliaryKind::kPair};
    const auto* kind = std::find_if(std::begin(kinds), std::end(kinds),
                                    [&](AuxiliaryKind one) { return parts[1] == to_string(one); });
    if (kind == std::end(kinds)) {
      reject("auxiliary", text,
             "cross-entropy, contrastive, contrastive-others, triplet or pair between the colons");
    }
    loss.kind = *kind;
    if (options.temperature > 0) loss.temperature = options.temperature;
    if (options.margin > 0) loss.margin = options.margin;
    options.model.auxiliary.push_back(loss);
  }
  const std::vector<AuxiliaryLoss>& losses = options.model.auxiliary;
  const auto any_of = [&](std::initializer_list<AuxiliaryKind> kinds) {
    return std::any_of(losses.begin(), losses.end(), [&](const AuxiliaryLoss& loss) {
      return std::find(kinds.begin(), kinds.end(), loss.kind) != kinds.end();
    });
  };
  const auto refuse_without = [&](const char* name, bool used, const char* what) {
    if (given.count(name) == 0 || used) return;
    throw UserError("--{}: there is no {}\nGive --auxiliary too, or leave the option out.", name,
                    what);
  };
  refuse_without("temperature",
                 any_of({AuxiliaryKind::kContrastive, AuxiliaryKind::kContrastiveOthers}),
                 "contrastive loss");
  refuse_without("margin", any_of({AuxiliaryKind::kTriplet}), "triplet loss");
  refuse_without("auxiliary-warmup", !losses.empty(), "auxiliary loss");
  refuse_without("balanced-batches", !losses.empty(), "auxiliary loss");
  if (!options.balanced_batches.empty()) {
    const std::vector<std::string> parts = split(options.balanced_batches, 'x');
    if (parts.size() != 2 || !parse_number(parts[0], options.balanced_classes) ||
        !parse_number(parts[1], options.balanced_members) || options.balanced_classes < 2 ||
        options.balanced_members < 2) {
      reject("balanced-batches", options.balanced_batches, "CLASSESxMEMBERS, such as 16x4");
    }
    if (std::int64_t{options.balanced_classes} * options.balanced_members > options.batch) {
      throw UserError("--balanced-batches {} is more than --batch {}\nGive a larger batch.",
                      options.balanced_batches, options.batch);
    }
  }
  // Pairs of barcodes are found in what is in memory at a time.
  if (any_of({AuxiliaryKind::kContrastive, AuxiliaryKind::kContrastiveOthers,
              AuxiliaryKind::kTriplet, AuxiliaryKind::kPair})) {
    if (given.count("micro-batch") == 0) options.micro_batch = options.batch;
    if (options.micro_batch < options.batch) {
      throw UserError(
          "--micro-batch {}: an auxiliary loss of pairs needs the whole --batch {} at a time\n"
          "Leave --micro-batch out, or use cross-entropy.",
          options.micro_batch, options.batch);
    }
  }
}

/// Combinations of masking options that leave nothing to do, or too much.
void check_masking(const PretrainOptions& options) {
  if (options.random_share + options.keep_share > 1) {
    throw UserError("--random-share {} and --keep-share {} are more than 1 together",
                    options.random_share, options.keep_share);
  }
  if (options.unmasked_tail > 0 && options.masked_weight == 1 && options.model.auxiliary.empty()) {
    throw UserError(
        "--unmasked-tail {}: without masked k-mers there is nothing to learn\n"
        "Give --masked-weight below 1 or --auxiliary too.",
        options.unmasked_tail);
  }
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

MaskingRules PretrainOptions::masking_rules(std::int64_t step, std::int64_t total) const {
  MaskingRules rules;
  rules.scheme = masking;
  rules.ratio = mask_ratio;
  if (total > 0) {
    const double share = static_cast<double>(step) / static_cast<double>(total);
    if (mask_ratio_final > 0) {
      const double masked_part = 1 - unmasked_tail;
      const double t = masked_part > 0 ? std::min(share / masked_part, 1.0) : 1.0;
      const double course =
          mask_schedule == MaskSchedule::kCosine ? (1 - std::cos(std::numbers::pi * t)) / 2 : t;
      rules.ratio += course * (mask_ratio_final - mask_ratio);
    }
    if (share >= 1 - unmasked_tail && unmasked_tail > 0) rules.ratio = 0;
  }
  rules.random_share = random_share;
  rules.keep_share = keep_share;
  rules.span = mask_span;
  rules.leave_out = model.objective == ObjectiveKind::kMaskedAutoencoder;
  rules.first_kmer = model.first_kmer();
  rules.kmers = model.predicted_kmers();
  return rules;
}

std::pair<double, double> PretrainOptions::mask_ratio_range() const {
  const double last = mask_ratio_final > 0 ? mask_ratio_final : mask_ratio;
  return {unmasked_tail > 0 ? 0.0 : std::min(mask_ratio, last), std::max(mask_ratio, last)};
}

KmerVocabulary PretrainOptions::vocabulary() const {
  KmerVocabulary vocabulary;
  vocabulary.k = model.k;
  vocabulary.n_kmers = model.n_kmers;
  if (model.cls) vocabulary.specials.emplace_back(KmerVocabulary::kCls);
  return vocabulary;
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
  if (model.n_kmers && model.k > KmerVocabulary::kMaxKWithN) {
    throw UserError("--tokenize-n: k-mers of {} bases with N are too many\nGive --k {} or less.",
                    model.k, KmerVocabulary::kMaxKWithN);
  }
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
  const KmerVocabulary vocabulary = options.vocabulary();
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
  resolve_auxiliary(given, options);
  check_masking(options);
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
