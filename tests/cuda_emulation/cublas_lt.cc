// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <vector>

#include "cublasLt.h"
#include "cuda_bf16.h"
#include "emulation.h"

struct cublasLtContext {};

struct cublasLtMatmulDescOpaque_t {
  cublasComputeType_t compute;
  cudaDataType_t scale;
  cublasLtPointerMode_t pointer_mode = CUBLASLT_POINTER_MODE_HOST;
  cublasOperation_t operation_a = CUBLAS_OP_N;
  cublasOperation_t operation_b = CUBLAS_OP_N;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  const void* bias = nullptr;
  int bias_type = -1;  // D's
};

struct cublasLtMatrixLayoutOpaque_t {
  cudaDataType_t type;
  std::uint64_t rows;
  std::uint64_t columns;
  std::int64_t leading;

  bool operator==(const cublasLtMatrixLayoutOpaque_t&) const = default;
};

struct cublasLtMatmulPreferenceOpaque_t {
  std::uint64_t workspace_bytes = 0;
  std::uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_MASK;
  std::array<std::uint32_t, 4> alignments{256, 256, 256, 256};
};

namespace barcodemae::cuda_emulation {
namespace {

using Layout = cublasLtMatrixLayoutOpaque_t;
using Product = cublasLtMatmulDescOpaque_t;

// What an algorithm's eight words hold.
struct Algorithm {
  std::uint64_t mark = kMark;
  std::uint64_t workspace_bytes = 0;
  std::array<std::uint32_t, 4> alignments{};
  std::array<std::uint32_t, 8> problem{};

