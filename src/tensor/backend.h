// SPDX-License-Identifier: MIT
// What a device must be able to do. `reference` states the meaning; the others are tested against
// it. Kernels take outputs first, then inputs, then what was saved; every shape is checked by the
// caller (src/ops/), so implementations only compute.
//
// Conventions
//   T rows (tokens), H width, N sequences, V vocabulary, P positions, F feed-forward width.
//   Activations have the run's activation type (float32, bfloat16, or float64 on `reference`); all
//   parameters, their gradients, statistics and pooled vectors are float32 (float64 with float64).
//   For inference the products with matmul parameters may be of int8 on both sides, summed exactly
//   (tensor/quantisation.h); everything around them stays in floats.
//   "+=" outputs (parameter gradients) accumulate. A gradient of an activation is overwritten, or
//   added to when `accumulate` is true. Parameter gradients without data are not wanted.
//   Same inputs, same bits, for any number of threads; a row's result does not depend on the other
//   sequences of the batch.
#pragma once

#include <cmath>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "tensor/parameters.h"
#include "tensor/segments.h"
#include "tensor/view.h"

namespace barcodemae {

/// Inverted dropout. Element (record r, position p, channel c) at site s and optimiser step t is
/// dropped when the 16-bit lane c mod 8 of philox4x32({kDropout + s, t, r, p << 16 | c / 8}, seed)
/// is below round(probability · 65536); kept elements are scaled by 65536 / (65536 − that number).
/// Lane i is the low (even i) or high (odd i) half of word i / 2. For attention probabilities p is
/// the query's position, and c = head · 2048 + the key's row inside its own sequence.
struct Dropout {
  float probability = 0;  ///< 0: the identity
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
  std::uint32_t site = 0;

  std::uint32_t threshold() const {
    return static_cast<std::uint32_t>(std::lround(probability * 65536.0f));
  }
  float scale() const { return 65536.0f / static_cast<float>(65536 - threshold()); }
};

/// y = dropout(LN(x + position[p] + type[0])), x = word[id] or given rows. BERT's embeddings.
struct EmbeddingBlock {
  Parameter word;                    ///< [V, H]; unused when rows are given
  Parameter position;                ///< [P, H]
  Parameter token_type;              ///< [2, H] or [1, H]: row 0 is always added
  Parameter norm_weight, norm_bias;  ///< [1, H]
  float norm_epsilon = 1e-12f;
};

/// y = LN(x + dropout(W_o · attention(W_qkv · x + b_qkv) + b_o)), scores scaled by 1/√(H / heads),
/// dropout on the probabilities too. A matrix W stored [out, in] maps rows: y = x · Wᵀ + b.
struct AttentionBlock {
  Parameter qkv_weight, qkv_bias;        ///< [3H, H], [1, 3H]: query, key, value rows in turn
  Parameter output_weight, output_bias;  ///< [H, H], [1, H]
  Parameter norm_weight, norm_bias;      ///< [1, H]
  float norm_epsilon = 1e-12f;
  int heads = 1;  ///< H / heads: a multiple of 8, up to 256
  bool causal = false;
};

/// y = LN(x + dropout(W₂ · gelu(W₁ · x + b₁) + b₂)), gelu(z) = z Φ(z) exactly (erf).
struct FeedForwardBlock {
  Parameter in_weight, in_bias;    ///< W₁ [F, H], [1, F]
  Parameter out_weight, out_bias;  ///< W₂ [H, F], [1, H]
  Parameter norm_weight, norm_bias;
  float norm_epsilon = 1e-12f;
};

/// y = x · Wᵀ + b
struct LinearLayer {
  Parameter weight, bias;  ///< [out, in], [1, out]
};

/// Cross entropy of `groups` independent softmaxes over `classes` logits each: one of 4^k for a
/// k-mer head, k of 4 for a head per base (the sum over bases is the k-mer's loss in nats).
/// logits = dropout(x) · Wᵀ + b (+ site[position]).
struct CrossEntropyHead {
  Parameter weight, bias;  ///< [groups · classes, H], [1, groups · classes]
  Parameter site;          ///< [P, groups · classes]: a bias per position; no data: none
  int groups = 1;
  int classes = 0;
  /// [classes, classes], float32 (float64): row t is the distribution that target t stands for; the
  /// cross entropy is then −Σ_c soft[t, c] log p_c. No data: all on t.
  View soft = {};
};

/// A loss of vectors by their labels; −1: no label, that vector counts nowhere. s_ia are cosines.
/// The candidates of an anchor i are all a ≠ i with a label; where groups are given, not those of
/// its own group (≥ 0). Positives p have its label, negatives n another; an anchor needs both.
struct LabelLoss {
  enum class Kind {
    /// Supervised contrastive (Khosla et al., 2020): −mean_p log(exp(s_ip/τ) / Σ_a exp(s_ia/τ))
    kContrastive,
    /// Batch-hard triplet, soft margin (Hermans et al., 2017): softplus(max_n s_in − min_p s_ip +
    /// m)
    kTriplet,
  } kind = Kind::kContrastive;
  double temperature = 0.1;  ///< τ
  double margin = 0.3;       ///< m
};

/// Do two vectors have the same label? logit = W₂ · relu(W₁ · [a; b] + b₁) + b₂; the loss is its
/// binary cross entropy.
struct PairClassifier {
  Parameter in_weight, in_bias;    ///< W₁ [F, 2H], [1, F]
  Parameter out_weight, out_bias;  ///< W₂ [1, F], [1, 1]
};

/// What a kernel needs beyond its inputs and outputs, all from the arena.
struct KernelMemory {
  std::size_t saved = 0;             ///< kept from forward to backward; 0 for inference
  std::size_t forward_scratch = 0;   ///< only while the forward kernel runs
  std::size_t backward_scratch = 0;  ///< only while the backward kernel runs
};

/// AdamW (Loshchilov and Hutter, 2019) as PyTorch computes it, for one step.
struct AdamWStep {
  double learning_rate = 0;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0;
  /// 1 − βᵗ at step t = 1, 2, …; of the current β₁ while it cycles, as PyTorch does.
  double bias_correction1 = 1, bias_correction2 = 1;
  double gradient_scale = 1;  ///< multiplies every gradient first (clipping)
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string name() const = 0;

