// SPDX-License-Identifier: MIT
// What a model in training is worth: the task on held-out barcodes, and its frozen embeddings.
#pragma once

#include <functional>
#include <optional>
#include <span>

#include "communication/communicator.h"
#include "formats/model_directory.h"
#include "formats/npy.h"
#include "inference/embedder.h"
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

/// Fixed masks, frame offset 0, no dropout: the same question each time. Each process reconstructs
/// and embeds its share of the records; rank 0 searches and measures what it gathers.
class Validator {
 public:
  Validator(const TrainingData& data, const PretrainOptions& options, Learner& learner,
            const ModelDescription& description, Communicator& communicator);

  /// The same in all processes. nullopt when `stop`, which is collective too, said so in between.
  std::optional<ValidationResult> run(const std::function<bool()>& stop);

 private:
  void score_reconstruction(ValidationResult& result, const std::function<bool()>& stop);
  void score_embeddings(ValidationResult& result, const std::function<bool()>& stop);
  /// At rank 0 the vectors of all records, in order; elsewhere no rows.
  Matrix embed(Embedder& embedder, std::span<const std::int64_t> records,
               const std::function<bool()>& stop);
  void measure(ValidationResult& result, Matrix& keys, Matrix& queries) const;

  const TrainingData& data_;
  Learner& learner_;
  const ModelDescription& description_;
  Communicator& communicator_;
  TrainingStep content_;     ///< this process's validation records, masked
  std::int64_t rounds_ = 0;  ///< most pieces that a process has
};

}  // namespace barcodemae
