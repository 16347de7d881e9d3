// SPDX-License-Identifier: MIT
// cuBLAS sees column-major matrices: a row-major matrix is, in the same memory, its transpose. So a
// product d = op(a) · op(b) is asked for as dᵀ = op(b)ᵀ · op(a)ᵀ: cuBLAS's A is our b, its B our a,
// its m our columns and its n our rows.
#include "backend/cuda/gemm.h"

#include <array>

#include "backend/cuda/check.h"
#include "base/error.h"

namespace barcodemae::cuda {
namespace {

// What NVIDIA advises for Hopper.
constexpr std::size_t kWorkspace = std::size_t{32} << 20;
// Algorithms for rows of tokens are chosen as for so many of them, those for sums over tokens, of
// which every step has another number, as for the next multiple of so many.
constexpr std::int64_t kManyTokens = 16384, kTokensRoundedTo = 1024;
constexpr std::size_t kMostAlgorithms = 4096;

/// There is no such algorithm, or it does not take this size.
bool cannot(cublasStatus_t status) {
  return status == CUBLAS_STATUS_NOT_SUPPORTED || status == CUBLAS_STATUS_INVALID_VALUE;
}

cudaDataType_t data_type(DType type) { return type == DType::kBFloat16 ? CUDA_R_16BF : CUDA_R_32F; }

// What an algorithm may presume of every row's address: the largest power of two that divides the
// bytes between neighbouring rows, up to what the fastest ones need and every matrix begins at.
std::uint32_t alignment_of(std::int64_t stride, DType type) {
  const auto bytes = static_cast<std::uint64_t>(stride) * size_of(type);
  std::uint32_t alignment = 16;
  while (bytes % alignment != 0) alignment /= 2;
  return alignment;
}

struct Layout {
  cublasLtMatrixLayout_t value = nullptr;
  Layout(DType type, std::int64_t rows, std::int64_t cols, std::int64_t stride) {
    check(cublasLtMatrixLayoutCreate(&value, data_type(type), static_cast<std::uint64_t>(rows),
                                     static_cast<std::uint64_t>(cols), stride));
  }
  ~Layout() { cublasLtMatrixLayoutDestroy(value); }
  Layout(const Layout&) = delete;
  Layout& operator=(const Layout&) = delete;
};

template <typename Value>
void set(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t attribute, Value value) {
  check(cublasLtMatmulDescSetAttribute(operation, attribute, &value, sizeof(value)));
}

template <typename Value>
void set(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute,
         Value value) {
  check(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof(value)));
}

}  // namespace

/// The product in cuBLASLt's terms.
struct Gemm::Problem {
  cublasLtMatmulDesc_t operation = nullptr;
  Layout a, b, d;

