// SPDX-License-Identifier: MIT
#include "nn/masked_autoencoder.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace barcodemae {
namespace {

constexpr const char* kSiteBias = "head.site_bias";

// values[rows[i]]
std::vector<std::int32_t> take(const std::vector<std::int32_t>& values,
                               const std::vector<std::int32_t>& rows) {
  std::vector<std::int32_t> taken;
  taken.reserve(rows.size());
  for (const std::int32_t row : rows) taken.push_back(values.at(static_cast<std::size_t>(row)));
  return taken;
}

// Some rows of a batch, as a batch of their own.
RowSubset subset_of(Context& context, const PackedBatch& batch,
                    const std::vector<std::int32_t>& rows) {
  std::vector<std::int32_t> begins;
  for (const std::int32_t begin : batch.begins) {
    const auto first = std::lower_bound(rows.begin(), rows.end(), begin);
    begins.push_back(static_cast<std::int32_t>(first - rows.begin()));
  }
  return {context.upload(rows),
          make_segments(context, begins, batch.records, take(batch.positions, rows))};
}

std::vector<std::int32_t> counted(std::size_t count) {
  std::vector<std::int32_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

// What nn.Linear does by itself, bias too; the reference leaves the projection so.
Initialisation linear_default(int width_in) {
  return {Initialisation::Kind::kUniform, 1 / std::sqrt(static_cast<double>(width_in))};
}

}  // namespace

MaskedAutoencoder::MaskedAutoencoder(Parameters& parameters, const ModelConfig& config)
    : config_(config),
      parameters_(&parameters),
      encoder_(parameters, config),
      projection_weight_(parameters.declare({"projection.weight"}, config.decoder.width,
                                            config.encoder.width,
                                            linear_default(config.encoder.width),
                                            /*matmul=*/true)),
      projection_bias_(parameters.declare({"projection.bias"}, 1, config.decoder.width,
                                          linear_default(config.encoder.width))),
      mask_vector_(parameters.declare({"decoder.mask_vector"}, 1, config.decoder.width, kZeros)),
      decoder_embedding_(parameters, "decoder.embeddings.", config.decoder, /*vocabulary=*/0,
                         config.max_positions, dropout_sites::kDecoderEmbedding) {
  for (int i = 0; i < config.decoder.layers; ++i) {
    decoder_.emplace_back(
        parameters, fmt::format("decoder.encoder.layer.{}.", i), config.decoder,
        dropout_sites::kDecoderLayers + dropout_sites::kPerLayer * static_cast<std::uint32_t>(i));
  }
  const int logits = config.head == HeadKind::kKmer ? config.kmers() : 4 * config.k;
  head_weight_ = parameters.declare({"head.weight"}, logits, config.decoder.width, kBertNormal,
                                    /*matmul=*/true);
  head_bias_ = parameters.declare({"head.bias"}, 1, logits, kZeros);
  if (config.head == HeadKind::kBase) {
    head_site_ = parameters.declare({kSiteBias}, config.max_positions, logits, kZeros);
  }
}

void MaskedAutoencoder::initialise(Parameters& parameters, std::uint64_t seed,
                                   const std::vector<float>& site_log_frequencies) const {
  encoder_.initialise(parameters, seed);
  if (config_.head == HeadKind::kBase && !site_log_frequencies.empty()) {
    parameters.upload(kSiteBias, site_log_frequencies);
  }
}

std::vector<LossTerm> MaskedAutoencoder::operator()(Context& context, const PackedBatch& batch,
                                                    const MaskingPlan& plan,
                                                    const GlobalCounts& counts,
                                                    double masked_weight) const {
  BARCODEMAE_CHECK(masked_weight >= 0 && masked_weight <= 1, "masked weight {}", masked_weight);
  const Tensor hidden = encode(context, batch, plan);
  const Segments segments = make_segments(context, batch.begins, batch.records, batch.positions);
  const CrossEntropyHead head = this->head();
  // `scored`: where the tokens `rows` of the batch stand in `decoded`.
  const auto score = [&](const char* name, double weight, Tensor decoded,
                         const Segments& decoded_as, const std::vector<std::int32_t>& scored,
                         const std::vector<std::int32_t>& rows,
                         std::int64_t global_count) -> LossTerm {
    const auto count = static_cast<std::int64_t>(rows.size());
    BARCODEMAE_CHECK(count <= global_count, "{} of {} {} tokens", count, global_count, name);
    const double mean = count == 0 ? 0.0 : 1.0 / static_cast<double>(global_count);
    const ops::Loss loss = ops::token_cross_entropy(
        context, head, decoded, context.upload(scored),
        context.upload(targets(batch, rows), head.groups), mean, weight, decoded_as,
        context.dropout(config_.dropout, dropout_sites::kHead));
    return {name, weight, loss, count};
  };

  std::vector<LossTerm> terms;
  if (masked_weight == 1) {
    const RowSubset masked = subset_of(context, batch, plan.masked_rows);
    const Tensor decoded = decode(context, hidden, plan, segments, &masked);
    terms.push_back(score("masked", 1, decoded, masked.segments, counted(plan.masked_rows.size()),
                          plan.masked_rows, counts.masked));
    context.discard(decoded);
  } else {
    const Tensor decoded = decode(context, hidden, plan, segments);
    terms.push_back(score("masked", masked_weight, decoded, segments, plan.masked_rows,
                          plan.masked_rows, counts.masked));
    terms.push_back(score("visible", 1 - masked_weight, decoded, segments, plan.visible_rows,
                          plan.visible_rows, counts.visible));
    context.discard(decoded);
  }
  return terms;
}

Tensor MaskedAutoencoder::encode(Context& context, const PackedBatch& batch,
                                 const MaskingPlan& plan) const {
  // Masked tokens are not there at all; the others keep their positions in the whole sequence.
  const Segments visible = make_segments(context, plan.encoder_begins, batch.records,
                                         take(batch.positions, plan.encoder_rows));
  return encoder_(context, context.upload(take(batch.ids, plan.encoder_rows)), visible);
}

Tensor MaskedAutoencoder::decode(Context& context, Tensor hidden, const MaskingPlan& plan,
                                 const Segments& segments, const RowSubset* subset) const {
  const Parameters& p = *parameters_;
  const Tensor projected =
      ops::linear(context, {p.get(projection_weight_), p.get(projection_bias_)}, hidden);
  context.discard(hidden);
  const Tensor rows = ops::scatter_rows(context, projected, context.upload(plan.encoder_rows),
                                        segments.rows(), p.get(mask_vector_));
  context.discard(projected);
  Tensor x = decoder_embedding_(context, rows, segments, config_.dropout);
  for (const TransformerLayer& layer : decoder_) {
    const bool last = &layer == &decoder_.back();
    x = last && subset != nullptr ? layer(context, x, segments, *subset, config_.dropout)
                                  : layer(context, x, segments, config_.dropout);
  }
  return x;
}

CrossEntropyHead MaskedAutoencoder::head() const {
  const Parameters& p = *parameters_;
  if (config_.head == HeadKind::kKmer) {
    return {p.get(head_weight_), p.get(head_bias_), {}, /*groups=*/1, config_.kmers()};
  }
  return {p.get(head_weight_), p.get(head_bias_), p.get(head_site_), /*groups=*/config_.k, 4};
}

std::vector<std::int32_t> MaskedAutoencoder::targets(const PackedBatch& batch,
                                                     const std::vector<std::int32_t>& rows) const {
  std::vector<std::int32_t> targets;
  for (const std::int32_t id : take(batch.ids, rows)) {
    const int kmer = id - config_.first_kmer();
    BARCODEMAE_CHECK(kmer >= 0 && kmer < config_.kmers(), "token {} is no k-mer", id);
    if (config_.head == HeadKind::kKmer) {
      targets.push_back(kmer);
    } else {
      for (int place = 0; place < config_.k; ++place) {
        targets.push_back(config_.base_of_kmer(kmer, place));
      }
    }
  }
  return targets;
}

}  // namespace barcodemae