  // Memory. allocate() throws UserError with the number of bytes when there is not enough.
  virtual void* allocate(std::size_t bytes) = 0;  ///< 64-byte aligned, zeroed
  virtual void release(void* memory, std::size_t bytes) = 0;
  virtual std::size_t available_memory() const = 0;  ///< bytes that allocate() could still give
  /// Whether that is the host's memory, which all processes of a machine take from.
  virtual bool in_host_memory() const { return true; }
  virtual void upload(View destination, const void* host) = 0;  ///< same type on both sides
  virtual void download(void* host, View source) const = 0;
  virtual void zero(View destination) = 0;

  /// The type of activations around products in `precision`: the same, except that int8 rows are
  /// made where a product needs them, each by a scale of its own (its largest magnitude / 127).
  virtual DType activation_type(DType precision) const = 0;
  /// Makes or renews the compute copies (bfloat16, int8, reordered) of the matmul parameters; to be
  /// called after every change of values from outside (first values, a load). `backward`: those of
  /// the backward pass too, which int8 has not. Kernels throw InternalError when it has not been
  /// called for a parameter they need; UserError when the machine cannot compute in `precision`.
  virtual void refresh_weights(const Parameters& parameters, DType precision, bool backward) = 0;
  virtual void forget_weights(const Parameters& parameters) = 0;

  // Embeddings. `ids` int32 [T, 1]; or `rows` [T, H] (then ids.data is null).
  virtual KernelMemory embed_memory(const EmbeddingBlock&, std::int64_t rows,
                                    bool backward) const = 0;
  virtual void embed_forward(View y, View ids, View rows, const EmbeddingBlock&, const Segments&,
                             const Dropout&, Bytes saved, Bytes scratch) = 0;
  /// `drows` without data when ids were given. `y` is the forward output.
  virtual void embed_backward(View drows, bool accumulate, View dy, View y, View ids, View rows,
                              const EmbeddingBlock&, const Segments&, const Dropout&, Bytes saved,
                              Bytes scratch) = 0;

  virtual KernelMemory attention_block_memory(const AttentionBlock&, const Segments&,
                                              DType activation, bool backward) const = 0;
  virtual void attention_block_forward(View y, View x, const AttentionBlock&, const Segments&,
                                       const Dropout& probabilities, const Dropout& output,
                                       Bytes saved, Bytes scratch) = 0;
  virtual void attention_block_backward(View dx, bool accumulate, View dy, View y, View x,
                                        const AttentionBlock&, const Segments&,
                                        const Dropout& probabilities, const Dropout& output,
                                        Bytes saved, Bytes scratch) = 0;

