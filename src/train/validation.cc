// SPDX-License-Identifier: MIT
#include "train/validation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "analysis/nearest.h"
#include "analysis/representation.h"
#include "communication/collectives.h"
#include "data/packing.h"
#include "inference/embedder.h"

namespace barcodemae {
namespace {

constexpr std::uint32_t kValidationStep = 0xFFFFFFFF;  // no training reaches it: names the masks
constexpr std::int64_t kEmbeddedAtATime = 256;         // records between two looks at `stop`

struct Stopped {};

double share_with_same_genus(const Dataset& data, std::span<const std::int64_t> queries,
                             std::span<const std::int64_t> keys, const Matrix& query_embeddings,
                             const Matrix& key_embeddings) {
  const std::vector<Neighbour> nearest =
      nearest_by_cosine(RowSource::of(key_embeddings), RowSource::of(query_embeddings), 1);
  std::int64_t correct = 0;
  for (std::size_t i = 0; i < queries.size(); ++i) {
    const std::int64_t key = keys[static_cast<std::size_t>(nearest[i].key)];
    if (data.label(queries[i], Rank::kGenus) == data.label(key, Rank::kGenus)) ++correct;
  }
  return static_cast<double>(correct) / static_cast<double>(queries.size());
}

}  // namespace

Validator::Validator(const TrainingData& data, const PretrainOptions& options, Learner& learner,
                     const ModelDescription& description, Communicator& communicator)
    : data_(data), learner_(learner), description_(description), communicator_(communicator) {
  const auto count = static_cast<std::int64_t>(data.records.validation.size());
  MaskingRules rules = options.masking_rules();
  rules.random_share = rules.keep_share = 0;  // a token that was seen is no reconstruction
  rules.predict_share = 1;
  content_ =
      make_step(data, options, rules,
                share_of(std::span<const std::int64_t>(data.records.validation), communicator),
                FrameOffsets{}, kValidationStep);
  add_up_counts(content_, communicator);
  const std::int64_t most = largest_share(count, communicator);
  rounds_ = (most + options.micro_batch - 1) / options.micro_batch;
}

std::optional<ValidationResult> Validator::run(const std::function<bool()>& stop) {
  ValidationResult result;
  try {
    score_reconstruction(result, stop);
    score_embeddings(result, stop);
  } catch (const Stopped&) {
    return std::nullopt;
  }
  return from_root(communicator_, result);
}

void Validator::score_reconstruction(ValidationResult& result, const std::function<bool()>& stop) {
  double sums[] = {0, 0};
  for (std::int64_t round = 0; round < rounds_; ++round) {
    if (stop()) throw Stopped{};
    if (round >= static_cast<std::int64_t>(content_.pieces.size())) continue;
    const BatchLosses losses =
        learner_.evaluate(content_.pieces[static_cast<std::size_t>(round)], content_.counts);
    sums[0] += losses.masked;
    sums[1] += losses.masked_hits;
  }
  communicator_.sum(sums);
  const auto masked = static_cast<double>(std::max<std::int64_t>(content_.counts.masked, 1));
  result.masked_loss = sums[0];
  result.masked_accuracy = sums[1] / masked;
  result.site_frequency_loss = content_.site_loss / masked;
}

Matrix Validator::embed(Embedder& embedder, std::span<const std::int64_t> records,
                        const std::function<bool()>& stop) {
  const auto count = static_cast<std::int64_t>(records.size());
  const auto own = share_of(records, communicator_);
  std::vector<float> vectors;
  for (std::int64_t first = 0; first < largest_share(count, communicator_);
       first += kEmbeddedAtATime) {
    if (stop()) throw Stopped{};
    std::vector<TokenSequence> sequences;
    const auto size = static_cast<std::int64_t>(own.size());
    for (std::int64_t i = first; i < std::min(first + kEmbeddedAtATime, size); ++i) {
      sequences.push_back(data_.dataset.tokens(own[static_cast<std::size_t>(i)], data_.coder));
    }
    const Matrix some = embedder.embed(sequences);
    vectors.insert(vectors.end(), some.values.begin(), some.values.end());
  }
  const std::int64_t rows = communicator_.rank() == 0 ? count : 0;
  return {rows, embedder.width(),
          concatenate_at_root(communicator_, std::span<const float>(vectors))};
}

void Validator::score_embeddings(ValidationResult& result, const std::function<bool()>& stop) {
  EmbedderOptions embedding;
  embedding.precision = learner_.activation();
  Embedder embedder =
      Embedder::borrow(description_, learner_.model().encoder(), learner_.backend(), embedding);
  const bool labelled = !data_.records.queries.empty();
  Matrix keys = embed(embedder, labelled ? data_.records.keys : data_.records.validation, stop);
  Matrix queries = embed(embedder, data_.records.queries, stop);
  if (communicator_.rank() == 0) measure(result, keys, queries);
}

void Validator::measure(ValidationResult& result, Matrix& keys, Matrix& queries) const {
  const auto finite = [](const Matrix& matrix) {
    return std::all_of(matrix.values.begin(), matrix.values.end(),
                       [](float value) { return std::isfinite(value); });
  };
  result.effective_rank = result.mean_cosine = std::numeric_limits<double>::quiet_NaN();
  if (!finite(keys)) return;  // a training that has diverged
  result.effective_rank = effective_rank(keys);
  result.mean_cosine = mean_pairwise_cosine(keys);
  if (queries.rows == 0 || !finite(queries)) return;
  const auto accuracy = [&] {
    return share_with_same_genus(data_.dataset, data_.records.queries, data_.records.keys, queries,
                                 keys);
  };
  result.genus_accuracy = accuracy();
  const std::vector<double> mean = column_means(keys);
  subtract_mean(keys, mean);
  subtract_mean(queries, mean);
  result.genus_accuracy_centred = accuracy();
}

}  // namespace barcodemae
