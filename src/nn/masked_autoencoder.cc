// SPDX-License-Identifier: MIT
#include "nn/masked_autoencoder.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"

namespace barcodemae {
namespace {

// Of some rows of a batch: the first of each sequence.
std::vector<std::int32_t> begins_of(const std::vector<std::int32_t>& rows,
                                    const std::vector<std::int32_t>& batch_begins) {
  std::vector<std::int32_t> begins;
  begins.reserve(batch_begins.size());
  for (const std::int32_t begin : batch_begins) {
    const auto first = std::lower_bound(rows.begin(), rows.end(), begin);
    begins.push_back(static_cast<std::int32_t>(first - rows.begin()));
  }
  return begins;
}

RowSubset subset_of(Context& context, const PackedBatch& batch,
                    const std::vector<std::int32_t>& rows) {
  return {context.upload(rows), make_segments(context, begins_of(rows, batch.begins), batch.records,
                                              take(batch.positions, rows))};
}

// Where the rows lie among `among`, which has all of them. Both ascend.
std::vector<std::int32_t> places(const std::vector<std::int32_t>& rows,
                                 const std::vector<std::int32_t>& among) {
  std::vector<std::int32_t> result;
  result.reserve(rows.size());
  auto place = among.begin();
  for (const std::int32_t row : rows) {
    place = std::lower_bound(place, among.end(), row);
    result.push_back(static_cast<std::int32_t>(place - among.begin()));
  }
  return result;
}

/// What the decoder sees, as a batch of its own with its plan: as though there were no other
/// tokens.
std::pair<PackedBatch, MaskingPlan> decoded_part(const PackedBatch& batch,
                                                 const MaskingPlan& plan) {
  const std::vector<std::int32_t>& rows = *plan.decoder_rows;
  PackedBatch part{take(batch.ids, rows), take(batch.positions, rows),
                   begins_of(rows, batch.begins), batch.records};
  MaskingPlan part_plan;
  part_plan.encoder_rows = places(plan.encoder_rows, rows);
  part_plan.encoder_begins = plan.encoder_begins;
  part_plan.masked_rows = places(plan.masked_rows, rows);
  part_plan.visible_rows = places(plan.visible_rows, rows);
  return {std::move(part), std::move(part_plan)};
}

// What nn.Linear does by itself, bias too; the reference leaves the projection so.
Initialisation linear_default(int width_in) {
  return {Initialisation::Kind::kUniform, 1 / std::sqrt(static_cast<double>(width_in))};
}

/// Index of the mask vector; −1: none. The control's decoder gets a row of each token.
int declare_mask_vector(Parameters& parameters, const ModelConfig& config) {
  if (config.objective == ObjectiveKind::kMaskedAutoencoderSeeing) return -1;
  return parameters.declare({kMaskVectorName}, 1, config.decoder.width, kZeros);
}

std::vector<TransformerLayer> declare_layers(Parameters& parameters, const ModelConfig& config) {
  std::vector<TransformerLayer> layers;
  layers.reserve(static_cast<std::size_t>(config.decoder.layers));
  for (int i = 0; i < config.decoder.layers; ++i) {
    layers.emplace_back(
        parameters, fmt::format("decoder.encoder.layer.{}.", i), config.decoder,
        dropout_sites::kDecoderLayers + dropout_sites::kPerLayer * static_cast<std::uint32_t>(i));
  }
  return layers;
}

}  // namespace

MaskedAutoencoder::MaskedAutoencoder(Parameters& parameters, const ModelConfig& config)
    : Objective(parameters, config),
      parameters_(&parameters),
      projection_weight_(parameters.declare({"projection.weight"}, config.decoder.width,
                                            config.encoder.width,
                                            linear_default(config.encoder.width),
                                            /*matmul=*/true)),
      projection_bias_(parameters.declare({"projection.bias"}, 1, config.decoder.width,
                                          linear_default(config.encoder.width))),
      mask_vector_(declare_mask_vector(parameters, config)),
      decoder_embedding_(parameters, "decoder.embeddings.", config.decoder, /*vocabulary=*/0,
                         config.max_positions, dropout_sites::kDecoderEmbedding),
      decoder_(declare_layers(parameters, config)),
      head_(parameters, config) {}

std::vector<LossTerm> MaskedAutoencoder::predict(Context& context, Tensor hidden,
                                                 const PackedBatch& batch, const MaskingPlan& plan,
                                                 const GlobalCounts& counts,
                                                 const LossWeights& weights) const {
  if (plan.decoder_rows) {
    const auto [part, part_plan] = decoded_part(batch, plan);
    return predict(context, hidden, part, part_plan, counts, weights);
  }
  const Segments segments = make_segments(context, batch.begins, batch.records, batch.positions);
  if (weights.masked == 1) {
    // What the others would be is not asked.
    const RowSubset masked = subset_of(context, batch, plan.masked_rows);
    const Tensor decoded = decode(context, hidden, plan, segments, &masked);
    const LossTerm term =
        head_.score(context, "masked", 1, decoded, first_rows(masked.segments.rows()),
                    take(batch.ids, plan.masked_rows), counts.masked, masked.segments);
    context.discard(decoded);
    return {term};
  }
  const Tensor decoded = decode(context, hidden, plan, segments);
  std::vector<LossTerm> terms =
      score_masked_and_visible(context, decoded, batch, plan, counts, weights, segments);
  context.discard(decoded);
  return terms;
}

Tensor MaskedAutoencoder::decode(Context& context, Tensor hidden, const MaskingPlan& plan,
                                 const Segments& segments, const RowSubset* subset) const {
  const Parameters& p = *parameters_;
  Tensor rows = ops::linear(context, {p.get(projection_weight_), p.get(projection_bias_)}, hidden);
  context.discard(hidden);
  if (mask_vector_ >= 0) {
    const Tensor projected = rows;
    rows = ops::scatter_rows(context, projected, context.upload(plan.encoder_rows), segments.rows(),
                             p.get(mask_vector_));
    context.discard(projected);
  }
  Tensor x = decoder_embedding_(context, rows, segments, config().dropout);
  for (const TransformerLayer& layer : decoder_) {
    const bool last = &layer == &decoder_.back();
    x = last && subset != nullptr ? layer(context, x, segments, *subset, config().dropout)
                                  : layer(context, x, segments, config().dropout);
  }
  return x;
}

}  // namespace barcodemae