  static constexpr std::uint64_t kMark = 0x626172636F64654D;
};
static_assert(sizeof(Algorithm) == sizeof(cublasLtMatmulAlgo_t));

cublasStatus_t refuse(cublasStatus_t status, const char* why) {
  std::fprintf(stderr, "CUDA emulation: cuBLASLt: %s\n", why);
  return status;
}
cublasStatus_t invalid(const char* why) { return refuse(CUBLAS_STATUS_INVALID_VALUE, why); }
cublasStatus_t unsupported(const char* why) { return refuse(CUBLAS_STATUS_NOT_SUPPORTED, why); }

template <typename T>
cublasStatus_t assign(T& variable, const void* value, std::size_t bytes) {
  if (value == nullptr || bytes != sizeof(T)) return invalid("an attribute's value of wrong size");
  std::memcpy(&variable, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

// Takes an attribute that may only be set to what it is anyway.
template <typename T>
cublasStatus_t demand(T only, const void* value, std::size_t bytes, const char* name) {
  T given{};
  const cublasStatus_t status = assign(given, value, bytes);
  if (status == CUBLAS_STATUS_SUCCESS && given != only) return unsupported(name);
  return status;
}

std::size_t size_of(cudaDataType_t type) { return type == CUDA_R_32F ? 4 : 2; }

std::size_t bytes_of(const Layout& layout) {
  if (layout.rows == 0 || layout.columns == 0) return 0;
  return (static_cast<std::size_t>(layout.leading) * (layout.columns - 1) + layout.rows) *
         size_of(layout.type);
}

double element(const void* memory, cudaDataType_t type, std::size_t index) {
  if (type == CUDA_R_32F) return static_cast<double>(static_cast<const float*>(memory)[index]);
  return static_cast<double>(static_cast<float>(static_cast<const __nv_bfloat16*>(memory)[index]));
}

void set_element(void* memory, cudaDataType_t type, std::size_t index, double value) {
  const auto rounded = static_cast<float>(value);
  if (type == CUDA_R_32F) {
    static_cast<float*>(memory)[index] = rounded;
  } else {
    static_cast<__nv_bfloat16*>(memory)[index] = __nv_bfloat16(rounded);
  }
}

// The rules of shapes and types.
cublasStatus_t check(const Product& product, const Layout& a, const Layout& b, const Layout& c,
                     const Layout& d) {
  if (product.compute != CUBLAS_COMPUTE_32F && product.compute != CUBLAS_COMPUTE_32F_PEDANTIC) {
    return unsupported("the compute type is neither 32F nor 32F_PEDANTIC");
  }
  if (product.scale != CUDA_R_32F) return unsupported("the scale type is not float32");
  for (const Layout* layout : {&a, &b, &c, &d}) {
    if (layout->type != CUDA_R_32F && layout->type != CUDA_R_16BF) {
      return unsupported("a matrix is neither float32 nor bfloat16");
    }
    if (layout->leading < 0 || static_cast<std::uint64_t>(layout->leading) < layout->rows) {
      return invalid("a matrix has a leading dimension below its number of rows");
    }
    if (layout->rows == 0 || layout->columns == 0) return unsupported("a matrix is empty");
  }
  if (a.type != b.type) return unsupported("A and B have different types");
  if (c.type != d.type) return unsupported("C and D have different types");
  // Neither is in the table of types that cuBLASLt's documentation gives for cublasLtMatmul().
  if (a.type == CUDA_R_32F && d.type != CUDA_R_32F) {
    return unsupported("A and B are float32, D is not");
  }
  if (product.bias_type != -1 && product.bias_type != d.type) {
    return unsupported("the bias is not of D's type");
  }
  if (product.epilogue != CUBLASLT_EPILOGUE_DEFAULT && product.epilogue != CUBLASLT_EPILOGUE_BIAS) {
    return unsupported("the epilogue is neither DEFAULT nor BIAS");
  }
  const bool transposed_a = product.operation_a != CUBLAS_OP_N;
  const bool transposed_b = product.operation_b != CUBLAS_OP_N;
  if ((transposed_a ? a.columns : a.rows) != d.rows ||
      (transposed_b ? b.rows : b.columns) != d.columns ||
      (transposed_a ? a.rows : a.columns) != (transposed_b ? b.columns : b.rows) ||
      c.rows != d.rows || c.columns != d.columns) {
    return invalid("the shapes of the matrices do not fit");
  }
  return CUBLAS_STATUS_SUCCESS;
}

// What an algorithm was found for. Row counts are free, so that one may serve products of any size.
std::array<std::uint32_t, 8> problem_of(const Product& product, const Layout& a, const Layout& b,
                                        const Layout& c, const Layout& d) {
  return {static_cast<std::uint32_t>(product.compute),
          static_cast<std::uint32_t>(product.operation_a),
          static_cast<std::uint32_t>(product.operation_b),
          static_cast<std::uint32_t>(product.epilogue),
          static_cast<std::uint32_t>(a.type),
          static_cast<std::uint32_t>(b.type),
          static_cast<std::uint32_t>(c.type),
          static_cast<std::uint32_t>(d.type)};
}

// op(matrix) as doubles in tiles of `width` indices `outer`, each k after k: [outer /
// width][k][width].
template <std::size_t width>
std::vector<double> packed(const void* memory, const Layout& layout, bool k_is_row,
                           std::size_t outer, std::size_t inner) {
  const std::size_t tiles = (outer + width - 1) / width;
  std::vector<double> result(tiles * inner * width);
  const auto leading = static_cast<std::size_t>(layout.leading);
  for (std::size_t i = 0; i < outer; ++i) {
    for (std::size_t k = 0; k < inner; ++k) {
      result[(i / width * inner + k) * width + i % width] =
          element(memory, layout.type, k_is_row ? k + i * leading : i + k * leading);
    }
  }
  return result;
}

void multiply(const Product& product, float alpha, const void* a, const Layout& a_layout,
              const void* b, const Layout& b_layout, float beta, const void* c,
              const Layout& c_layout, void* d, const Layout& d_layout) {
  constexpr std::size_t kRows = 8;
  constexpr std::size_t kColumns = 4;
  const bool transposed_a = product.operation_a != CUBLAS_OP_N;
  const bool transposed_b = product.operation_b != CUBLAS_OP_N;
  const auto rows = static_cast<std::size_t>(d_layout.rows);
  const auto columns = static_cast<std::size_t>(d_layout.columns);
  const auto inner = static_cast<std::size_t>(transposed_a ? a_layout.rows : a_layout.columns);
  const std::vector<double> left = packed<kRows>(a, a_layout, transposed_a, rows, inner);
  const std::vector<double> right = packed<kColumns>(b, b_layout, !transposed_b, columns, inner);
  for (std::size_t j0 = 0; j0 < columns; j0 += kColumns) {
    for (std::size_t i0 = 0; i0 < rows; i0 += kRows) {
      double sums[kColumns][kRows] = {};
      const double* x = left.data() + i0 * inner;
      const double* y = right.data() + j0 * inner;
      for (std::size_t k = 0; k < inner; ++k, x += kRows, y += kColumns) {
        for (std::size_t j = 0; j < kColumns; ++j) {
          for (std::size_t i = 0; i < kRows; ++i) sums[j][i] += x[i] * y[j];
        }
      }
      for (std::size_t j = j0; j < std::min(j0 + kColumns, columns); ++j) {
        for (std::size_t i = i0; i < std::min(i0 + kRows, rows); ++i) {
          double value = static_cast<double>(alpha) * sums[j - j0][i - i0];
          if (beta != 0) {
            value += static_cast<double>(beta) *
                     element(c, c_layout.type, i + j * static_cast<std::size_t>(c_layout.leading));
          }
          if (product.epilogue == CUBLASLT_EPILOGUE_BIAS) {
            value += element(product.bias, d_layout.type, i);
          }
          set_element(d, d_layout.type, i + j * static_cast<std::size_t>(d_layout.leading), value);
        }
      }
    }
  }
}

}  // namespace
}  // namespace barcodemae::cuda_emulation

using namespace barcodemae::cuda_emulation;

const char* cublasLtGetStatusName(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_ALLOC_FAILED:
      return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_ARCH_MISMATCH:
      return "CUBLAS_STATUS_ARCH_MISMATCH";
    case CUBLAS_STATUS_MAPPING_ERROR:
      return "CUBLAS_STATUS_MAPPING_ERROR";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_INTERNAL_ERROR:
      return "CUBLAS_STATUS_INTERNAL_ERROR";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
    case CUBLAS_STATUS_LICENSE_ERROR:
      return "CUBLAS_STATUS_LICENSE_ERROR";
  }
  return "unknown status";
}

const char* cublasLtGetStatusString(cublasStatus_t status) { return cublasLtGetStatusName(status); }

std::size_t cublasLtGetVersion() { return 130000; }

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess) return CUBLAS_STATUS_NOT_INITIALIZED;
  *handle = new cublasLtContext;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* product, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
  *product = new cublasLtMatmulDescOpaque_t{compute, scale};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t product) {
  delete product;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t product,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, std::size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_COMPUTE_TYPE:
      return assign(product->compute, value, bytes);
    case CUBLASLT_MATMUL_DESC_SCALE_TYPE:
      return assign(product->scale, value, bytes);
    case CUBLASLT_MATMUL_DESC_POINTER_MODE:
      return demand(CUBLASLT_POINTER_MODE_HOST, value, bytes, "alpha and beta not on the host");
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return assign(product->operation_a, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return assign(product->operation_b, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSC:
      return demand(CUBLAS_OP_N, value, bytes, "C transposed");
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return assign(product->epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      return assign(product->bias, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE:
      return assign(product->bias_type, value, bytes);
  }
  return unsupported("an attribute of products that is not emulated");
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type,
                                          std::uint64_t rows, std::uint64_t columns,
                                          std::int64_t leading) {
  *layout = new cublasLtMatrixLayoutOpaque_t{type, rows, columns, leading};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete layout;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute,
                                                const void* value, std::size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATRIX_LAYOUT_TYPE:
      return assign(layout->type, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_ORDER:
      return demand(CUBLASLT_ORDER_COL, value, bytes, "a matrix that is not column-major");
    case CUBLASLT_MATRIX_LAYOUT_ROWS:
      return assign(layout->rows, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_COLS:
      return assign(layout->columns, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_LD:
      return assign(layout->leading, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT:
      return demand(std::int32_t{1}, value, bytes, "several matrices");
    case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET:
      return demand(std::int64_t{0}, value, bytes, "several matrices");
  }
  return unsupported("an attribute of layouts that is not emulated");
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  *preference = new cublasLtMatmulPreferenceOpaque_t;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete preference;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, std::size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATMUL_PREF_SEARCH_MODE:
      return demand(std::uint32_t{0}, value, bytes, "a search other than for the best fit");
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
      return assign(preference->workspace_bytes, value, bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
      return assign(preference->reductions, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
      return assign(preference->alignments[static_cast<std::size_t>(
                        attribute - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES)],
                    value, bytes);
  }
  return unsupported("an attribute of preferences that is not emulated");
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t product,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int requested,
                                              cublasLtMatmulHeuristicResult_t results[],
                                              int* found) {
  constexpr std::uint64_t kWorkspaceBytes = 64 * 1024;
  *found = 0;
  if (handle == nullptr || product == nullptr || a == nullptr || b == nullptr || c == nullptr ||
      d == nullptr || preference == nullptr || requested < 1) {
    return invalid("an argument of cublasLtMatmulAlgoGetHeuristic() is missing");
  }
  const cublasStatus_t status = check(*product, *a, *b, *c, *d);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  Algorithm algorithm;
  algorithm.workspace_bytes = preference->workspace_bytes < kWorkspaceBytes ? 0 : kWorkspaceBytes;
  algorithm.alignments = preference->alignments;
  algorithm.problem = problem_of(*product, *a, *b, *c, *d);
  results[0] = {};
  results[0].algo = std::bit_cast<cublasLtMatmulAlgo_t>(algorithm);
  results[0].workspaceSize = algorithm.workspace_bytes;
  results[0].state = CUBLAS_STATUS_SUCCESS;
  results[0].wavesCount = 1;
  *found = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t product,
                              const void* alpha, const void* a, cublasLtMatrixLayout_t a_layout,
                              const void* b, cublasLtMatrixLayout_t b_layout, const void* beta,
                              const void* c, cublasLtMatrixLayout_t c_layout, void* d,
                              cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t* algorithm, void* workspace,
                              std::size_t workspace_bytes, cudaStream_t stream) {
  if (handle == nullptr || product == nullptr || alpha == nullptr || a_layout == nullptr ||
      b_layout == nullptr || beta == nullptr || c_layout == nullptr || d_layout == nullptr ||
      cudaStreamQuery(stream) != cudaSuccess) {
    return invalid("an argument of cublasLtMatmul() is missing");
  }
  const cublasStatus_t status = check(*product, *a_layout, *b_layout, *c_layout, *d_layout);
  if (status != CUBLAS_STATUS_SUCCESS) return status;

  float alpha_value = 0;
  float beta_value = 0;
  std::memcpy(&alpha_value, alpha, sizeof alpha_value);
  std::memcpy(&beta_value, beta, sizeof beta_value);
  if (c == d && !(*c_layout == *d_layout)) return invalid("C is D with another layout");

  const DeviceAccess access;
  if (!in_device_memory(a, bytes_of(*a_layout)) || !in_device_memory(b, bytes_of(*b_layout)) ||
      !in_device_memory(d, bytes_of(*d_layout)) ||
      (beta_value != 0 && !in_device_memory(c, bytes_of(*c_layout)))) {
    fail("cuBLASLt: a matrix is not in the device's memory, or reaches beyond its allocation");
  }
  if (product->epilogue == CUBLASLT_EPILOGUE_BIAS &&
      !in_device_memory(product->bias, d_layout->rows * size_of(d_layout->type))) {
    fail("cuBLASLt: the bias is not in the device's memory, or reaches beyond its allocation");
  }
  if (workspace_bytes > 0 && !in_device_memory(workspace, workspace_bytes)) {
    fail("cuBLASLt: the workspace is not in the device's memory");
  }

  Algorithm chosen;
  chosen.alignments = {16, 16, 16, 16};
  chosen.problem = problem_of(*product, *a_layout, *b_layout, *c_layout, *d_layout);
  if (algorithm != nullptr) {
    const auto problem = chosen.problem;
    chosen = std::bit_cast<Algorithm>(*algorithm);
    if (chosen.mark != Algorithm::kMark) return invalid("the algorithm is from no heuristic");
    if (chosen.problem != problem) return invalid("the algorithm was found for another product");
  }
  if (chosen.workspace_bytes > workspace_bytes) return invalid("too little workspace");
  const void* const buffers[] = {a, b, beta_value == 0 ? nullptr : c, d};
  for (std::size_t i = 0; i < 4; ++i) {
    if (reinterpret_cast<std::uintptr_t>(buffers[i]) % std::max(chosen.alignments[i], 1U) != 0) {
      return invalid("a matrix is less aligned than the preference said");
    }
  }
  if (workspace_bytes > 0) std::memset(workspace, 0xFF, chosen.workspace_bytes);
  multiply(*product, alpha_value, a, *a_layout, b, *b_layout, beta_value, c, *c_layout, d,
           *d_layout);
  return CUBLAS_STATUS_SUCCESS;
}
