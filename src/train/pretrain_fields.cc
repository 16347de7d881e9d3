// SPDX-License-Identifier: MIT
// The table of a pretraining's options.
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

#include "backend/backends.h"
#include "base/error.h"
#include "nn/presets.h"
#include "train/option_text.h"
#include "train/pretrain_options.h"

namespace barcodemae {
namespace {

constexpr double kHuge = std::numeric_limits<double>::max();
constexpr double kAboveZero = std::numeric_limits<double>::min();

/// Builds the table; `Get` maps options to the field, so that nested fields work too.
class FieldTable {
 public:
  explicit FieldTable(std::vector<PretrainField>& fields) : fields_(fields) {}

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
  PretrainField& pooling(const std::string& name, Get get, const std::string& help) {
    return add(
        name, "mean|cls|both|segments:N", help,
        [=](PretrainOptions& options, const std::string& text) {
          const std::optional<Pooling> pooling = parse_pooling(text);
          if (!pooling || pooling->sites) {  // sites are of finished models
            reject(name, text, "one of mean, cls, both, segments:N (N from 2 to 64)");
          }
          get(options) = *pooling;
        },
        [=](const PretrainOptions& options) -> nlohmann::json {
          return to_string(get(const_cast<PretrainOptions&>(options)));
        });
  }

  /// A run may go on with another GPU: all are "cuda" in run.json.
  template <typename Get>
  PretrainField& device(const std::string& name, Get get, const std::string& help) {
    return add(
        name, "cpu|cuda|cuda:N|reference", help,
        [=](PretrainOptions& options, const std::string& text) {
          if (!parse_device(text)) reject(name, text, kDeviceNames);
          get(options) = text;
        },
        [=](const PretrainOptions& options) -> nlohmann::json {
          return to_string(parse_device(get(const_cast<PretrainOptions&>(options))).value().kind);
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
  FieldTable table(fields);
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
  PretrainField& petaflops =
      table.real("petaflops", FIELD(petaflops), kAboveZero, 1e9,
                 "10^15 operations, of the products with weights that the barcodes' tokens need: "
                 "to compare at equal cost");
  petaflops.added_later = true;
  zero_is_none(petaflops);

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
  later(
      table.real("predict-share", FIELD(predict_share), kAboveZero, 1,
                 "Share of the masked k-mers that is decoded and predicted (CrossMAE): the decoder "
                 "of mae does not meet the others"));
  zero_is_none(later(table.real("mask-ratio-final", FIELD(mask_ratio_final), 0.01, 0.99,
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
  later(table.pooling("pooling", FIELD(model.pooling),
                      "The model's embedding: mean over tokens (the paper), [CLS], both, or "
                      "means over N equal ranges of places, side by side. Auxiliary losses look at "
                      "the mean (with --cls: at [CLS]) all the same"));

  table.group("Auxiliary losses (BarcodeMAE+)");
  PretrainField& auxiliary = later(table.text(
      "auxiliary", FIELD(auxiliary), "RANK:LOSS:WEIGHT",
      "A loss of the barcodes' labels, such as genus:cross-entropy:0.1; repeatable. LOSS: "
      "cross-entropy, contrastive, contrastive-others (own species left out), triplet, "
      "pair"));
  auxiliary.repeatable = true;
  zero_is_none(later(table.real("temperature", FIELD(temperature), kAboveZero, 100,
                                "Of contrastive losses; default 0.1")));
  zero_is_none(
      later(table.real("margin", FIELD(margin), kAboveZero, 2, "Of triplet losses; default 0.3")));
  later(table.real("auxiliary-warmup", FIELD(auxiliary_warmup), 0, 1e6,
                   "Epochs in which the weights of auxiliary losses rise from 0"));
  later(table.text("balanced-batches", FIELD(balanced_batches), "CxM",
                   "Begin every batch with M barcodes each of C classes at the first auxiliary "
                   "loss' rank, of different species where there are; 16x4 in BarcodeMAE+"));

  table.group("Optimiser");
  table.integer("batch", FIELD(batch), 1, 1 << 20, "Barcodes per optimiser step");
  table.integer("micro-batch", FIELD(micro_batch), 1, 1 << 20,
                "Barcodes in memory at a time; gradients accumulate to --batch; on a GPU all of "
                "it, where nothing is given");
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
               "auto: the faster on this device");
  table.device("device", FIELD(device),
               "cpu; cuda or cuda:N, a GPU (where several processes share a machine, cuda is one "
               "for each); or reference: slow plain loops, the oracle of the tests");
  return fields;
}

#undef FIELD

}  // namespace

const std::vector<PretrainField>& pretrain_fields() {
  static const std::vector<PretrainField> fields = make_fields();
  return fields;
}

nlohmann::ordered_json to_json(const PretrainOptions& options) {
  nlohmann::ordered_json json;
  for (const PretrainField& field : pretrain_fields()) json[field.name] = field.value(options);
  return json;
}

}  // namespace barcodemae
