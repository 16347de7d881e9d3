// SPDX-License-Identifier: MIT
#include "train/pretrain_options.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

#include "backend/backends.h"
#include "base/error.h"
#include "base/file_content.h"
#include "formats/bpe_json.h"
#include "nn/presets.h"
#include "tokenizer/kmer_tokenizer.h"
#include "train/option_text.h"

namespace barcodemae {
namespace {

/// Options that say nothing beside the others, and why.
void refuse_idle_options(const std::map<std::string, std::string>& given,
                         const PretrainOptions& options) {
  const ModelConfig& model = options.model;
  const auto refuse = [&](std::initializer_list<const char*> names, const std::string& reason) {
    for (const char* name : names) {
      if (given.count(name) == 0) continue;
      throw UserError("--{}: {}\nLeave the option out.", name, reason);
    }
  };
  const std::string objective = fmt::format("--objective {}", to_string(model.objective));
  if (!model.has_decoder()) {
    refuse({"decoder-width", "decoder-layers", "decoder-heads", "decoder-feed-forward"},
           objective + " has no decoder");
  }
  if (model.causal()) {
    refuse({"mask-ratio", "masking", "masked-weight", "random-share", "keep-share", "mask-span",
            "mask-ratio-final", "mask-schedule", "unmasked-tail", "predict-share"},
           objective + " masks nothing");
  }
  if (options.mask_ratio_final == 0) {
    refuse({"mask-schedule"}, "without --mask-ratio-final the ratio stays as it is");
  }
  if (options.schedule.kind == ScheduleKind::kOneCycle) {
    refuse({"beta1"}, "--schedule onecycle moves β₁ from --cycle-beta1-high to --cycle-beta1-low");
  } else {
    refuse({"cycle-start-divisor", "cycle-end-divisor", "cycle-beta1-high", "cycle-beta1-low"},
           "of --schedule onecycle alone");
  }
  if (model.soft_targets == SoftTargets::kNone) {
    refuse({"soft-sharpness"}, "there are no --soft-targets");
  }
  if (!options.tokenizer.empty()) {
    refuse({"stride", "max-bases"}, "byte pairs are cut at --max-positions, and have no stride");
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
    if (loss.kind == AuxiliaryKind::kContrastiveOthers && loss.rank >= Rank::kSpecies) {
      reject("auxiliary", text,
             "a rank above species: contrastive-others leaves out barcodes of the same species");
    }
    if (options.temperature > 0) loss.temperature = options.temperature;
    if (options.margin > 0) loss.margin = options.margin;
    for (const AuxiliaryLoss& other : options.model.auxiliary) {
      if (auxiliary_name(other) != auxiliary_name(loss)) continue;
      throw UserError("--auxiliary {}: the same loss is there already\nGive it one weight.", text);
    }
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
    throw UserError(
        "--random-share {} and --keep-share {} are more than 1 together\n"
        "What remains of 1 is the share that is masked.",
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
  for (const char* name : {"epochs", "steps", "minutes", "petaflops"}) {
    if (given.count(name) == 0) continue;
    if (!first.empty()) {
      throw UserError(
          "--{} and --{} exclude each other\n"
          "Give one of --epochs, --steps, --minutes, --petaflops.",
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
  rules.first_position = model.cls ? 1 : 0;
  rules.predict_share = predict_share;
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
  refuse_idle_options(given, options);
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
    // Small pieces leave a GPU idle; what does not fit its memory is refused with what does.
    const bool on_gpu = parse_device(options.device).value().kind == DeviceName::Kind::kCuda;
    options.micro_batch = on_gpu ? options.batch : std::min(options.micro_batch, options.batch);
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
  const std::optional<std::string> text = file_content(options.tokenizer);
  if (!text) {
    throw UserError("--tokenizer {}: cannot be read\nGive a tokenizer.json of type BPE.",
                    options.tokenizer);
  }
  BpeFile file = read_bpe_json(*text, options.tokenizer);
  return std::make_shared<const BpeTokenizer>(std::move(file.vocabulary),
                                              options.model.max_positions);
}

}  // namespace barcodemae
