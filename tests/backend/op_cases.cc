// SPDX-License-Identifier: MIT
// The one list of cases for all backends. To add an op: a function that makes a case of it, and its
// shapes in all_op_cases().
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "op_case.h"

namespace barcodemae::test {
namespace {

using Lengths = std::vector<std::int32_t>;

/// Keeps the variance of the rows that pass through a matrix.
double weight_spread(std::int64_t inputs) { return std::sqrt(3.0 / static_cast<double>(inputs)); }

ParameterSpec weight(std::string name, std::int64_t out, std::int64_t in) {
  return {.name = std::move(name),
          .rows = out,
          .cols = in,
          .spread = weight_spread(in),
          .matmul = true};
}
ParameterSpec bias(std::string name, std::int64_t out) {
  return {.name = std::move(name), .cols = out, .spread = 0.5};
}
ParameterSpec norm_weight(std::int64_t width) {
  return {.name = "norm_weight", .cols = width, .centre = 1, .spread = 0.4};
}
ParameterSpec norm_bias(std::int64_t width) { return bias("norm_bias", width); }

Dropout dropout(float probability, std::uint32_t site) {
  return {.probability = probability, .seed = 0x123456789ABCDEF, .step = 77, .site = site};
}

/// Short when it can be: 3 sequences of 5 rows are "5-5-5", many are "n<sequences>t<rows>".
std::string batch_name(const Batch& batch) {
  if (batch.lengths.empty()) return "none";
  if (batch.lengths.size() <= 8) return fmt::format("{}", fmt::join(batch.lengths, "x"));
  return fmt::format("n{}t{}", batch.lengths.size(), batch.rows());
}

/// Row i of each sequence is picked when i % every < some.
std::vector<std::int32_t> pick_rows(std::int64_t rows, std::int32_t some, std::int32_t every) {
  std::vector<std::int32_t> index;
  for (std::int32_t row = 0; row < rows; ++row) {
    if (row % every < some) index.push_back(row);
  }
  return index;
}

struct EmbedShape {
  std::int64_t width = 64, vocabulary = 0, positions = 0;  ///< vocabulary 0: rows are given
  std::int64_t token_types = 2;
  float dropout = 0;
  bool accumulate = false;
};

OpCase embed(const Batch& batch, EmbedShape shape) {
  const bool ids = shape.vocabulary > 0;
  if (shape.positions == 0) shape.positions = batch.position_count();
  OpCase op;
  op.name = fmt::format("embed_{}_{}_h{}", ids ? "ids" : "rows", batch_name(batch), shape.width);
  op.batch = batch;
  op.x_rows = op.y_rows = row_names(batch);
  op.x_cols = ids ? 0 : shape.width;
  op.y_cols = shape.width;
  op.wants_dx = !ids;
  op.accumulate = shape.accumulate;
  if (ids) {
    op.ids.given = true;
    for (const RowName row : op.x_rows) {
      op.ids.values.push_back(
          static_cast<std::int32_t>((row.position * 31 + row.record) % shape.vocabulary));
    }
    op.parameters.push_back({.name = "word", .rows = shape.vocabulary, .cols = shape.width});
  }
  op.parameters.push_back({.name = "position", .rows = shape.positions, .cols = shape.width});
  op.parameters.push_back({.name = "token_type", .rows = shape.token_types, .cols = shape.width});
  op.parameters.push_back(norm_weight(shape.width));
  op.parameters.push_back(norm_bias(shape.width));
  const auto block = [](const Call& c) {
    return EmbeddingBlock{.word = c.parameter("word"),
                          .position = c.parameter("position"),
                          .token_type = c.parameter("token_type"),
                          .norm_weight = c.parameter("norm_weight"),
                          .norm_bias = c.parameter("norm_bias")};
  };
  const Dropout drop = dropout(shape.dropout, 0);
  op.memory = [=](const Call& c, bool backward) {
    return c.backend.embed_memory(block(c), c.y.rows, backward);
  };
  op.forward = [=](const Call& c) {
    c.backend.embed_forward(c.y, c.ids, c.x, block(c), c.segments, drop, c.saved, c.scratch);
  };
  op.backward = [=, accumulate = shape.accumulate](const Call& c) {
    c.backend.embed_backward(c.dx, accumulate, c.dy, c.y, c.ids, c.x, block(c), c.segments, drop,
                             c.saved, c.scratch);
  };
  op.with_batch = [=](const Batch& other) { return embed(other, shape); };
  return op;
}

struct AttentionShape {
  std::int64_t width = 64;
  int heads = 1;
  bool causal = false;
  float probability_dropout = 0, output_dropout = 0;
  bool accumulate = false;
};

OpCase attention(const Batch& batch, const AttentionShape& shape) {
  OpCase op;
  op.name = fmt::format("attention_{}_h{}_heads{}{}", batch_name(batch), shape.width, shape.heads,
                        shape.causal ? "_causal" : "");
  op.batch = batch;
  op.x_rows = op.y_rows = row_names(batch);
  op.x_cols = op.y_cols = shape.width;
  op.accumulate = shape.accumulate;
  op.parameters = {weight("qkv_weight", 3 * shape.width, shape.width),
                   bias("qkv_bias", 3 * shape.width),
                   weight("output_weight", shape.width, shape.width),
                   bias("output_bias", shape.width),
                   norm_weight(shape.width),
                   norm_bias(shape.width)};
  const auto block = [shape](const Call& c) {
    return AttentionBlock{.qkv_weight = c.parameter("qkv_weight"),
                          .qkv_bias = c.parameter("qkv_bias"),
                          .output_weight = c.parameter("output_weight"),
                          .output_bias = c.parameter("output_bias"),
                          .norm_weight = c.parameter("norm_weight"),
                          .norm_bias = c.parameter("norm_bias"),
                          .heads = shape.heads,
                          .causal = shape.causal};
  };
  const Dropout probabilities = dropout(shape.probability_dropout, 7);
  const Dropout output = dropout(shape.output_dropout, 8);
  op.memory = [=](const Call& c, bool backward) {
    return c.backend.attention_block_memory(block(c), c.segments, c.activation, backward);
  };
  op.forward = [=](const Call& c) {
    c.backend.attention_block_forward(c.y, c.x, block(c), c.segments, probabilities, output,
                                      c.saved, c.scratch);
  };
  op.backward = [=](const Call& c) {
    c.backend.attention_block_backward(c.dx, shape.accumulate, c.dy, c.y, c.x, block(c), c.segments,
                                       probabilities, output, c.saved, c.scratch);
  };
  op.with_batch = [=](const Batch& other) { return attention(other, shape); };
  return op;
}

/// As for an input without a gradient: frozen layers below, or data.
OpCase without_dx(OpCase op) {
  op.wants_dx = false;
  return op.rename("without_dx");
}

/// Scores so far apart that exp() of one would be infinite.
OpCase attention_with_large_scores() {
  OpCase op = attention(Batch({40, 24}), {.width = 64, .heads = 2});
  op.parameters[0].spread *= 20;
  op.tolerance_factor = 400;  // the scores' absolute error grows with the square of the spread
  op.only_finite_when_short = true;
  return op.rename("large_scores");
}

struct FeedForwardShape {
  std::int64_t width = 64, inner = 256;
  float dropout = 0;
  bool accumulate = false;
};

OpCase feed_forward(const Batch& batch, const FeedForwardShape& shape) {
  OpCase op;
  op.name = fmt::format("feed_forward_{}_h{}_f{}", batch_name(batch), shape.width, shape.inner);
  op.batch = batch;
  op.x_rows = op.y_rows = row_names(batch);
  op.x_cols = op.y_cols = shape.width;
  op.accumulate = shape.accumulate;
  op.parameters = {weight("in_weight", shape.inner, shape.width),
                   bias("in_bias", shape.inner),
                   weight("out_weight", shape.width, shape.inner),
                   bias("out_bias", shape.width),
                   norm_weight(shape.width),
                   norm_bias(shape.width)};
  const auto block = [](const Call& c) {
    return FeedForwardBlock{.in_weight = c.parameter("in_weight"),
                            .in_bias = c.parameter("in_bias"),
                            .out_weight = c.parameter("out_weight"),
                            .out_bias = c.parameter("out_bias"),
                            .norm_weight = c.parameter("norm_weight"),
                            .norm_bias = c.parameter("norm_bias")};
  };
  const Dropout drop = dropout(shape.dropout, 9);
  op.memory = [=](const Call& c, bool backward) {
    return c.backend.feed_forward_block_memory(block(c), c.segments, c.activation, backward);
  };
  op.forward = [=](const Call& c) {
    c.backend.feed_forward_block_forward(c.y, c.x, block(c), c.segments, drop, c.saved, c.scratch);
  };
  op.backward = [=](const Call& c) {
    c.backend.feed_forward_block_backward(c.dx, shape.accumulate, c.dy, c.y, c.x, block(c),
                                          c.segments, drop, c.saved, c.scratch);
  };
  op.with_batch = [=](const Batch& other) { return feed_forward(other, shape); };
  return op;
}

struct LinearShape {
  std::int64_t in = 64, out = 64;
  bool accumulate = false;
};

OpCase linear(const Batch& batch, const LinearShape& shape) {
  OpCase op;
  op.name = fmt::format("linear_{}_{}to{}", batch_name(batch), shape.in, shape.out);
  op.batch = batch;
  op.x_rows = op.y_rows = row_names(batch);
  op.x_cols = shape.in;
  op.y_cols = shape.out;
  op.accumulate = shape.accumulate;
  op.parameters = {weight("weight", shape.out, shape.in), bias("bias", shape.out)};
  const auto layer = [](const Call& c) {
    return LinearLayer{c.parameter("weight"), c.parameter("bias")};
  };
  op.forward = [=](const Call& c) { c.backend.linear_forward(c.y, c.x, layer(c)); };
  op.backward = [=](const Call& c) {
    c.backend.linear_backward(c.dx, shape.accumulate, c.dy, c.x, layer(c));
  };
  op.with_batch = [=](const Batch& other) { return linear(other, shape); };
  return op;
}

OpCase gather(std::int32_t rows, std::int32_t some, std::int32_t every, std::int64_t width,
              bool accumulate) {
  OpCase op;
  op.name = fmt::format("gather_{}_{}of{}_h{}", rows, some, every, width);
  op.batch = Batch({rows});
  op.index = {.values = pick_rows(rows, some, every), .given = true};
  op.x_rows = row_names(op.batch);
  op.y_rows = select(op.x_rows, op.index.values);
  op.x_cols = op.y_cols = width;
  op.accumulate = accumulate;
  op.forward = [](const Call& c) { c.backend.gather_rows_forward(c.y, c.x, c.index); };
  op.backward = [=](const Call& c) {
    c.backend.gather_rows_backward(c.dx, accumulate, c.dy, c.index);
  };
  return op;
}

OpCase scatter(std::int32_t rows, std::int32_t some, std::int32_t every, std::int64_t width,
               bool accumulate) {
  OpCase op;
  op.name = fmt::format("scatter_{}_{}of{}_h{}", rows, some, every, width);
  op.batch = Batch({rows});
  op.index = {.values = pick_rows(rows, some, every), .given = true};
  op.y_rows = row_names(op.batch);
  op.x_rows = select(op.y_rows, op.index.values);
  op.x_cols = op.y_cols = width;
  op.accumulate = accumulate;
  op.parameters = {{.name = "fill", .cols = width}};
  op.forward = [](const Call& c) {
    c.backend.scatter_rows_forward(c.y, c.x, c.index, c.parameter("fill"));
  };
  op.backward = [=](const Call& c) {
    c.backend.scatter_rows_backward(c.dx, accumulate, c.dy, c.index, c.parameter("fill"));
  };
  return op;
}

OpCase mean_pool(const Batch& batch, std::int64_t width, bool accumulate) {
  OpCase op;
  op.name = fmt::format("mean_pool_{}_h{}", batch_name(batch), width);
  op.batch = batch;
  op.x_rows = row_names(batch);
  op.y_rows = sequence_names(batch);
  op.x_cols = op.y_cols = width;
  op.statistics = true;
  op.accumulate = accumulate;
  op.forward = [](const Call& c) { c.backend.mean_pool_forward(c.y, c.x, c.segments); };
  op.backward = [=](const Call& c) {
    c.backend.mean_pool_backward(c.dx, accumulate, c.dy, c.segments);
  };
  op.with_batch = [=](const Batch& other) { return mean_pool(other, width, accumulate); };
  return op;
}

struct HeadShape {
  std::int64_t width = 64;
  int groups = 1, classes = 64;
  std::int32_t some = 1, every = 2;  ///< which rows are scored
  bool site = false;
  float dropout = 0;
  bool accumulate = false;
  bool soft = false;
};

/// The biases are far apart, so that predictions have a clear winner in every precision, and every
/// second scored row's targets follow them, so that there are hits to count.
OpCase cross_entropy(const Batch& batch, const HeadShape& shape) {
  const std::int64_t outputs = std::int64_t{shape.groups} * shape.classes;
  OpCase op;
  op.name = fmt::format("cross_entropy_{}_h{}_{}x{}{}", batch_name(batch), shape.width,
                        shape.groups, shape.classes,
                        shape.site   ? "_site"
                        : shape.soft ? "_soft"
                                     : "");
  op.batch = batch;
  op.x_rows = row_names(batch);
  op.x_cols = shape.width;
  op.y_cols = 2;
  op.statistics = op.loss = true;
  op.accumulate = shape.accumulate;
  op.index = {.values = pick_rows(batch.rows(), shape.some, shape.every), .given = true};
  op.parameters = {weight("weight", outputs, shape.width), bias("bias", outputs)};
  op.parameters[0].spread *= 0.2;
  op.parameters[1].spread = 8;
  if (shape.site) {
    op.parameters.push_back(
        {.name = "site", .rows = batch.position_count(), .cols = outputs, .spread = 1});
  }
  if (shape.soft) {  // what the shares are does not matter: positive, and not the target's alone
    op.parameters.push_back({.name = "soft",
                             .rows = shape.classes,
                             .cols = shape.classes,
                             .centre = 1.0 / shape.classes,
                             .spread = 0.9 / shape.classes,
                             .frozen = true});
  }
  const std::vector<double> biases = make_inputs(op).at("bias");
  op.targets = {.cols = shape.groups, .given = true};
  for (std::size_t row = 0; row < op.index.values.size(); ++row) {
    for (int group = 0; group < shape.groups; ++group) {
      const auto first = biases.begin() + group * shape.classes;
      const auto likely = std::max_element(first, first + shape.classes) - first;
      const auto other =
          (row * 7 + static_cast<std::size_t>(group) * 3) % static_cast<std::size_t>(shape.classes);
      op.targets.values.push_back(static_cast<std::int32_t>(row % 2 == 0 ? likely : other));
    }
  }
  const double scale = 1.0 / static_cast<double>(std::max<std::size_t>(1, op.index.values.size()));
  const auto head = [shape](const Call& c) {
    return CrossEntropyHead{.weight = c.parameter("weight"),
                            .bias = c.parameter("bias"),
                            .site = c.parameter("site"),
                            .groups = shape.groups,
                            .classes = shape.classes,
                            .soft = c.parameter("soft").value};
  };
  const Dropout drop = dropout(shape.dropout, 11);
  op.memory = [=](const Call& c, bool backward) {
    return c.backend.cross_entropy_memory(head(c), c.x.rows, c.index.rows, c.activation, backward);
  };
  op.forward = [=](const Call& c) {
    c.backend.cross_entropy_forward(c.y, c.x, c.index, c.targets, scale, head(c), c.segments, drop,
                                    c.saved, c.scratch);
  };
  op.backward = [=](const Call& c) {
    c.backend.cross_entropy_backward(c.dx, shape.accumulate, c.loss_weight, c.x, c.index, c.targets,
                                     scale, head(c), c.segments, drop, c.saved, c.scratch);
  };
  return op;
}

struct LabelShape {
  LabelLoss::Kind kind = LabelLoss::Kind::kContrastive;
  std::int32_t vectors = 12;
  std::int64_t width = 24;
  int labels = 3;
  bool unlabelled = false;  ///< every fifth
  bool groups = false;
  bool accumulate = false;
};

OpCase label_loss(const LabelShape& shape) {
  OpCase op;
  op.name = fmt::format("{}_{}x{}{}{}",
                        shape.kind == LabelLoss::Kind::kTriplet ? "triplet" : "contrastive",
                        shape.vectors, shape.width, shape.unlabelled ? "_unlabelled" : "",
                        shape.groups ? "_groups" : "");
  op.batch = Batch(std::vector<std::int32_t>(static_cast<std::size_t>(shape.vectors), 1));
  op.x_rows = row_names(op.batch);
  op.x_cols = shape.width;
  op.y_cols = 2;
  op.x_statistics = op.statistics = op.loss = true;
  op.accumulate = shape.accumulate;
  op.targets = op.index = {.given = true};
  for (std::int32_t i = 0; i < shape.vectors; ++i) {
    op.targets.values.push_back(shape.unlabelled && i % 5 == 4 ? -1 : i % shape.labels);
    op.index.values.push_back(i % 4 == 3 ? -1 : i / 2 % 4);
  }
  const LabelLoss options{shape.kind, 0.2, 0.3};
  const double scale = 1.0 / shape.vectors;
  const auto groups = [=](const Call& c) { return shape.groups ? c.index : View{}; };
  op.memory = [](const Call& c, bool) {
    KernelMemory memory = c.backend.label_loss_memory(c.x);
    memory.saved = 0;
    return memory;
  };
  op.forward = [=](const Call& c) {
    c.backend.label_loss_forward(c.y, c.x, c.targets, groups(c), scale, options, c.scratch);
  };
  op.backward = [=](const Call& c) {
    c.backend.label_loss_backward(c.dx, shape.accumulate, c.loss_weight, c.x, c.targets, groups(c),
                                  scale, options, c.scratch);
  };
  return op;
}

OpCase pair_loss(std::int32_t vectors, std::int64_t width, std::int64_t inner, bool accumulate) {
  OpCase op;
  op.name = fmt::format("pairs_{}x{}_inner{}", vectors, width, inner);
  op.batch = Batch(std::vector<std::int32_t>(static_cast<std::size_t>(vectors), 1));
  op.x_rows = row_names(op.batch);
  op.x_cols = width;
  op.y_cols = 2;
  op.x_statistics = op.statistics = op.loss = true;
  op.accumulate = accumulate;
  op.tolerance_factor = 8;  // gradients add up over the pairs in the type they are stored in
  op.targets = {.cols = 3, .given = true};
  for (std::int32_t i = 0; i + 1 < vectors; ++i) {
    op.targets.values.insert(op.targets.values.end(), {i, (i * 5 + 1) % vectors, i % 2});
  }
  op.parameters = {{.name = "in_weight", .rows = inner, .cols = 2 * width, .spread = 0.3},
                   {.name = "in_bias", .cols = inner, .spread = 0.5},
                   {.name = "out_weight", .cols = inner, .spread = 0.7},
                   {.name = "out_bias", .cols = 1, .spread = 0.5}};
  const auto classifier = [](const Call& c) {
    return PairClassifier{c.parameter("in_weight"), c.parameter("in_bias"),
                          c.parameter("out_weight"), c.parameter("out_bias")};
  };
  op.memory = [=](const Call& c, bool) {
    return c.backend.pair_loss_memory(classifier(c), c.targets.rows);
  };
  op.forward = [=](const Call& c) {
    c.backend.pair_loss_forward(c.y, c.x, c.targets, 0.1, classifier(c), c.scratch);
  };
  op.backward = [=](const Call& c) {
    c.backend.pair_loss_backward(c.dx, accumulate, c.loss_weight, c.x, c.targets, 0.1,
                                 classifier(c), c.scratch);
  };
  return op;
}

OpCase convert(std::int32_t rows, std::int64_t width, bool accumulate) {
  OpCase op;
  op.name = fmt::format("convert_{}x{}{}", rows, width, accumulate ? "_accumulate" : "");
  op.batch = Batch({rows});
  op.x_rows = op.y_rows = row_names(op.batch);
  op.x_cols = op.y_cols = width;
  op.x_statistics = true;
  op.accumulate = accumulate;
  op.forward = [](const Call& c) { c.backend.convert_forward(c.y, c.x); };
  op.backward = [=](const Call& c) { c.backend.convert_backward(c.dx, accumulate, c.dy); };
  return op;
}

}  // namespace

std::vector<OpCase> all_op_cases() {
  const Batch ragged({5, 0, 64, 1, 0, 33});
  const Batch many(Lengths(70, 1));
  std::vector<OpCase> cases;

  cases.push_back(embed(Batch({1}), {.width = 8, .vocabulary = 3}));
  cases.push_back(embed(Batch({3}), {.width = 24, .vocabulary = 2, .token_types = 1}));
  cases.push_back(embed(Batch({63}), {.width = 64, .vocabulary = 66, .dropout = 0.1f}));
  cases.push_back(embed(Batch({257}), {.width = 96, .vocabulary = 17, .dropout = 0.1f}));
  cases.push_back(embed(ragged, {.width = 768, .vocabulary = 300}));
  cases.push_back(embed(Batch({0, 0}), {.width = 64, .vocabulary = 5}));
  cases.push_back(
      embed(Batch({65, 7}), {.width = 64, .vocabulary = 20}).freeze({"word", "norm_weight"}));
  cases.push_back(embed(Batch({7}), {.width = 8}));
  cases.push_back(embed(Batch({64}), {.width = 256, .dropout = 0.1f, .accumulate = true}));
  cases.push_back(embed(ragged, {.width = 96, .token_types = 1, .dropout = 0.5f})
                      .freeze({"position", "token_type", "norm_bias"}));

  cases.push_back(attention(Batch({1}), {.width = 8, .heads = 1}));
  cases.push_back(attention(Batch({3}), {.width = 24, .heads = 3}));
  cases.push_back(attention(Batch({7}), {.width = 64, .heads = 1, .causal = true}));
  cases.push_back(attention(Batch({63}), {.width = 64, .heads = 8, .accumulate = true}));
  cases.push_back(attention(Batch({64}), {.width = 96, .heads = 4, .causal = true}));
  cases.push_back(
      attention(Batch({65}),
                {.width = 128, .heads = 2, .probability_dropout = 0.1f, .output_dropout = 0.1f}));
  cases.push_back(attention(
      Batch({257}),
      {.width = 64, .heads = 1, .causal = true, .probability_dropout = 0.2f, .accumulate = true}));
  cases.push_back(attention(ragged, {.width = 256, .heads = 2, .output_dropout = 0.1f}));
  cases.push_back(attention(
      Batch({31, 33}), {.width = 384, .heads = 2, .causal = true, .probability_dropout = 0.1f}));
  cases.push_back(attention(Batch({17}), {.width = 256, .heads = 1}));
  cases.push_back(attention(Batch({33}), {.width = 768, .heads = 6}));
  cases.push_back(attention(many, {.width = 48, .heads = 2, .output_dropout = 0.5f}));
  cases.push_back(attention(Batch({0, 0}), {.width = 16, .heads = 2}));
  cases.push_back(attention(Batch({110, 55, 0, 1, 64, 37}), {.width = 64,
                                                             .heads = 4,
                                                             .probability_dropout = 0.1f,
                                                             .output_dropout = 0.1f,
                                                             .accumulate = true}));
  cases.push_back(attention(Batch({12, 9}), {.width = 64, .heads = 2})
                      .freeze({"qkv_weight", "output_bias", "norm_weight"}));
  cases.push_back(attention(Batch({12, 9}), {.width = 64, .heads = 2, .accumulate = true})
                      .freeze({"qkv_bias", "output_weight", "norm_bias"}));
  cases.push_back(without_dx(attention(Batch({20}), {.width = 24, .heads = 1})));
  cases.push_back(attention(Batch({128, 150}), {.width = 32, .heads = 1}));
  cases.push_back(attention_with_large_scores());
  cases.push_back(attention(Batch({2048}), {.width = 32, .heads = 1}));
  cases.push_back(attention(
      Batch({3, 1300}), {.width = 16, .heads = 2, .causal = true, .probability_dropout = 0.1f}));

  cases.push_back(feed_forward(Batch({1}), {.width = 8, .inner = 32}));
  cases.push_back(feed_forward(Batch({3}), {.width = 24, .inner = 96}));
  cases.push_back(feed_forward(Batch({7}), {.width = 64, .inner = 256, .dropout = 0.1f}));
  cases.push_back(
      feed_forward(Batch({63}), {.width = 96, .inner = 384, .dropout = 0.1f, .accumulate = true}));
  cases.push_back(feed_forward(ragged, {.width = 64, .inner = 256, .dropout = 0.5f}));
  cases.push_back(feed_forward(Batch({64}), {.width = 256, .inner = 1024}));
  cases.push_back(feed_forward(Batch({65}), {.width = 64, .inner = 72, .accumulate = true}));
  cases.push_back(feed_forward(Batch({257}), {.width = 64, .inner = 128}));
  cases.push_back(feed_forward(Batch({150, 300, 70}), {.width = 24, .inner = 64}));
  cases.push_back(feed_forward(Batch({17}), {.width = 768, .inner = 1536}));
  cases.push_back(feed_forward(Batch({0}), {.width = 64, .inner = 256}));
  cases.push_back(feed_forward(Batch({21}), {.width = 64, .inner = 128})
                      .freeze({"in_weight", "out_bias", "norm_weight"}));
  cases.push_back(feed_forward(Batch({21}), {.width = 64, .inner = 128, .accumulate = true})
                      .freeze({"in_bias", "out_weight", "norm_bias"}));
  cases.push_back(without_dx(feed_forward(Batch({20}), {.width = 24, .inner = 64})));

  cases.push_back(linear(Batch({1}), {.in = 8, .out = 8}));
  cases.push_back(linear(Batch({3}), {.in = 24, .out = 64}));
  cases.push_back(linear(Batch({9}), {.in = 64, .out = 5}));
  cases.push_back(linear(Batch({63}), {.in = 64, .out = 96, .accumulate = true}));
  cases.push_back(without_dx(linear(Batch({65}), {.in = 256, .out = 24})));
  cases.push_back(linear(Batch({257}), {.in = 64, .out = 64}));
  cases.push_back(linear(ragged, {.in = 768, .out = 256}));
  cases.push_back(linear(Batch({150, 300, 70}), {.in = 96, .out = 24}));
  cases.push_back(linear(Batch({0}), {.in = 64, .out = 96}));
  cases.push_back(linear(Batch({7}), {.in = 24, .out = 8}).freeze({"weight"}));
  cases.push_back(linear(Batch({7}), {.in = 24, .out = 8}).freeze({"bias"}));

  cases.push_back(gather(1, 1, 1, 8, false));
  cases.push_back(gather(65, 1, 2, 64, false));
  cases.push_back(gather(257, 2, 3, 24, true));
  cases.push_back(gather(64, 1, 1, 96, true));
  cases.push_back(gather(7, 0, 1, 64, false));
  cases.push_back(scatter(1, 1, 1, 8, false));
  cases.push_back(scatter(65, 1, 2, 64, false));
  cases.push_back(scatter(257, 2, 3, 24, true));
  cases.push_back(scatter(64, 1, 1, 96, false));
  cases.push_back(scatter(7, 0, 1, 64, false));
  cases.push_back(scatter(63, 1, 3, 256, false).freeze({"fill"}));

  cases.push_back(mean_pool(Batch({1}), 8, false));
  cases.push_back(mean_pool(ragged, 96, false));
  cases.push_back(mean_pool(Batch({257, 0, 3}), 64, true));
  cases.push_back(mean_pool(Batch({0, 0}), 24, false));
  cases.push_back(mean_pool(many, 768, false));

  cases.push_back(cross_entropy(Batch({1}), {.width = 8, .classes = 4, .every = 1}));
  cases.push_back(cross_entropy(Batch({63}), {.width = 64, .classes = 64}));
  cases.push_back(cross_entropy(
      Batch({64}), {.width = 24, .classes = 5, .every = 1, .dropout = 0.1f, .accumulate = true}));
  cases.push_back(cross_entropy(ragged, {.width = 96, .groups = 6, .classes = 4, .site = true}));
  cases.push_back(cross_entropy(
      Batch({200, 57}),
      {.width = 64, .groups = 8, .classes = 4, .site = true, .dropout = 0.1f, .accumulate = true}));
  cases.push_back(
      cross_entropy(Batch({7, 3}), {.width = 24, .groups = 3, .classes = 4, .every = 1}));
  cases.push_back(cross_entropy(Batch({100, 57}), {.width = 64, .classes = 4096, .every = 3}));
  cases.push_back(cross_entropy(Batch({65}), {.width = 768, .classes = 256, .dropout = 0.1f}));
  cases.push_back(
      cross_entropy(Batch({300, 300}), {.width = 8, .classes = 16, .some = 9, .every = 10}));
  cases.push_back(
      cross_entropy(Batch({9}), {.width = 24, .classes = 16, .some = 0}).rename("none_scored"));
  cases.push_back(cross_entropy(Batch({0}), {.width = 24, .classes = 16}));
  cases.push_back(cross_entropy(Batch({33}), {.width = 64, .groups = 6, .classes = 4, .site = true})
                      .freeze({"weight", "site"}));
  cases.push_back(cross_entropy(Batch({33}), {.width = 64, .classes = 64}).freeze({"bias"}));
  cases.push_back(without_dx(cross_entropy(Batch({20}), {.width = 24, .classes = 16})));
  cases.push_back(cross_entropy(Batch({33}), {.width = 24, .classes = 64, .soft = true}));
  cases.push_back(cross_entropy(
      Batch({200, 57}),
      {.width = 64, .groups = 6, .classes = 4, .dropout = 0.1f, .accumulate = true, .soft = true}));

  cases.push_back(label_loss({}));
  cases.push_back(label_loss({.unlabelled = true, .accumulate = true}));
  cases.push_back(label_loss({.vectors = 40, .unlabelled = true, .groups = true}));
  cases.push_back(label_loss({.vectors = 3, .labels = 1}).rename("one_label"));
  cases.push_back(label_loss({.kind = LabelLoss::Kind::kTriplet, .unlabelled = true}));
  cases.push_back(label_loss(
      {.kind = LabelLoss::Kind::kTriplet, .vectors = 33, .groups = true, .accumulate = true}));
  cases.push_back(pair_loss(9, 24, 16, false));
  cases.push_back(pair_loss(6, 64, 4, true));
  cases.push_back(pair_loss(1, 8, 4, false));
  cases.push_back(convert(65, 24, false));
  cases.push_back(convert(7, 96, true));
  return cases;
}

}  // namespace barcodemae::test
