// SPDX-License-Identifier: MIT
// The CPU backend: oneDNN for matrix products, kernels of our own (kernels/) for the rest, row
// blocks that fit L2 taken through a whole block op by one thread.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "backend/cpu/gemm.h"
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/memory.h"
#include "tensor/backend.h"

namespace barcodemae {

class CpuBackend final : public Backend {
 public:
  CpuBackend();
  std::string name() const override { return "cpu"; }

  void* allocate(std::size_t bytes) override;
  void release(void* memory, std::size_t bytes) override;
  std::size_t available_memory() const override;
  void upload(View destination, const void* host) override;
  void download(void* host, View source) const override;
  void zero(View destination) override;

  DType activation_type(DType precision) const override;
  void refresh_weights(const Parameters& parameters, DType precision, bool backward) override;
  void forget_weights(const Parameters& parameters) override;

  KernelMemory embed_memory(const EmbeddingBlock& block, std::int64_t rows,
                            bool backward) const override;
  void embed_forward(View y, View ids, View rows, const EmbeddingBlock& block,
                     const Segments& segments, const Dropout& dropout, Bytes saved,
                     Bytes scratch) override;
  void embed_backward(View drows, bool accumulate, View dy, View y, View ids, View rows,
                      const EmbeddingBlock& block, const Segments& segments, const Dropout& dropout,
                      Bytes saved, Bytes scratch) override;

  KernelMemory attention_block_memory(const AttentionBlock& block, const Segments& segments,
                                      DType activation, bool backward) const override;
  void attention_block_forward(View y, View x, const AttentionBlock& block,
                               const Segments& segments, const Dropout& probabilities,
                               const Dropout& output, Bytes saved, Bytes scratch) override;
  void attention_block_backward(View dx, bool accumulate, View dy, View y, View x,
                                const AttentionBlock& block, const Segments& segments,
                                const Dropout& probabilities, const Dropout& output, Bytes saved,
                                Bytes scratch) override;

  KernelMemory feed_forward_block_memory(const FeedForwardBlock& block, const Segments& segments,
                                         DType activation, bool backward) const override;
  void feed_forward_block_forward(View y, View x, const FeedForwardBlock& block,
                                  const Segments& segments, const Dropout& dropout, Bytes saved,
                                  Bytes scratch) override;
  void feed_forward_block_backward(View dx, bool accumulate, View dy, View y, View x,
                                   const FeedForwardBlock& block, const Segments& segments,
                                   const Dropout& dropout, Bytes saved, Bytes scratch) override;

  void linear_forward(View y, View x, const LinearLayer& layer) override;
  void linear_backward(View dx, bool accumulate, View dy, View x,
                       const LinearLayer& layer) override;

  void gather_rows_forward(View y, View x, View index) override;
  void gather_rows_backward(View dx, bool accumulate, View dy, View index) override;
  void scatter_rows_forward(View y, View x, View index, const Parameter& fill) override;
  void scatter_rows_backward(View dx, bool accumulate, View dy, View index,
                             const Parameter& fill) override;

  void mean_pool_forward(View y, View x, const Segments& segments) override;
  void mean_pool_backward(View dx, bool accumulate, View dy, const Segments& segments) override;

  void convert_forward(View y, View x) override;
  void convert_backward(View dx, bool accumulate, View dy) override;
  KernelMemory label_loss_memory(View x) const override;
  void label_loss_forward(View loss, View x, View labels, View groups, double scale,
                          const LabelLoss& options, Bytes scratch) override;
  void label_loss_backward(View dx, bool accumulate, double dloss, View x, View labels, View groups,
                           double scale, const LabelLoss& options, Bytes scratch) override;
  KernelMemory pair_loss_memory(const PairClassifier& classifier,
                                std::int64_t pairs) const override;
  void pair_loss_forward(View loss, View x, View pairs, double scale,
                         const PairClassifier& classifier, Bytes scratch) override;
  void pair_loss_backward(View dx, bool accumulate, double dloss, View x, View pairs, double scale,
                          const PairClassifier& classifier, Bytes scratch) override;
  void add_forward(View y, View a, View b) override;

  KernelMemory cross_entropy_memory(const CrossEntropyHead& head, std::int64_t rows,
                                    std::int64_t scored, DType activation,
                                    bool backward) const override;
  void cross_entropy_forward(View loss, View x, View index, View targets, double scale,
                             const CrossEntropyHead& head, const Segments& segments,
                             const Dropout& dropout, Bytes saved, Bytes scratch) override;
  void cross_entropy_backward(View dx, bool accumulate, double dloss, View x, View index,
                              View targets, double scale, const CrossEntropyHead& head,
                              const Segments& segments, const Dropout& dropout, Bytes saved,
                              Bytes scratch) override;

  double squared_gradient_norm(const Parameters& parameters) override;
  void adamw(Parameters& parameters, const AdamWStep& step) override;
  void zero_gradients(Parameters& parameters) override;

 private:
  /// A weight W [out, in] for y = x · Wᵀ and, in training, for dx = dy · W.
  struct Weights {
    std::unique_ptr<cpu::WeightMatrix> forward, backward;
  };
  /// Those of a parameter that refresh_weights() has been called for; or null.
  const Weights* find_weights(const Parameter& parameter) const;
  /// Renews whole copies.
  void pack_weights(const std::vector<Parameter>& parameters) const;
  /// `type`: of the activations that meet it; int8 weights meet any.
  const cpu::WeightMatrix& forward_weight(const Parameter& weight, DType type) const;
  const cpu::WeightMatrix& backward_weight(const Parameter& weight, DType type) const;

  const cpu::Kernels& kernels_;
  std::unordered_map<const void*, Weights> weights_;  // by the address of the parameter's value
  cpu::Buffer packed_dy_, packed_x_;                  // of linear_backward
};

namespace cpu {

inline DropoutStream dropout_stream(const Dropout& dropout) {
  return {dropout.seed, static_cast<std::uint32_t>(Stream::kDropout) + dropout.site, dropout.step,
          dropout.threshold(), dropout.scale()};
}

inline const float* values(const Parameter& parameter) {
  return static_cast<const float*>(parameter.value.data);
}
inline float* gradient(const Parameter& parameter) {
  return static_cast<float*>(parameter.gradient.data);
}

/// records[r] of rows first … first + count − 1 of a packed batch.
void expand_records(std::int32_t* records, const Segments& segments, std::int64_t first,
                    std::int64_t count);

}  // namespace cpu
}  // namespace barcodemae
