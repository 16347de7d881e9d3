// SPDX-License-Identifier: MIT
// Products of matrices in panels: every number, nothing beside them, and the same bits for a row in
// any company.
#include <algorithm>

#include "kernel_test.h"

namespace barcodemae::cpu {
namespace {

std::vector<float> panel_memory(std::int64_t outer, std::int64_t width, std::int64_t inner) {
  const std::int64_t padded = (outer + width - 1) / width * width;
  // NaN: what is not packed must not be read.
  return std::vector<float>(static_cast<std::size_t>(padded * panel_chunks(inner) * kPanelChunk),
                            std::nanf(""));
}

struct Size {
  std::int64_t rows, inner, cols;
};
constexpr Size kSizes[] = {{1, 1, 1},     {2, 8, 16},    {5, 9, 33},   {6, 256, 64},
                           {12, 255, 32}, {13, 31, 129}, {37, 64, 80}, {220, 100, 7}};
constexpr std::int64_t kBeside = 3;  // columns of c that are not the product's

using PanelKernel = KernelTest;

TEST_P(PanelKernel, ProductsOfAllOrientationsAreRight) {
  for (const auto [rows, inner, cols] : kSizes) {
    const Doubles a = random_values(rows * inner, 1), b = random_values(inner * cols, 2);
    const Doubles bias = random_values(cols, 3);
    const Doubles before = random_values(rows * (cols + kBeside), 4);
    for (int orientation = 0; orientation < 4; ++orientation) {
      const bool left_transposed = orientation % 2 == 1, right_transposed = orientation >= 2;
      const bool accumulate = left_transposed;
      Guarded a_rows(DType::kFloat32, a), b_rows(DType::kFloat32, b);
      Guarded bias_row(DType::kFloat32, bias), c(DType::kFloat32, before);
      std::vector<float> left = panel_memory(rows, k.panels.left_rows, inner);
      std::vector<float> right = panel_memory(cols, k.panels.right_cols, inner);
      if (left_transposed) {
        k.panels.pack_left_transposed(left.data(), a_rows.floats(), rows, rows, inner);
      } else {
        k.panels.pack_left(left.data(), a_rows.floats(), inner, rows, inner);
      }
      if (right_transposed) {
        k.panels.pack_right_transposed(right.data(), b_rows.floats(), inner, inner, cols);
      } else {
        k.panels.pack_right(right.data(), b_rows.floats(), cols, inner, cols);
      }
      PanelProduct product;
      product.rows = rows;
      product.inner = inner;
      product.cols = cols;
      product.left = left.data();
      product.left_transposed = left_transposed;
      product.right = right.data();
      product.c = c.floats();
      product.c_stride = cols + kBeside;
      product.accumulate = accumulate;
      product.bias = accumulate ? nullptr : bias_row.floats();
      k.panels.multiply(product);

      Doubles expected = before;
      for (std::int64_t i = 0; i < rows; ++i) {
        for (std::int64_t j = 0; j < cols; ++j) {
          double& sum = expected[static_cast<std::size_t>(i * (cols + kBeside) + j)];
          if (!accumulate) sum = bias[static_cast<std::size_t>(j)];
          for (std::int64_t n = 0; n < inner; ++n) {
            const std::int64_t left_at = left_transposed ? n * rows + i : i * inner + n;
            const std::int64_t right_at = right_transposed ? j * inner + n : n * cols + j;
            sum += a[static_cast<std::size_t>(left_at)] * b[static_cast<std::size_t>(right_at)];
          }
        }
      }
      EXPECT_LE(relative_error(c.values(), expected), tolerance(DType::kFloat32))
          << rows << " x " << inner << " x " << cols << ", orientation " << orientation;
      EXPECT_TRUE(c.intact());
      for (std::int64_t i = 0; i < rows; ++i) {
        for (std::int64_t j = cols; j < cols + kBeside; ++j) {
          const auto beside = static_cast<std::size_t>(i * (cols + kBeside) + j);
          ASSERT_EQ(c.values()[beside], before[beside]);
        }
      }
    }
  }
}

TEST_P(PanelKernel, ARowHasTheSameBitsInAnyCompany) {
  constexpr std::int64_t kInner = 203, kCols = 100, kMost = 27;
  Guarded one(DType::kFloat32, random_values(kInner, 1));
  Guarded b(DType::kFloat32, random_values(kInner * kCols, 2));
  std::vector<float> right = panel_memory(kCols, k.panels.right_cols, kInner);
  k.panels.pack_right(right.data(), b.floats(), kCols, kInner, kCols);
  std::vector<float> expected;
  for (std::int64_t rows = 1; rows <= kMost; ++rows) {
    std::vector<float> left = panel_memory(rows, k.panels.left_rows, kInner);
    k.panels.pack_left(left.data(), one.floats(), /*a_stride=*/0, rows, kInner);  // one row, often
    std::vector<float> c(static_cast<std::size_t>(rows * kCols));
    PanelProduct product;
    product.rows = rows;
    product.inner = kInner;
    product.cols = kCols;
    product.left = left.data();
    product.right = right.data();
    product.c = c.data();
    product.c_stride = kCols;
    k.panels.multiply(product);
    if (rows == 1) expected = c;
    for (std::int64_t row = 0; row < rows; ++row) {
      ASSERT_TRUE(std::equal(expected.begin(), expected.end(), c.begin() + row * kCols))
          << "row " << row << " of " << rows;
    }
  }
}

std::vector<Variant> float32_variants() {
  std::vector<Variant> all = variants();
  std::erase_if(all, [](const Variant& variant) { return variant.type != DType::kFloat32; });
  return all;
}
INSTANTIATE_TEST_SUITE_P(, PanelKernel, testing::ValuesIn(float32_variants()), variant_name);

}  // namespace
}  // namespace barcodemae::cpu
