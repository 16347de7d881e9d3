// SPDX-License-Identifier: MIT
#include "nn/layers.h"

#include <utility>
#include <vector>

#include "ops/ops.h"

namespace barcodemae {
namespace {

// A vector that was declared as several named rows, as the one row that ops take.
Parameter as_row(Parameter parameter) {
  for (View* view : {&parameter.value, &parameter.gradient}) {
    view->cols *= view->rows;
    view->rows = 1;
  }
  return parameter;
}

}  // namespace

EmbeddingLayer::EmbeddingLayer(Parameters& parameters, const std::string& prefix,
                               const TransformerConfig& config, int vocabulary, int max_positions,
                               std::uint32_t dropout_site)
    : parameters_(&parameters), norm_epsilon_(config.norm_epsilon), dropout_site_(dropout_site) {
  const auto table = [&](const std::string& name, int rows) {
    return parameters.declare({prefix + name}, rows, config.width, kBertNormal);
  };
  if (vocabulary > 0) word_ = table("word_embeddings.weight", vocabulary);
  position_ = table("position_embeddings.weight", max_positions);
  token_type_ = table("token_type_embeddings.weight", 2);
  norm_weight_ = parameters.declare({prefix + "LayerNorm.weight"}, 1, config.width, kOnes);
  norm_bias_ = parameters.declare({prefix + "LayerNorm.bias"}, 1, config.width, kZeros);
}

EmbeddingBlock EmbeddingLayer::block() const {
  const Parameters& p = *parameters_;
  return {.word = word_ < 0 ? Parameter{} : p.get(word_),
          .position = p.get(position_),
          .token_type = p.get(token_type_),
          .norm_weight = p.get(norm_weight_),
          .norm_bias = p.get(norm_bias_),
          .norm_epsilon = norm_epsilon_};
}

void EmbeddingLayer::freeze_word(Context& context, std::int64_t word) const {
  ops::freeze_row(context, parameters_->get(word_), word);
}

Tensor EmbeddingLayer::operator()(Context& context, View ids, const Segments& segments,
                                  float dropout) const {
  return ops::embed(context, block(), ids, segments, context.dropout(dropout, dropout_site_));
}

Tensor EmbeddingLayer::operator()(Context& context, Tensor rows, const Segments& segments,
                                  float dropout) const {
  const Tensor y =
      ops::embed_rows(context, block(), rows, segments, context.dropout(dropout, dropout_site_));
  context.discard(rows);
  return y;
}

TransformerLayer::TransformerLayer(Parameters& parameters, const std::string& prefix,
                                   const TransformerConfig& config,
                                   std::uint32_t first_dropout_site, bool causal)
    : parameters_(&parameters),
      config_(config),
      first_dropout_site_(first_dropout_site),
      causal_(causal) {
  const auto matrix = [&](std::vector<std::string> names, int rows, int cols) {
    return parameters.declare(std::move(names), rows, cols, kBertNormal, /*matmul=*/true);
  };
  const auto vector = [&](const std::string& name, int cols, Initialisation initialisation) {
    return parameters.declare({name}, 1, cols, initialisation);
  };
  const int width = config.width, inner = config.feed_forward;
  const std::string self = prefix + "attention.self.";
  const std::string attended = prefix + "attention.output.";
  qkv_weight_ =
      matrix({self + "query.weight", self + "key.weight", self + "value.weight"}, 3 * width, width);
  qkv_bias_ = parameters.declare({self + "query.bias", self + "key.bias", self + "value.bias"}, 3,
                                 width, kZeros);
  attention_weight_ = matrix({attended + "dense.weight"}, width, width);
  attention_bias_ = vector(attended + "dense.bias", width, kZeros);
  attention_norm_weight_ = vector(attended + "LayerNorm.weight", width, kOnes);
  attention_norm_bias_ = vector(attended + "LayerNorm.bias", width, kZeros);
  in_weight_ = matrix({prefix + "intermediate.dense.weight"}, inner, width);
  in_bias_ = vector(prefix + "intermediate.dense.bias", inner, kZeros);
  out_weight_ = matrix({prefix + "output.dense.weight"}, width, inner);
  out_bias_ = vector(prefix + "output.dense.bias", width, kZeros);
  norm_weight_ = vector(prefix + "output.LayerNorm.weight", width, kOnes);
  norm_bias_ = vector(prefix + "output.LayerNorm.bias", width, kZeros);
}

AttentionBlock TransformerLayer::attention() const {
  const Parameters& p = *parameters_;
  return {.qkv_weight = p.get(qkv_weight_),
          .qkv_bias = as_row(p.get(qkv_bias_)),
          .output_weight = p.get(attention_weight_),
          .output_bias = p.get(attention_bias_),
          .norm_weight = p.get(attention_norm_weight_),
          .norm_bias = p.get(attention_norm_bias_),
          .norm_epsilon = config_.norm_epsilon,
          .heads = config_.heads,
          .causal = causal_};
}

FeedForwardBlock TransformerLayer::feed_forward() const {
  const Parameters& p = *parameters_;
  return {.in_weight = p.get(in_weight_),
          .in_bias = p.get(in_bias_),
          .out_weight = p.get(out_weight_),
          .out_bias = p.get(out_bias_),
          .norm_weight = p.get(norm_weight_),
          .norm_bias = p.get(norm_bias_),
          .norm_epsilon = config_.norm_epsilon};
}

Tensor TransformerLayer::attend(Context& context, Tensor x, const Segments& segments,
                                float dropout) const {
  const Tensor attended = ops::attention_block(context, attention(), x, segments,
                                               context.dropout(dropout, first_dropout_site_),
                                               context.dropout(dropout, first_dropout_site_ + 1));
  context.discard(x);
  return attended;
}

Tensor TransformerLayer::transform(Context& context, Tensor attended, const Segments& segments,
                                   float dropout) const {
  const Tensor y = ops::feed_forward_block(context, feed_forward(), attended, segments,
                                           context.dropout(dropout, first_dropout_site_ + 2));
  context.discard(attended);
  return y;
}

Tensor TransformerLayer::operator()(Context& context, Tensor x, const Segments& segments,
                                    float dropout) const {
  return transform(context, attend(context, x, segments, dropout), segments, dropout);
}

Tensor TransformerLayer::operator()(Context& context, Tensor x, const Segments& segments,
                                    const RowSubset& subset, float dropout) const {
  const Tensor attended = attend(context, x, segments, dropout);
  const Tensor chosen = ops::gather_rows(context, attended, subset.rows);
  context.discard(attended);
  return transform(context, chosen, subset.segments, dropout);
}

}  // namespace barcodemae