  Problem(const Product& product, const Key& key)
      : a(product.b.dtype, product.transpose_b ? key.k : key.m, product.transpose_b ? key.m : key.k,
          key.a_stride),
        b(product.a.dtype, product.transpose_a ? key.n : key.k, product.transpose_a ? key.k : key.n,
          key.b_stride),
        d(product.d.dtype, key.m, key.n, key.d_stride) {
    check(cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    set(operation, CUBLASLT_MATMUL_DESC_TRANSA, product.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(operation, CUBLASLT_MATMUL_DESC_TRANSB, product.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
    if (product.bias == nullptr) return;
    set(operation, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
    set(operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, product.bias);
    set(operation, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, data_type(product.d.dtype));
  }
  ~Problem() { cublasLtMatmulDescDestroy(operation); }
  Problem(const Problem&) = delete;
  Problem& operator=(const Problem&) = delete;
};

std::size_t Gemm::Hash::operator()(const Key& key) const {
  std::size_t hash = 0;
  for (const std::int64_t part :
       {key.m, key.n, key.k, key.a_stride, key.b_stride, key.d_stride, std::int64_t{key.types},
        std::int64_t{key.transposes}, std::int64_t{key.epilogue}}) {
    hash = hash * 0x9E3779B97F4A7C15 + static_cast<std::size_t>(part);
  }
  return hash ^ hash >> 32;
}

Gemm::Gemm(cudaStream_t stream) : stream_(stream), workspace_(kWorkspace, stream) {
  check(cublasLtCreate(&handle_));
}

Gemm::~Gemm() { cublasLtDestroy(handle_); }

bool Gemm::find(cublasLtMatmulAlgo_t& algorithm, const Product& product, const Key& key) {
  const auto known = algorithms_.find(key);
  if (known != algorithms_.end()) {
    algorithm = known->second;
    return true;
  }
  const Problem problem(product, key);
  cublasLtMatmulPreference_t preference = nullptr;
  check(cublasLtMatmulPreferenceCreate(&preference));
  set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{kWorkspace});
  // Partial sums that meet in place meet in any order.
  const std::uint32_t reductions = product.rows_are_tokens
                                       ? std::uint32_t{CUBLASLT_REDUCTION_SCHEME_NONE}
                                       : std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE};
  set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, reductions);
  const std::uint32_t d_alignment = alignment_of(key.d_stride, product.d.dtype);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
      alignment_of(key.a_stride, product.b.dtype));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
      alignment_of(key.b_stride, product.a.dtype));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, d_alignment);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, d_alignment);
  cublasLtMatmulHeuristicResult_t best{};
  int found = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
      handle_, problem.operation, problem.a.value, problem.b.value, problem.d.value,
      problem.d.value, preference, 1, &best, &found);
  cublasLtMatmulPreferenceDestroy(preference);
  if (cannot(status)) return false;
  check(status);
  if (found == 0) return false;
  if (algorithms_.size() >= kMostAlgorithms) algorithms_.clear();
  algorithms_.emplace(key, best.algo);
  algorithm = best.algo;
  return true;
}

cublasStatus_t Gemm::run(const Product& product, const Key& key,
                         const cublasLtMatmulAlgo_t& algorithm) {
  const Problem problem(product, key);
  const void* c = product.c == nullptr ? product.d.data : product.c;
  return cublasLtMatmul(handle_, problem.operation, &product.alpha, product.b.data, problem.a.value,
                        product.a.data, problem.b.value, &product.beta, c, problem.d.value,
                        product.d.data, problem.d.value, &algorithm, workspace_.data(),
                        workspace_.size(), stream_);
}

void Gemm::multiply(const Product& product) {
  const std::int64_t inner = product.transpose_a ? product.a.rows : product.a.cols;
  if (product.d.size() == 0 || inner == 0) {
    BARCODEMAE_CHECK(product.d.size() == 0 || (product.beta == 1 && product.c == nullptr),
                     "a product over nothing");
    return;
  }
  const auto or_else = [](std::int64_t stride, std::int64_t cols) {
    return stride == 0 ? cols : stride;
  };
  const Key key{product.d.cols,
                product.d.rows,
                inner,
                product.b.cols,
                or_else(product.a_stride, product.a.cols),
                or_else(product.d_stride, product.d.cols),
                static_cast<int>(product.a.dtype) * 16 + static_cast<int>(product.d.dtype),
                (product.transpose_a ? 1 : 0) + (product.transpose_b ? 2 : 0),
                (product.bias != nullptr ? 1 : 0) + (product.beta != 0 ? 2 : 0)};
  Key chosen_for = key;
  if (product.rows_are_tokens) {
    chosen_for.n = kManyTokens;
  } else if (product.transpose_a) {
    chosen_for.k = (key.k + kTokensRoundedTo - 1) / kTokensRoundedTo * kTokensRoundedTo;
  }
  cublasLtMatmulAlgo_t algorithm{};
  if (find(algorithm, product, chosen_for)) {
    const cublasStatus_t status = run(product, key, algorithm);
    if (status == CUBLAS_STATUS_SUCCESS) return;
    if (!cannot(status)) check(status);  // else it does not take this very number
  }
  BARCODEMAE_CHECK(find(algorithm, product, key),
                   "cuBLASLt has no algorithm for {} x {} x {} in {}", key.n, key.m, key.k,
                   to_string(product.a.dtype));
  check(run(product, key, algorithm));
}

}  // namespace barcodemae::cuda
