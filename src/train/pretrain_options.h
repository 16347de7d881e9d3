// SPDX-License-Identifier: MIT
// What a pretraining can be told. Each option is declared once, in the table of pretrain_fields.cc:
// the command line, --help, run.json and the comparison on resumption all read that table.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "data/batch.h"
#include "nn/config.h"
#include "sequence/reader.h"
#include "tokenizer/bpe_tokenizer.h"
#include "train/schedule.h"

namespace barcodemae {

enum class MaskSchedule { kLinear, kCosine };

/// Resolved: every value is the one that is used; 0 marks the durations not asked for.
struct PretrainOptions {
  std::string preset = "small";

  std::string splits;  ///< joined with + or ,; empty: `pretrain` where there is a split column
  std::string marker_code = ReaderOptions().marker_code;
  std::string anchor = "auto";  ///< auto, none, or a file with a profile

  ModelConfig model;
  std::string tokenizer;  ///< a tokenizer.json of byte pairs; empty: k-mers
  int stride = 0;         ///< bases from one k-mer to the next; 0: k
  int max_bases = 660;

  double mask_ratio = 0.5;
  MaskingScheme masking = MaskingScheme::kBernoulli;
  double random_share = 0, keep_share = 0;  ///< of the chosen k-mers: not masked but …
  int mask_span = 1;
  double predict_share = 1;     ///< of the chosen k-mers: predicted
  double mask_ratio_final = 0;  ///< 0: as mask_ratio throughout
  MaskSchedule mask_schedule = MaskSchedule::kLinear;
  double unmasked_tail = 0;            ///< last share of the steps, in which nothing is masked
  std::string auxiliary;               ///< RANK:LOSS:WEIGHT,…; resolved into model.auxiliary
  double temperature = 0, margin = 0;  ///< of all auxiliary losses; 0: their defaults
  double auxiliary_warmup = 0;         ///< epochs in which their weights rise from 0
  std::string balanced_batches;        ///< CLASSESxMEMBERS, or empty
  int balanced_classes = 0, balanced_members = 0;
  double masked_weight = 1;  ///< w of w · masked + (1 − w) · visible

  double epochs = 0;
  std::int64_t steps = 0;
  double minutes = 0;
  double petaflops = 0;           ///< 10^15 operations of the whole training (nn/flops.h)
  std::int64_t batch = 64;        ///< barcodes per optimiser step
  std::int64_t micro_batch = 32;  ///< barcodes in memory at a time

  double lr = 0;  ///< peak learning rate, used as it is
  ScheduleConfig schedule;
  double weight_decay = 1e-5;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double clip = 0;  ///< largest gradient norm; 0: no clipping

  std::uint64_t seed = 1;
  std::string precision = "auto";  ///< resolved before training: f32 or bf16
  std::string device = "cpu";

  std::int64_t validate_every = 0;  ///< steps; 0: chosen from the length of the run
  std::int64_t validate_records = 2000;
  std::int64_t validate_queries = 1000;
  std::int64_t validate_keys = 4000;
  std::int64_t log_every = 0;  ///< steps; 0: chosen from the length of the run
  double checkpoint_minutes = 5;

  /// Those of a step; `total` 0: not known yet, the first ratio.
  MaskingRules masking_rules(std::int64_t step = 0, std::int64_t total = 0) const;
  /// The least and the largest ratio of all steps.
  std::pair<double, double> mask_ratio_range() const;
  KmerVocabulary vocabulary() const;
};

/// One option: its name is `--name` on the command line and the key in run.json.
struct PretrainField {
  std::string name;
  std::string group;       ///< heading in --help
  std::string value_name;  ///< what --help shows in place of the value
  std::string help;
  bool may_change = false;  ///< a resumption may give another value
  /// Runs of before this option existed did what its default says, and can be resumed.
  bool added_later = false;
  bool flag = false;        ///< on the command line without a value; the text is true or false
  bool repeatable = false;  ///< given several times, the texts are joined by commas
  /// Sets the value from text. Throws UserError naming the option and what it expects.
  std::function<void(PretrainOptions&, const std::string& text)> parse;
  /// The value for run.json and --help; null: not given.
  std::function<nlohmann::json(const PretrainOptions&)> value;
};

/// All options, in the order of --help.
const std::vector<PretrainField>& pretrain_fields();

/// A preset's values before anything else is given. Throws UserError for an unknown name.
PretrainOptions preset_options(const std::string& name);

/// Preset, then the options given by name, then what depends on others (a decoder as wide as the
/// encoder, a learning rate by the batch). Throws UserError naming the option that makes no sense.
PretrainOptions resolve_pretrain_options(const std::map<std::string, std::string>& given);

/// The byte pairs of --tokenizer, cut at as many tokens as there are positions; null without it.
/// Throws UserError when the file cannot be used.
std::shared_ptr<const BpeTokenizer> training_bpe(const PretrainOptions& options);

/// Resolved values by name, in the table's order, for run.json.
nlohmann::ordered_json to_json(const PretrainOptions& options);

}  // namespace barcodemae
