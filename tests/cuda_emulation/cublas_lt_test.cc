// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "cublasLt.h"
#include "cuda_bf16.h"
#include "emulation_test.h"

namespace barcodemae::cuda {
namespace {

constexpr std::size_t kRows = 13;
constexpr std::size_t kColumns = 9;
constexpr std::size_t kInner = 21;

// Small whole numbers, so that every sum is exact in both types' arithmetic.
template <typename T>
std::vector<T> small_numbers(std::size_t count, std::size_t factor) {
  std::vector<T> result;
  for (std::size_t i = 0; i < count; ++i) {
    result.push_back(T(static_cast<float>(i * factor % 7) - 3.0F));
  }
  return result;
}

struct Handles {
  cublasLtHandle_t handle = nullptr;
  cublasLtMatmulDesc_t product = nullptr;
  cublasLtMatmulPreference_t preference = nullptr;
  std::vector<cublasLtMatrixLayout_t> layouts;

  Handles() {
    EXPECT_EQ(cublasLtCreate(&handle), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasLtMatmulDescCreate(&product, CUBLAS_COMPUTE_32F, CUDA_R_32F),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasLtMatmulPreferenceCreate(&preference), CUBLAS_STATUS_SUCCESS);
  }
  ~Handles() {
    for (auto* layout : layouts) cublasLtMatrixLayoutDestroy(layout);
    cublasLtMatmulPreferenceDestroy(preference);
    cublasLtMatmulDescDestroy(product);
    cublasLtDestroy(handle);
  }
  Handles(const Handles&) = delete;
  Handles& operator=(const Handles&) = delete;

  cublasLtMatrixLayout_t layout(cudaDataType_t type, std::size_t rows, std::size_t columns,
                                std::size_t leading) {
    layouts.push_back(nullptr);
    EXPECT_EQ(cublasLtMatrixLayoutCreate(&layouts.back(), type, rows, columns,
                                         static_cast<std::int64_t>(leading)),
              CUBLAS_STATUS_SUCCESS);
    return layouts.back();
  }
  template <typename T>
  void set(cublasLtMatmulDescAttributes_t attribute, const T& value) {
    EXPECT_EQ(cublasLtMatmulDescSetAttribute(product, attribute, &value, sizeof value),
              CUBLAS_STATUS_SUCCESS);
  }
};

template <typename T>
constexpr cudaDataType_t kType = std::is_same_v<T, float> ? CUDA_R_32F : CUDA_R_16BF;

struct Case {
  bool transposed_a, transposed_b;
  float beta;
  bool bias, in_place;
};

template <typename In, typename Out>
void expect_product(const Case& test) {
  const float alpha = 0.5F;
  Handles handles;
  const cublasOperation_t operations[] = {CUBLAS_OP_N, CUBLAS_OP_T};
  handles.set(CUBLASLT_MATMUL_DESC_TRANSA, operations[test.transposed_a ? 1 : 0]);
  handles.set(CUBLASLT_MATMUL_DESC_TRANSB, operations[test.transposed_b ? 1 : 0]);

  // Leading dimensions are larger than they need be.
  const std::size_t leading_a = (test.transposed_a ? kInner : kRows) + 3;
  const std::size_t leading_b = (test.transposed_b ? kColumns : kInner) + 1;
  const std::size_t leading_d = kRows + 4;
  const std::size_t leading_c = test.in_place ? leading_d : kRows + 2;
  const std::vector<In> a = small_numbers<In>(leading_a * kInner + 100, 3);
  const std::vector<In> b = small_numbers<In>(leading_b * kInner + 100, 5);
  const std::vector<Out> c = small_numbers<Out>(leading_d * kColumns, 4);
  const std::vector<Out> bias = small_numbers<Out>(kRows, 2);
  const OnDevice<In> device_a(a);
  const OnDevice<In> device_b(b);
  const OnDevice<Out> device_c(c);
  const OnDevice<Out> device_bias(bias);
  const OnDevice<Out> other_d(leading_d * kColumns);
  const OnDevice<Out>& d = test.in_place ? device_c : other_d;
  if (test.bias) {
    handles.set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
    handles.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, device_bias.get());
    handles.set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, kType<Out>);
  }
  auto* const layout_a = test.transposed_a ? handles.layout(kType<In>, kInner, kRows, leading_a)
                                           : handles.layout(kType<In>, kRows, kInner, leading_a);
  auto* const layout_b = test.transposed_b ? handles.layout(kType<In>, kColumns, kInner, leading_b)
                                           : handles.layout(kType<In>, kInner, kColumns, leading_b);
  auto* const layout_c = handles.layout(kType<Out>, kRows, kColumns, leading_c);
  auto* const layout_d = handles.layout(kType<Out>, kRows, kColumns, leading_d);

