// SPDX-License-Identifier: MIT
#include "nn/encoder.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/error.h"
#include "base/random.h"
#include "ops/ops.h"

namespace barcodemae {
namespace {

constexpr const char* kWordEmbeddings = "embeddings.word_embeddings.weight";

const ModelConfig& validated(const ModelConfig& config) {
  validate(config);
  return config;
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
  if (config_.kmer_initialisation != KmerInitialisation::kBases) return;
  // Words with the same base at a place share a summand. The sums deviate as BERT's words do.
  const auto width = static_cast<std::size_t>(config_.encoder.width);
  const double deviation = kBertNormal.scale / std::sqrt(static_cast<double>(config_.k));
  std::vector<float> words = parameters.download(kWordEmbeddings);
  float* const kmers = words.data() + static_cast<std::size_t>(config_.first_kmer()) * width;
  std::fill(kmers, words.data() + words.size(), 0.0f);
  std::vector<float> summand(width);
  for (int place = 0; place < config_.k; ++place) {
    for (int base = 0; base < 4; ++base) {
      RandomSequence random(seed, Stream::kInitialisation,
                            static_cast<std::uint32_t>(4 * place + base));
      for (float& value : summand) value = static_cast<float>(deviation * random.normal());
      for (int kmer = 0; kmer < config_.kmers(); ++kmer) {
        if (config_.base_of_kmer(kmer, place) != base) continue;
        float* const word = kmers + static_cast<std::size_t>(kmer) * width;
        std::transform(word, word + width, summand.begin(), word, std::plus<>());
      }
    }
  }
  parameters.upload(kWordEmbeddings, words);
}

Tensor Encoder::operator()(Context& context, View ids, const Segments& segments) const {
  Tensor x = embedding_(context, ids, segments, config_.dropout);
  for (const TransformerLayer& layer : layers_) x = layer(context, x, segments, config_.dropout);
  return x;
}

Tensor Encoder::embed(Context& context, View ids, const Segments& segments) const {
  const Tensor hidden = (*this)(context, ids, segments);
  const Tensor pooled = ops::mean_pool(context, hidden, segments);
  context.discard(hidden);
  return pooled;
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
