// SPDX-License-Identifier: MIT
#include "train/validation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "analysis/nearest.h"
#include "analysis/representation.h"
#include "data/packing.h"
#include "inference/embedder.h"

namespace barcodemae {
namespace {

constexpr std::uint32_t kValidationStep = 0xFFFFFFFF;  // no training reaches it: names the masks

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
                     const ModelDescription& description)
    : data_(data), learner_(learner), description_(description) {
  content_ = make_step(data, options, data.records.validation, FrameOffsets{}, kValidationStep);
}

std::optional<ValidationResult> Validator::run(const std::function<bool()>& stop) {
  ValidationResult result;
  try {
    score_reconstruction(result, stop);
    score_embeddings(result, stop);
  } catch (const Stopped&) {
    return std::nullopt;
  }
  return result;
}

void Validator::score_reconstruction(ValidationResult& result, const std::function<bool()>& stop) {
  double hits = 0;
  for (const MicroBatch& piece : content_.pieces) {
    if (stop()) throw Stopped{};
    const BatchLosses losses = learner_.evaluate(piece, content_.counts);
    result.masked_loss += losses.masked;
    hits += losses.masked_hits;
  }
  const auto masked = static_cast<double>(std::max<std::int64_t>(content_.counts.masked, 1));
  result.masked_accuracy = hits / masked;
  result.site_frequency_loss = content_.site_loss / masked;
}

void Validator::score_embeddings(ValidationResult& result, const std::function<bool()>& stop) {
  EmbedderOptions embedding;
  embedding.precision = learner_.activation();
  Embedder embedder =
      Embedder::borrow(description_, learner_.model().encoder(), learner_.backend(), embedding);
  const auto embed = [&](const std::vector<std::int64_t>& records) {
    std::vector<TokenSequence> sequences;
    sequences.reserve(records.size());
    for (const std::int64_t record : records) {
      sequences.push_back(data_.dataset.tokens(record, data_.coder));
    }
    return embedder.embed(sequences, [&](std::int64_t) {
      if (stop()) throw Stopped{};
    });
  };
  const auto finite = [](const Matrix& matrix) {
    return std::all_of(matrix.values.begin(), matrix.values.end(),
                       [](float value) { return std::isfinite(value); });
  };
  const bool labelled = !data_.records.queries.empty();
  Matrix keys = embed(labelled ? data_.records.keys : data_.records.validation);
  result.effective_rank = result.mean_cosine = std::numeric_limits<double>::quiet_NaN();
  if (!finite(keys)) return;  // a training that has diverged
  result.effective_rank = effective_rank(keys);
  result.mean_cosine = mean_pairwise_cosine(keys);
  if (!labelled) return;
  Matrix queries = embed(data_.records.queries);
  if (!finite(queries)) return;
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
