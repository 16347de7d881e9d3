// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "nn/config.h"
#include "nn/layers.h"
#include "tensor/context.h"

namespace barcodemae {

/// Where the tokens of a batch lie, for Pooling::kSegments.
struct TokenPlaces {
  std::span<const std::int32_t> positions;  ///< of each row, ascending within a sequence
  int count = 0;                            ///< positions there can be, that of [CLS] included
};

/// Word + position + type embeddings and a stack of layers: transformers' BertModel without pooler.
/// Of a masked autoencoder it is given real tokens alone; there is no [MASK] to see.
class Encoder {
 public:
  /// Declares the parameters under BertModel's names. Throws UserError as validate() does.
  Encoder(Parameters& parameters, const ModelConfig& config);
  /// Values that are not plain random numbers: with KmerInitialisation::kBases, k-mer rows as sums
  /// of base embeddings. To be called after Parameters::initialise.
  void initialise(Parameters& parameters, std::uint64_t seed) const;

  /// ids int32 [T, 1] → last hidden states [T, H].
  Tensor operator()(Context& context, View ids, const Segments& segments) const;
  /// Of each sequence by its last hidden states x [T, H], float32 [N, H]: the mean over its tokens
  /// (kMean: the embedding of the paper) or the state of its [CLS] (kCls); zeros without tokens.
  Tensor pool(Context& context, Tensor x, const Segments& segments, Pooling pooling) const;
  /// Means over ranges of places (Pooling::kSegments), float32 [N · ranges, H], those of a sequence
  /// one after the other. Range r of R has the places from ⌈r P / R⌉ up to ⌈(r + 1) P / R⌉, of P
  /// places without that of [CLS]; a place beyond them belongs to the last range.
  Tensor pool_segments(Context& context, Tensor x, const Segments& segments, int ranges,
                       const TokenPlaces& places) const;
  /// All of the above: the parts of an embedding, side by side, each with N · H · k numbers, those
  /// of a sequence together. `places` are looked at with kSegments alone.
  std::vector<Tensor> embed(Context& context, View ids, const Segments& segments,
                            Pooling pooling = Pooling::kMean, const TokenPlaces& places = {}) const;

  const ModelConfig& config() const { return config_; }

 private:
  ModelConfig config_;
  EmbeddingLayer embedding_;
  std::vector<TransformerLayer> layers_;
};

/// Host arrays of a batch as device views. Throws InternalError when they do not fit together.
Segments make_segments(Context& context, const std::vector<std::int32_t>& begins,
                       const std::vector<std::int32_t>& records,
                       const std::vector<std::int32_t>& positions);

}  // namespace barcodemae
