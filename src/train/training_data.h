// SPDX-License-Identifier: MIT
// Which records a pretraining learns from and which it is watched by.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "data/dataset.h"
#include "data/sequence_coder.h"
#include "train/pretrain_options.h"

namespace barcodemae {

/// Records of a data set by what they are for; ascending indices.
struct RecordSelection {
  std::vector<std::int64_t> training;
  std::vector<std::int64_t> validation;  ///< `val`, or 1 % held out; not in `training`
  /// Genus 1-NN of unseen species: `val_unseen` records with a genus, and `train` records of the
  /// same genera to search among. Empty where there are no such splits or labels.
  std::vector<std::int64_t> queries, keys;
};

/// With a split column: `options.splits` (default `pretrain`) to train on; `val`, or 1 % of the
/// training records when there is no `val` or it is trained on, to validate. Without: 1 % is held
/// out. Samples are bounded by options.validate_… and depend on the seed alone. Throws UserError
/// when nothing is left to train on or to validate by.
RecordSelection select_records(const Dataset& data, const PretrainOptions& options);

/// Of every record its species or, where that has no name, what its BIN says: the species that
/// others of the BIN have, else the BIN as a species of its own, numbered behind the named ones.
/// −1: neither.
std::vector<std::int32_t> putative_species(const Dataset& data);

/// Labels of one rank among the records that are trained on, numbered 0 … classes − 1 in the order
/// of the data set's labels.
struct LossLabels {
  std::vector<std::int32_t> of_label;  ///< a label of the data set → its number; −1: not trained on
  std::int32_t classes = 0;
  std::int64_t labelled = 0;  ///< records
};

struct TrainingData {
  Dataset dataset;
  std::string fingerprint;
  SequenceCoder coder;
  RecordSelection records;
  /// Natural logs of the base frequencies at each place, [max_positions × 4k].
  std::vector<float> site_log_frequencies;
  std::map<Rank, LossLabels> labels_of_rank = {};   ///< of the auxiliary losses
  std::vector<std::int32_t> putative_species = {};  ///< of every record, with auxiliary losses
};

/// Reads the splits needed, selects, anchors, counts the sites' bases and numbers the labels. Says
/// what it found. Throws UserError when the file or the options leave nothing to train on.
TrainingData load_training_data(const std::filesystem::path& file, const PretrainOptions& options);

}  // namespace barcodemae
