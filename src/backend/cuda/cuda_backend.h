// SPDX-License-Identifier: MIT
// The CUDA backend: cuBLASLt for matrix products, kernels of our own (kernels/) for the rest. All
// work of a backend goes through one stream in order; the host waits only where it downloads.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backend/cuda/gemm.h"
#include "backend/cuda/kernels/names.h"
#include "backend/cuda/kernels/norm.h"
#include "backend/cuda/kernels/optimizer.h"
#include "backend/cuda/memory.h"
#include "tensor/backend.h"

namespace barcodemae {

class CudaBackend final : public Backend {
 public:
  /// Of a GPU that there is (cuda.h); the calling thread works with it from then on.
  explicit CudaBackend(int device);
  ~CudaBackend() override;
  std::string name() const override { return "cuda"; }
  cudaStream_t stream() const { return stream_; }

  void* allocate(std::size_t bytes) override;
  void release(void* memory, std::size_t bytes) override;
  std::size_t available_memory() const override;
  bool in_host_memory() const override { return false; }
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
  /// What is kept beside a set of parameters.
  struct Companion {
    std::int64_t count = 0;             ///< elements of the flat buffers
    DType precision = DType::kFloat32;  ///< of products
    cuda::Buffer copy;                  ///< all values in bfloat16, when products are
    cuda::Buffer pieces, entries;       ///< of the optimiser; made by its first step
    std::int64_t piece_count = 0;
  };
  /// Of the parameters that `value` is one of, or null.
  const Companion* companion_of(const void* value, const float** first) const;
  Companion& companion_of(const Parameters& parameters);
  /// A parameter's values as products in `type` take them: float32 as they are, or the bfloat16
  /// copy. Throws InternalError without refresh_weights() in that type.
  View operand(const Parameter& parameter, DType type) const;

  cuda::Norm norm_of(View y, const Parameter& weight, const Parameter& bias, float epsilon,
                     const Segments& segments, const Dropout& dropout) const;
  /// The backward pass of y = LN(x + dropout(product)), of which `norm` has what forward kept:
  /// writes dsum, adds to the gradients of the norm and of the product's bias, and returns
  /// dproduct, which is dsum itself without dropout.
  View residual_backward(View dsum, View dproduct, View dy, View sum, float* partial,
                         const cuda::Norm& norm, const Parameter& weight, const Parameter& bias,
                         const Parameter& product_bias);
  /// Adds the sums of norm.h to the gradients that are wanted; `bias` may have none.
  void add_norm_gradients(const float* partial, std::int64_t rows, std::int64_t width,
                          const Parameter& weight, const Parameter& bias, const Parameter& third);
  /// y = x · Wᵀ + b
  void project(View y, View x, const Parameter& weight, const Parameter& bias);
  /// dx = dy · W (+ c, all of it as dx)
  void project_back(View dx, View dy, const Parameter& weight, const void* c = nullptr);
  /// dW += factor · dyᵀ · x, when it is wanted. `stride`: of dy; 0: its columns.
  void add_weight_gradient(const Parameter& weight, View dy, View x, float factor = 1,
                           std::int64_t stride = 0);
  /// db += Σ of the rows of dy, when it is wanted; `partial` of column_sum_count() floats.
  void add_bias_gradient(const Parameter& bias, View dy, float* partial, float factor = 1,
                         std::int64_t stride = 0);

  /// Room for sums that an op has no scratch for; what it held is lost.
  void* sums(std::size_t bytes);

  cudaStream_t stream_ = nullptr;
  std::unique_ptr<cuda::Staging> staging_;
  std::unique_ptr<cuda::Gemm> gemm_;
  std::map<const float*, Companion> companions_;  // by the address of the flat values
  cuda::Buffer sums_;
};

namespace cuda {

RowNames row_names(const Segments& segments);
DropoutStream dropout_stream(const Dropout& dropout);

inline const float* values(const Parameter& parameter) {
  return static_cast<const float*>(parameter.value.data);
}
inline float* gradient(const Parameter& parameter) {
  return static_cast<float*>(parameter.gradient.data);
}
inline const std::int32_t* integers(View view) {
  return static_cast<const std::int32_t*>(view.data);
}

/// Floats of the partial sums over the columns of dy [rows, cols].
std::int64_t column_sum_count(std::int64_t rows, std::int64_t cols);

/// Makes `saved` and scratch of an op out of one struct of arrays: what it keeps lies in `saved`
/// when training, else in the scratch.
inline void* kept_in(Bytes saved, Bytes scratch) {
  return saved.size > 0 ? saved.data : scratch.data;
}

}  // namespace cuda
}  // namespace barcodemae
