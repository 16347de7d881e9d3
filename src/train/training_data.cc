// SPDX-License-Identifier: MIT
#include "train/training_data.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "data/anchor.h"
#include "data/packing.h"
#include "data/sampling.h"
#include "data/site_frequencies.h"
#include "data/splits.h"
#include "sequence/reader.h"

namespace barcodemae {
namespace {

constexpr double kHeldOutShare = 0.01;
constexpr const char* kDefaultSplit = "pretrain";

// Epochs that no training reaches: they name the samples' random numbers.
constexpr std::uint32_t kValidationSample = 0xFFFFFFFF, kQuerySample = 0xFFFFFFFE,
                        kKeySample = 0xFFFFFFFD, kSiteFrequencyOffsets = 0xFFFFFFFC;

/// At most `count` of the records, ascending.
std::vector<std::int64_t> sample(std::span<const std::int64_t> records, std::int64_t count,
                                 std::uint64_t seed, std::uint32_t purpose) {
  std::vector<std::int64_t> chosen = epoch_order(records, seed, purpose);
  if (static_cast<std::int64_t>(chosen.size()) > count) {
    chosen.resize(static_cast<std::size_t>(count));
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

/// The splits that are trained on, in a data set with a split column.
std::vector<std::string> training_splits(const PretrainOptions& options) {
  return options.splits.empty() ? std::vector<std::string>{kDefaultSplit}
                                : parse_splits(options.splits, "--splits");
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void select_queries_and_keys(const Dataset& data, const PretrainOptions& options,
                             const std::vector<std::string>& trained, RecordSelection& selection) {
  if (contains(trained, "val_unseen")) return;
  std::set<std::int32_t> genera;
  std::vector<std::int64_t> queries, keys;
  for (const std::int64_t record : data.records_of_split("val_unseen")) {
    if (data.label(record, Rank::kGenus) >= 0) queries.push_back(record);
  }
  selection.queries = sample(queries, options.validate_queries, options.seed, kQuerySample);
  for (const std::int64_t record : selection.queries) {
    genera.insert(data.label(record, Rank::kGenus));
  }
  for (const std::int64_t record : data.records_of_split("train")) {
    if (genera.count(data.label(record, Rank::kGenus)) != 0) keys.push_back(record);
  }
  selection.keys = sample(keys, options.validate_keys, options.seed, kKeySample);
  if (selection.keys.empty()) selection.queries.clear();
}

/// Throws UserError when fewer than two labels of `rank` occur among the training records.
LossLabels number_labels(const TrainingData& data, Rank rank) {
  LossLabels labels;
  labels.of_label.assign(static_cast<std::size_t>(data.dataset.label_count(rank)), -1);
  for (const std::int64_t record : data.records.training) {
    const std::int32_t label = data.dataset.label(record, rank);
    if (label < 0) continue;
    ++labels.labelled;
    labels.of_label[static_cast<std::size_t>(label)] = 0;
  }
  for (std::int32_t& number : labels.of_label) {
    if (number == 0) number = labels.classes++;
  }
  if (labels.classes < 2) {
    throw UserError(
        "--auxiliary {}: {} of the {} barcodes to train on have a label at this rank, of {} "
        "class{}\nGive another rank, other --splits, or data with labels.",
        to_string(rank), labels.labelled, data.records.training.size(), labels.classes,
        labels.classes == 1 ? "" : "es");
  }
  return labels;
}

Dataset load_splits(const std::filesystem::path& file, const PretrainOptions& options) {
  std::error_code ignored;
  const auto status = std::filesystem::status(file, ignored);
  if (file == "-" || std::filesystem::is_fifo(status) ||
      std::filesystem::is_character_file(status)) {
    throw UserError(
        "DATA {}: pretraining must be able to read its data again when it is resumed\n"
        "Give a file.",
        file.string());
  }
  Dataset::LoadOptions load{.reader = {options.marker_code}};
  if (RecordReader(file, load.reader).has_splits()) {
    load.splits = training_splits(options);
    load.optional_splits = {"val", "val_unseen", "train"};
  } else if (!options.splits.empty()) {
    throw UserError("--splits {}: {} has no split column\nLeave the option out.", options.splits,
                    file.string());
  }
  return Dataset::load(file, load);
}

}  // namespace

std::vector<std::int32_t> putative_species(const Dataset& data) {
  // Of a BIN that holds several species, the first in the order of the data set's labels.
  std::vector<std::int32_t> species_of_bin(static_cast<std::size_t>(data.label_count(Rank::kBin)),
                                           data.label_count(Rank::kSpecies));
  for (std::int64_t record = 0; record < data.size(); ++record) {
    const std::int32_t species = data.label(record, Rank::kSpecies);
    const std::int32_t bin = data.label(record, Rank::kBin);
    if (species < 0 || bin < 0) continue;
    std::int32_t& first = species_of_bin[static_cast<std::size_t>(bin)];
    first = std::min(first, species);
  }
  std::vector<std::int32_t> putative;
  putative.reserve(static_cast<std::size_t>(data.size()));
  for (std::int64_t record = 0; record < data.size(); ++record) {
    std::int32_t species = data.label(record, Rank::kSpecies);
    const std::int32_t bin = data.label(record, Rank::kBin);
    if (species < 0 && bin >= 0) {
      species = species_of_bin[static_cast<std::size_t>(bin)];
      if (species == data.label_count(Rank::kSpecies)) species += bin;
    }
    putative.push_back(species);
  }
  return putative;
}

RecordSelection select_records(const Dataset& data, const PretrainOptions& options) {
  RecordSelection selection;
  std::vector<std::int64_t> validation;
  if (data.has_splits()) {
    const std::vector<std::string> trained = training_splits(options);
    for (const std::string& split : trained) {
      const std::vector<std::int64_t> records = data.records_of_split(split);
      selection.training.insert(selection.training.end(), records.begin(), records.end());
    }
    std::sort(selection.training.begin(), selection.training.end());
    if (!contains(trained, "val")) validation = data.records_of_split("val");
    select_queries_and_keys(data, options, trained, selection);
  } else {
    selection.training.resize(static_cast<std::size_t>(data.size()));
    for (std::size_t i = 0; i < selection.training.size(); ++i) {
      selection.training[i] = static_cast<std::int64_t>(i);
    }
  }
  if (validation.empty()) {
    HoldOut parts = hold_out(data, selection.training, kHeldOutShare, options.seed);
    validation = std::move(parts.validation);
    selection.training = std::move(parts.training);
  }
  if (selection.training.empty() || validation.empty()) {
    throw UserError(
        "{} barcodes to train on and {} to validate by: pretraining needs both\n"
        "Give more data, or other --splits.",
        selection.training.size(), validation.size());
  }
  selection.validation =
      sample(validation, options.validate_records, options.seed, kValidationSample);
  return selection;
}

TrainingData load_training_data(const std::filesystem::path& file, const PretrainOptions& options) {
  const KmerTokenizer tokenizer(options.vocabulary(), options.stride, options.max_bases);
  TrainingData data{
      load_splits(file, options), {}, {tokenizer, std::nullopt, training_bpe(options)}, {}, {}};
  if (const std::string summary = data.dataset.report().summary(file.string()); !summary.empty()) {
    log_message(summary);
  }
  data.fingerprint = data.dataset.fingerprint();
  data.records = select_records(data.dataset, options);
  data.coder.profile = resolve_anchor(options.anchor, data.dataset);
  const FrameOffsets offsets{true, options.seed, kSiteFrequencyOffsets};
  data.site_log_frequencies = site_log_frequencies(data.dataset, data.coder, data.records.training,
                                                   options.model.max_positions, offsets);
  const auto count = [](const auto& records) {
    return format_count(static_cast<std::int64_t>(records.size()));
  };
  log_info("Barcodes: {} to train on, {} for validation ({})", count(data.records.training),
           count(data.records.validation),
           data.records.queries.empty()
               ? "no labelled val_unseen: no genus 1-NN"
               : fmt::format("genus 1-NN: {} val_unseen queries among {} keys",
                             count(data.records.queries), count(data.records.keys)));
  if (!options.model.auxiliary.empty()) data.putative_species = putative_species(data.dataset);
  for (const AuxiliaryLoss& loss : options.model.auxiliary) {
    const LossLabels labels = number_labels(data, loss.rank);
    log_info("Auxiliary loss {} {}, weight {}: {} of {} barcodes have one of {} labels",
             to_string(loss.rank), to_string(loss.kind), loss.weight, format_count(labels.labelled),
             count(data.records.training), format_count(labels.classes));
    data.labels_of_rank[loss.rank] = labels;
  }
  return data;
}

}  // namespace barcodemae
