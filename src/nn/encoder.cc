// SPDX-License-Identifier: MIT
#include "nn/encoder.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "base/error.h"
#include "base/random.h"
#include "ops/ops.h"
#include "tokenizer/kmer_tokenizer.h"

namespace barcodemae {
namespace {

constexpr const char* kWordEmbeddings = "embeddings.word_embeddings.weight";

const ModelConfig& validated(const ModelConfig& config) {
  validate(config);
  return config;
}

/// Means over sequences of gathered rows; `chosen` has their begins on the host.
Tensor pool_rows(Context& context, Tensor x, const std::vector<std::int32_t>& rows,
                 Segments chosen) {
  chosen.offsets = context.upload(chosen.begins);
  chosen.positions.rows = static_cast<std::int64_t>(rows.size());  // pooling does not look at them
  const Tensor gathered = ops::gather_rows(context, x, context.upload(rows));
  const Tensor pooled = ops::mean_pool(context, gathered, chosen);
  context.discard(gathered);
  return pooled;
}

}  // namespace

Encoder::Encoder(Parameters& parameters, const ModelConfig& config)
    : config_(validated(config)),
      embedding_(parameters, "embeddings.", config.encoder, config.vocabulary, config.max_positions,
                 dropout_sites::kEncoderEmbedding) {
  for (int i = 0; i < config.encoder.layers; ++i) {
    layers_.emplace_back(
        parameters, fmt::format("encoder.layer.{}.", i), config.encoder,
        dropout_sites::kEncoderLayers + dropout_sites::kPerLayer * static_cast<std::uint32_t>(i),
        config.causal());
  }
}

void Encoder::initialise(Parameters& parameters, std::uint64_t seed) const {
  if (config_.freeze_mask_row) {
    std::vector<float> words = parameters.download(kWordEmbeddings);
    std::fill_n(words.begin() + KmerVocabulary::kMask * config_.encoder.width,
                config_.encoder.width, 0.0f);
    parameters.upload(kWordEmbeddings, words);
  }
  if (config_.kmer_initialisation != KmerInitialisation::kBases) return;
  // Words with the same base at a place share a summand. The sums deviate as BERT's words do.
  const auto width = static_cast<std::size_t>(config_.encoder.width);
  const double deviation = kBertNormal.scale / std::sqrt(static_cast<double>(config_.k));
  std::vector<float> words = parameters.download(kWordEmbeddings);
  float* const kmers = words.data() + static_cast<std::size_t>(config_.first_kmer()) * width;
  const auto begin_of = [&](int kmer) { return kmers + static_cast<std::size_t>(kmer) * width; };
  std::fill(kmers, begin_of(config_.kmers()), 0.0f);
  std::vector<float> summand(width);
  for (int place = 0; place < config_.k; ++place) {
    for (int base = 0; base < 4; ++base) {
      RandomSequence random(seed, Stream::kInitialisation,
                            static_cast<std::uint32_t>(4 * place + base));
      for (float& value : summand) value = static_cast<float>(deviation * random.normal());
      for (int kmer = 0; kmer < config_.kmers(); ++kmer) {
        if (config_.base_of_kmer(kmer, place) != base) continue;
        float* const word = begin_of(kmer);
        std::transform(word, word + width, summand.begin(), word, std::plus<>());
      }
    }
  }
  parameters.upload(kWordEmbeddings, words);
}

Tensor Encoder::operator()(Context& context, View ids, const Segments& segments) const {
  if (config_.freeze_mask_row) embedding_.freeze_word(context, KmerVocabulary::kMask);
  Tensor x = embedding_(context, ids, segments, config_.dropout);
  for (const TransformerLayer& layer : layers_) x = layer(context, x, segments, config_.dropout);
  return x;
}

Tensor Encoder::pool(Context& context, Tensor x, const Segments& segments, Pooling pooling) const {
  BARCODEMAE_CHECK(pooling == Pooling::kMean || (pooling == Pooling::kCls && config_.cls),
                   "pooling {}", to_string(pooling));
  if (!config_.cls) return ops::mean_pool(context, x, segments);
  // The first row of a sequence is its [CLS]; the others are its tokens.
  std::vector<std::int32_t> rows;
  Segments chosen = segments;
  chosen.begins = {0};
  for (std::size_t n = 0; n + 1 < segments.begins.size(); ++n) {
    const std::int32_t begin = segments.begins[n], end = segments.begins[n + 1];
    if (pooling == Pooling::kCls && begin < end) rows.push_back(begin);
    for (std::int32_t row = begin + 1; pooling == Pooling::kMean && row < end; ++row) {
      rows.push_back(row);
    }
    chosen.begins.push_back(static_cast<std::int32_t>(rows.size()));
  }
  return pool_rows(context, x, rows, std::move(chosen));
}

Tensor Encoder::pool_segments(Context& context, Tensor x, const Segments& segments, int ranges,
                              const TokenPlaces& places) const {
  const int first = config_.cls ? 1 : 0;  // the first row of a sequence is its [CLS]
  const std::int64_t count = places.count - first;
  BARCODEMAE_CHECK(ranges > 0 && count > 0 &&
                       static_cast<std::int64_t>(places.positions.size()) == segments.rows(),
                   "{} ranges of {} places, {} positions of {} rows", ranges, count,
                   places.positions.size(), segments.rows());
  const auto range_of = [&](std::int32_t row) {
    return (places.positions[static_cast<std::size_t>(row)] - first) * ranges / count;
  };
  std::vector<std::int32_t> rows;
  Segments chosen = segments;
  chosen.begins = {0};
  for (std::size_t n = 0; n + 1 < segments.begins.size(); ++n) {
    const std::int32_t end = segments.begins[n + 1];
    std::int32_t row = std::min(end, segments.begins[n] + first);
    for (int range = 0; range < ranges; ++range) {
      const bool last = range + 1 == ranges;
      for (; row < end && (last || range_of(row) <= range); ++row) rows.push_back(row);
      chosen.begins.push_back(static_cast<std::int32_t>(rows.size()));
    }
  }
  chosen.records.rows = chosen.sequences();  // pooling does not look at them
  return pool_rows(context, x, rows, std::move(chosen));
}

std::vector<Tensor> Encoder::embed(Context& context, View ids, const Segments& segments,
                                   Pooling pooling, const TokenPlaces& places) const {
  const Tensor hidden = (*this)(context, ids, segments);
  std::vector<Tensor> parts;
  if (pooling.kind == Pooling::kSegments) {
    parts.push_back(pool_segments(context, hidden, segments, pooling.segments, places));
  }
  for (const Pooling part : {Pooling::kMean, Pooling::kCls}) {
    if (pooling == part || pooling == Pooling::kBoth) {
      parts.push_back(pool(context, hidden, segments, part));
    }
  }
  context.discard(hidden);
  return parts;
}

Segments make_segments(Context& context, const std::vector<std::int32_t>& begins,
                       const std::vector<std::int32_t>& records,
                       const std::vector<std::int32_t>& positions) {
  BARCODEMAE_CHECK(begins.size() == records.size() + 1 && begins.front() == 0 &&
                       begins.back() == static_cast<std::int32_t>(positions.size()) &&
                       std::is_sorted(begins.begin(), begins.end()),
                   "{} begins of {} records with {} positions", begins.size(), records.size(),
                   positions.size());
  Segments segments;
  segments.begins = begins;
  for (std::size_t i = 0; i < records.size(); ++i) {
    segments.longest = std::max<std::int64_t>(segments.longest, begins[i + 1] - begins[i]);
  }
  if (!positions.empty()) {
    const auto [least, most] = std::minmax_element(positions.begin(), positions.end());
    BARCODEMAE_CHECK(*least >= 0, "position {}", *least);
    segments.position_limit = std::int64_t{*most} + 1;
  }
  segments.offsets = context.upload(begins);
  segments.records = context.upload(records);
  segments.positions = context.upload(positions);
  return segments;
}

}  // namespace barcodemae
