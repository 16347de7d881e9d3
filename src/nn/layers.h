// SPDX-License-Identifier: MIT
// What BERT is made of; encoder and decoder both are.
#pragma once

#include <cstdint>
#include <string>

#include "nn/config.h"
#include "nn/dropout_sites.h"
#include "tensor/context.h"

namespace barcodemae {

/// BERT's initialisation: linear and embedding weights, biases, LayerNorm weights.
inline constexpr Initialisation kBertNormal{Initialisation::Kind::kNormal, 0.02};
inline constexpr Initialisation kZeros{Initialisation::Kind::kZero, 0};
inline constexpr Initialisation kOnes{Initialisation::Kind::kOne, 0};

/// dropout(LN(x + position + token type 0)), x the word's row or a given one.
class EmbeddingLayer {
 public:
  /// Declares its parameters under BertModel's names, `prefix` = "embeddings." and so on.
  /// `vocabulary` 0: no word table, rows are given.
  EmbeddingLayer(Parameters& parameters, const std::string& prefix, const TransformerConfig& config,
                 int vocabulary, int max_positions, std::uint32_t dropout_site);
  /// ids int32 [T, 1] → [T, H].
  Tensor operator()(Context& context, View ids, const Segments& segments, float dropout) const;
  /// A word's row keeps its value; to be called before the others.
  void freeze_word(Context& context, std::int64_t word) const;
  /// [T, H] → [T, H]. The caller has no more use for `rows`.
  Tensor operator()(Context& context, Tensor rows, const Segments& segments, float dropout) const;

 private:
  EmbeddingBlock block() const;

  // indices into Parameters; −1: none
  int word_ = -1, position_, token_type_, norm_weight_, norm_bias_;
  const Parameters* parameters_;
  float norm_epsilon_;
  std::uint32_t dropout_site_;
};

/// Some rows of a batch, as a batch of their own.
struct RowSubset {
  View rows;          ///< int32 [N, 1], ascending
  Segments segments;  ///< N rows
};

/// One BERT layer, post-LayerNorm: attention block, then feed-forward block.
class TransformerLayer {
 public:
  /// Declares its parameters under BertModel's names, `prefix` = "encoder.layer.0." and so on.
  TransformerLayer(Parameters& parameters, const std::string& prefix,
                   const TransformerConfig& config, std::uint32_t first_dropout_site,
                   bool causal = false);
  /// [T, H] → [T, H]. The caller has no more use for x.
  Tensor operator()(Context& context, Tensor x, const Segments& segments, float dropout) const;
  /// The same for some rows, [N, H], which attend to all: the others have no use for the
  /// feed-forward block.
  Tensor operator()(Context& context, Tensor x, const Segments& segments, const RowSubset& subset,
                    float dropout) const;

 private:
  AttentionBlock attention() const;
  FeedForwardBlock feed_forward() const;
  Tensor attend(Context& context, Tensor x, const Segments& segments, float dropout) const;
  Tensor transform(Context& context, Tensor attended, const Segments& segments,
                   float dropout) const;

  // indices into Parameters
  int qkv_weight_, qkv_bias_, attention_weight_, attention_bias_, attention_norm_weight_,
      attention_norm_bias_, in_weight_, in_bias_, out_weight_, out_bias_, norm_weight_, norm_bias_;
  const Parameters* parameters_;
  TransformerConfig config_;
  std::uint32_t first_dropout_site_;
  bool causal_;
};

}  // namespace barcodemae
