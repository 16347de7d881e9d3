// SPDX-License-Identifier: MIT
// Matrix products by cuBLASLt, float32 sums. All matrices are row-major, as everywhere else.
#pragma once

#include <cublasLt.h>

#include <cstdint>
#include <tuple>
#include <unordered_map>

#include "backend/cuda/memory.h"
#include "tensor/view.h"

namespace barcodemae::cuda {

/// d [rows, cols] = alpha · op(a) · op(b) + beta · c + bias; op(a) is [rows, inner], op(b)
/// [inner, cols]. a and b have one type; c, d and bias have d's.
struct Product {
  View a, b, d;
  bool transpose_a = false;    ///< a is stored [inner, rows]
  bool transpose_b = false;    ///< b is stored [cols, inner]
  std::int64_t d_stride = 0;   ///< elements from row to row of d and c; 0: d.cols
  std::int64_t a_stride = 0;   ///< of a; 0: a.cols
  const void* c = nullptr;     ///< as d; null: d itself
  const void* bias = nullptr;  ///< [cols]; null: none
  float alpha = 1, beta = 0;
  /// The rows are tokens: the algorithm is chosen whatever their number, and without splitting the
  /// inner dimension, so that a row's bits do not depend on the batch.
  bool rows_are_tokens = true;
};

class Gemm {
 public:
  explicit Gemm(cudaStream_t stream);
  ~Gemm();
  Gemm(const Gemm&) = delete;
  Gemm& operator=(const Gemm&) = delete;

  /// Throws InternalError when cuBLASLt has no algorithm for it.
  void multiply(const Product& product);

 private:
  struct Problem;
  struct Key {
    std::int64_t m, n, k, a_stride, b_stride, d_stride;
    int types, transposes, epilogue;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    std::size_t operator()(const Key& key) const;
  };
  bool find(cublasLtMatmulAlgo_t& algorithm, const Product& product, const Key& key);
  cublasStatus_t run(const Product& product, const Key& key, const cublasLtMatmulAlgo_t& algorithm);

  cudaStream_t stream_;
  cublasLtHandle_t handle_ = nullptr;
  Buffer workspace_;
  std::unordered_map<Key, cublasLtMatmulAlgo_t, Hash> algorithms_;
};

}  // namespace barcodemae::cuda