  const std::uint64_t workspace_bytes = 1 << 20;
  const OnDevice<char> workspace(workspace_bytes);
  ASSERT_EQ(cublasLtMatmulPreferenceSetAttribute(handles.preference,
                                                 CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                 &workspace_bytes, sizeof workspace_bytes),
            CUBLAS_STATUS_SUCCESS);
  cublasLtMatmulHeuristicResult_t heuristic;
  int found = 0;
  ASSERT_EQ(
      cublasLtMatmulAlgoGetHeuristic(handles.handle, handles.product, layout_a, layout_b, layout_c,
                                     layout_d, handles.preference, 1, &heuristic, &found),
      CUBLAS_STATUS_SUCCESS);
  ASSERT_EQ(found, 1);
  ASSERT_EQ(cublasLtMatmul(handles.handle, handles.product, &alpha, device_a.get(), layout_a,
                           device_b.get(), layout_b, &test.beta,
                           test.beta == 0 ? nullptr : device_c.get(), layout_c, d.get(), layout_d,
                           &heuristic.algo, workspace.get(), workspace_bytes, nullptr),
            CUBLAS_STATUS_SUCCESS);

  const std::vector<Out> result = d.values();
  for (std::size_t j = 0; j < kColumns; ++j) {
    for (std::size_t i = 0; i < kRows; ++i) {
      float expected = 0;
      for (std::size_t k = 0; k < kInner; ++k) {
        expected +=
            static_cast<float>(a[test.transposed_a ? k + i * leading_a : i + k * leading_a]) *
            static_cast<float>(b[test.transposed_b ? j + k * leading_b : k + j * leading_b]);
      }
      expected *= alpha;
      if (test.beta != 0) expected += test.beta * static_cast<float>(c[i + j * leading_c]);
      if (test.bias) expected += static_cast<float>(bias[i]);
      EXPECT_EQ(static_cast<float>(result[i + j * leading_d]), static_cast<float>(Out(expected)))
          << i << " " << j;
    }
  }
}

TEST(CudaEmulationProducts, AllTransposesBiasesAndTypes) {
  for (int bits = 0; bits < 32; ++bits) {
    SCOPED_TRACE(bits);
    const Case test{(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0 ? -2.0F : 0.0F,
                    (bits & 8) != 0, (bits & 16) != 0};
    expect_product<float, float>(test);
    expect_product<__nv_bfloat16, __nv_bfloat16>(test);
    expect_product<__nv_bfloat16, float>(test);
  }
}

TEST(CudaEmulationProducts, RefusesWhatItCannotDo) {
  Handles handles;
  const OnDevice<float> x(64);
  auto* const square = handles.layout(CUDA_R_32F, 4, 4, 4);
  auto* const halves = handles.layout(CUDA_R_16BF, 4, 4, 4);
  auto* const wide = handles.layout(CUDA_R_32F, 4, 5, 4);
  const float one = 1;
  const auto multiply = [&](cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t d, float* result) {
    return cublasLtMatmul(handles.handle, handles.product, &one, x.get(), a, x.get(), a, &one,
                          result, d, result, d, nullptr, nullptr, 0, nullptr);
  };
  EXPECT_EQ(multiply(square, square, x.get() + 16), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(multiply(square, halves, x.get() + 16), CUBLAS_STATUS_NOT_SUPPORTED);
  EXPECT_EQ(multiply(square, wide, x.get() + 16), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(multiply(square, square, x.get() + 17), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_DEATH(multiply(square, square, x.get() + 52), "beyond its allocation");
  handles.set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_GELU);
  EXPECT_EQ(multiply(square, square, x.get() + 16), CUBLAS_STATUS_NOT_SUPPORTED);
  handles.set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_DEFAULT);
  handles.set(CUBLASLT_MATMUL_DESC_COMPUTE_TYPE, CUBLAS_COMPUTE_32F_FAST_TF32);
  EXPECT_EQ(multiply(square, square, x.get() + 16), CUBLAS_STATUS_NOT_SUPPORTED);
  const auto row_major = CUBLASLT_ORDER_ROW;
  EXPECT_EQ(cublasLtMatrixLayoutSetAttribute(square, CUBLASLT_MATRIX_LAYOUT_ORDER, &row_major,
                                             sizeof row_major),
            CUBLAS_STATUS_NOT_SUPPORTED);
}

}  // namespace
}  // namespace barcodemae::cuda
