// SPDX-License-Identifier: MIT
// What a model in training is worth: the task on held-out barcodes, and its frozen embeddings.
#pragma once

#include <functional>
#include <optional>

#include "formats/model_directory.h"
#include "train/learner.h"
#include "train/training_data.h"

namespace barcodemae {

/// Rank and cosine are not a number, and there is no accuracy, when embeddings are not finite.
struct ValidationResult {
  double masked_loss = 0;          ///< mean over all masked tokens, nats
  double site_frequency_loss = 0;  ///< the same tokens predicted by their sites' frequencies
  double masked_accuracy = 0;      ///< share of masked tokens whose every base is right
  double effective_rank = 0;       ///< of the embeddings: of the keys, or the validation records
  double mean_cosine = 0;          ///< mean pairwise cosine of the same
  /// Cosine 1-NN of unseen species, where there are labels; with the keys' mean subtracted, too.
  std::optional<double> genus_accuracy, genus_accuracy_centred;
};

/// Fixed masks, frame offset 0, no dropout: the same question each time.
class Validator {
 public:
  Validator(const TrainingData& data, const PretrainOptions& options, Learner& learner,
            const ModelDescription& description);

  /// nullopt when `stop` said so in between.
  std::optional<ValidationResult> run(const std::function<bool()>& stop);

 private:
  void score_reconstruction(ValidationResult& result, const std::function<bool()>& stop);
  void score_embeddings(ValidationResult& result, const std::function<bool()>& stop);

  const TrainingData& data_;
  Learner& learner_;
  const ModelDescription& description_;
  TrainingStep content_;  ///< all validation records, masked
};

}  // namespace barcodemae
