// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nn/config.h"
#include "tensor/context.h"

namespace barcodemae {

/// One BERT layer, post-LayerNorm: attention block, then feed-forward block.
class TransformerLayer {
 public:
  /// Declares its parameters under BertModel's names, `prefix` = "encoder.layer.0." and so on.
  TransformerLayer(Parameters& parameters, const std::string& prefix,
                   const TransformerConfig& config, std::uint32_t first_dropout_site);
  Tensor operator()(Context& context, Tensor x, const Segments& segments, float dropout) const;

  static constexpr std::uint32_t kDropoutSites = 3;

 private:
  // indices into Parameters
  int qkv_weight_, qkv_bias_, attention_weight_, attention_bias_, attention_norm_weight_,
      attention_norm_bias_, in_weight_, in_bias_, out_weight_, out_bias_, norm_weight_, norm_bias_;
  const Parameters* parameters_;
  TransformerConfig config_;
  std::uint32_t first_dropout_site_;
};

/// Word + position + type embeddings and a stack of layers: transformers' BertModel without pooler.
/// It is given only real tokens; there is no [MASK] to see.
class Encoder {
 public:
  Encoder(Parameters& parameters, const ModelConfig& config);
  /// ids int32 [T, 1] → last hidden states [T, H].
  Tensor operator()(Context& context, View ids, const Segments& segments) const;
  /// Mean over each sequence's tokens, float32 [N, H]: the embedding of the paper.
  Tensor embed(Context& context, View ids, const Segments& segments) const;

 private:
  ModelConfig config_;
  const Parameters* parameters_;
  int word_, position_, token_type_, norm_weight_, norm_bias_;
  std::vector<TransformerLayer> layers_;
};

/// Host arrays of a batch as device views.
Segments make_segments(Context& context, const std::vector<std::int32_t>& begins,
                       const std::vector<std::int32_t>& records,
                       const std::vector<std::int32_t>& positions);

}  // namespace barcodemae
