// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "evaluation/frozen_features.h"
#include "train/run_directory.h"

namespace barcodemae {

struct FinetuneOptions {
  std::string train = "train", val = "val", test = "test";
  Rank rank = Rank::kSpecies;
  FeatureOptions features;    ///< all but the pooling, which is the mean
  bool from_scratch = false;  ///< the control: random weights in place of the model's
  bool random_head = false;   ///< in place of a linear probe's; from scratch it always is random
  int epochs = 20;            ///< at most
  int patience = 3;           ///< epochs without a better one on `val`; 0: all epochs
  std::int64_t batch = 64, micro_batch = 32;
  double lr = 1e-3;  ///< peak, of the head
  double encoder_lr_factor = 0.3;
  double warmup = 0.1;  ///< share of all steps
  double weight_decay = 0.01;
  double clip = 1;
  std::uint64_t seed = 1;
  double checkpoint_minutes = 5;

  bool begins_with_probe() const { return !from_scratch && !random_head; }
};

/// What a resumption compares: everything but --test and --checkpoint-minutes, with the model's
/// fingerprint.
nlohmann::ordered_json to_json(const FinetuneOptions& options, const std::string& model);
std::vector<ComparedOption> compared_finetune_options();

}  // namespace barcodemae