  virtual KernelMemory feed_forward_block_memory(const FeedForwardBlock&, const Segments&,
                                                 DType activation, bool backward) const = 0;
  virtual void feed_forward_block_forward(View y, View x, const FeedForwardBlock&, const Segments&,
                                          const Dropout&, Bytes saved, Bytes scratch) = 0;
  virtual void feed_forward_block_backward(View dx, bool accumulate, View dy, View y, View x,
                                           const FeedForwardBlock&, const Segments&, const Dropout&,
                                           Bytes saved, Bytes scratch) = 0;

  virtual void linear_forward(View y, View x, const LinearLayer&) = 0;
  /// `dx` without data: not wanted.
  virtual void linear_backward(View dx, bool accumulate, View dy, View x, const LinearLayer&) = 0;

  /// y[i] = x[index[i]]; index int32 [rows of y, 1], ascending, without repeats.
  virtual void gather_rows_forward(View y, View x, View index) = 0;
  virtual void gather_rows_backward(View dx, bool accumulate, View dy, View index) = 0;
  /// y[index[i]] = x[i]; all other rows of y = `fill` [1, H].
  virtual void scatter_rows_forward(View y, View x, View index, const Parameter& fill) = 0;
  virtual void scatter_rows_backward(View dx, bool accumulate, View dy, View index,
                                     const Parameter& fill) = 0;

  /// y[n] = mean of the rows of sequence n, float32 (float64) [N, H]; of an empty sequence: 0.
  virtual void mean_pool_forward(View y, View x, const Segments&) = 0;
  virtual void mean_pool_backward(View dx, bool accumulate, View dy, const Segments&) = 0;

  /// y = x in y's type: pooled vectors as activations.
  virtual void convert_forward(View y, View x) = 0;
  virtual void convert_backward(View dx, bool accumulate, View dy) = 0;

  /// x [N, H] in the statistics type, labels int32 [N, 1], groups int32 [N, 1] or without data.
  /// loss as of cross entropy: {scale · Σ of the anchors, anchors whose nearest candidate has their
  /// label}.
  virtual KernelMemory label_loss_memory(View x) const = 0;
  virtual void label_loss_forward(View loss, View x, View labels, View groups, double scale,
                                  const LabelLoss&, Bytes scratch) = 0;
  virtual void label_loss_backward(View dx, bool accumulate, double dloss, View x, View labels,
                                   View groups, double scale, const LabelLoss&, Bytes scratch) = 0;

  /// pairs int32 [P, 3]: two rows of x [N, H] (the statistics type), and 1 when they are alike.
  /// loss: {scale · Σ of the pairs, pairs that are told right}.
  virtual KernelMemory pair_loss_memory(const PairClassifier&, std::int64_t pairs) const = 0;
  virtual void pair_loss_forward(View loss, View x, View pairs, double scale, const PairClassifier&,
                                 Bytes scratch) = 0;
  virtual void pair_loss_backward(View dx, bool accumulate, double dloss, View x, View pairs,
                                  double scale, const PairClassifier&, Bytes scratch) = 0;

  /// y = a + b; y may be a.
  virtual void add_forward(View y, View a, View b) = 0;

  /// Rows r = index[i] of x (int32 [R, 1]) are scored against targets int32 [R, groups].
  /// loss float32 (float64) [1, 2]: {scale · Σ cross entropy, number of rows whose every group has
  /// its largest logit at the target} (overwritten). Segments give record and position of each row
  /// of x for dropout and the site bias.
  virtual KernelMemory cross_entropy_memory(const CrossEntropyHead&, std::int64_t rows,
                                            std::int64_t scored, DType activation,
                                            bool backward) const = 0;
  virtual void cross_entropy_forward(View loss, View x, View index, View targets, double scale,
                                     const CrossEntropyHead&, const Segments&, const Dropout&,
                                     Bytes saved, Bytes scratch) = 0;
  /// `dloss` is the weight of this term in the total. Rows of dx that were not scored get 0 (or
  /// nothing, when accumulating).
  virtual void cross_entropy_backward(View dx, bool accumulate, double dloss, View x, View index,
                                      View targets, double scale, const CrossEntropyHead&,
                                      const Segments&, const Dropout&, Bytes saved,
                                      Bytes scratch) = 0;

  /// Σ g² over the flat gradients, in double; non-finite when any gradient is.
  virtual double squared_gradient_norm(const Parameters& parameters) = 0;
  /// One step on every parameter that is not frozen; zeroes all gradients in passing, and renews
  /// the compute copies that refresh_weights() made.
  virtual void adamw(Parameters& parameters, const AdamWStep& step) = 0;
  /// Forgets the gradients without a step.
  virtual void zero_gradients(Parameters& parameters) = 0;
};

}  // namespace barcodemae
