// SPDX-License-Identifier: MIT
#include "mma.h"

#include <gtest/gtest.h>

#include <type_traits>

#include "emulation_test.h"

namespace barcodemae::cuda {

namespace wmma = nvcuda::wmma;

constexpr unsigned kLeadingA = 24;
constexpr unsigned kLeadingB = 40;
constexpr unsigned kLeadingD = 20;

// D = A · B + C, with C loaded, scaled by two element by element, and D stored.
template <typename LayoutA, typename LayoutB>
__global__ void multiply_tiles(float* d, const __nv_bfloat16* a, const __nv_bfloat16* b,
                               const float* c, wmma::layout_t layout) {
  wmma::fragment<wmma::matrix_a, 16, 16, 16, __nv_bfloat16, LayoutA> tile_a;
  wmma::fragment<wmma::matrix_b, 16, 16, 16, __nv_bfloat16, LayoutB> tile_b;
  wmma::fragment<wmma::accumulator, 16, 16, 16, float> sum;
  wmma::load_matrix_sync(tile_a, a, kLeadingA);
  wmma::load_matrix_sync(tile_b, b, kLeadingB);
  wmma::load_matrix_sync(sum, c, kLeadingD, layout);
  for (int i = 0; i < sum.num_elements; ++i) sum.x[i] *= 2;
  wmma::mma_sync(sum, tile_a, tile_b, sum);
  wmma::store_matrix_sync(d, sum, kLeadingD, layout);
}

__global__ void fill_and_store(float* d, unsigned leading, unsigned offset, bool fill) {
  wmma::fragment<wmma::accumulator, 16, 16, 16, float> sum;
  if (fill) wmma::fill_fragment(sum, 3.0F);
  wmma::store_matrix_sync(d + offset, sum, leading, wmma::mem_row_major);
}

__global__ void load_different_tiles(const float* c) {
  wmma::fragment<wmma::accumulator, 16, 16, 16, float> sum;
  wmma::load_matrix_sync(sum, c + (threadIdx.x == 9 ? 8 : 0), 24, wmma::mem_row_major);
}

namespace {

std::vector<__nv_bfloat16> small_numbers(unsigned count, unsigned factor) {
  std::vector<__nv_bfloat16> result;
  for (unsigned i = 0; i < count; ++i) {
    result.emplace_back(static_cast<float>(i * factor % 23) - 11.0F);
  }
  return result;
}

template <typename LayoutA, typename LayoutB>
void expect_product() {
  constexpr bool kRowsA = std::is_same_v<LayoutA, wmma::row_major>;
  constexpr bool kRowsB = std::is_same_v<LayoutB, wmma::row_major>;
  const std::vector<__nv_bfloat16> a = small_numbers(16 * kLeadingA, 7);
  const std::vector<__nv_bfloat16> b = small_numbers(16 * kLeadingB, 5);
  std::vector<float> c;
  for (unsigned i = 0; i < 16 * kLeadingD; ++i) c.push_back(static_cast<float>(i % 13));
  const OnDevice<__nv_bfloat16> device_a(a);
  const OnDevice<__nv_bfloat16> device_b(b);
  const OnDevice<float> device_c(c);
  const OnDevice<float> d(16 * kLeadingD);
  for (const auto layout : {wmma::mem_row_major, wmma::mem_col_major}) {
    ASSERT_EQ(launch(multiply_tiles<LayoutA, LayoutB>, 1, 32, 0, d.get(), device_a.get(),
                     device_b.get(), device_c.get(), layout),
              cudaSuccess);
    const std::vector<float> result = d.values();
    for (unsigned row = 0; row < 16; ++row) {
      for (unsigned column = 0; column < 16; ++column) {
        const unsigned at =
            layout == wmma::mem_row_major ? row * kLeadingD + column : column * kLeadingD + row;
        float expected = 2 * c[at];
        for (unsigned k = 0; k < 16; ++k) {
          expected +=
              static_cast<float>(a[kRowsA ? row * kLeadingA + k : k * kLeadingA + row]) *
              static_cast<float>(b[kRowsB ? k * kLeadingB + column : column * kLeadingB + k]);
        }
        EXPECT_EQ(result[at], expected) << row << " " << column;
      }
    }
  }
}

TEST(CudaEmulationTiles, ProductsOfAllLayouts) {
  expect_product<wmma::row_major, wmma::row_major>();
  expect_product<wmma::row_major, wmma::col_major>();
  expect_product<wmma::col_major, wmma::row_major>();
  expect_product<wmma::col_major, wmma::col_major>();
}

TEST(CudaEmulationTiles, FragmentsBeginAsGarbage) {
  const OnDevice<float> d(256);
  ASSERT_EQ(launch(fill_and_store, 1, 32, 0, d.get(), 16, 0, true), cudaSuccess);
  EXPECT_EQ(d.values(), std::vector<float>(256, 3.0F));
  ASSERT_EQ(launch(fill_and_store, 1, 32, 0, d.get(), 16, 0, false), cudaSuccess);
  for (float value : d.values()) EXPECT_TRUE(isnan(value));
}

TEST(CudaEmulationTilesDeathTest, AlignmentOfTiles) {
  const OnDevice<float> d(600);
  EXPECT_EQ(launch(fill_and_store, 1, 32, 0, d.get(), 20, 8, true), cudaSuccess);
  EXPECT_DEATH(launch(fill_and_store, 1, 32, 0, d.get(), 16, 4, true), "not aligned to 32 bytes");
  EXPECT_DEATH(launch(fill_and_store, 1, 32, 0, d.get(), 18, 0, true),
               "mma_test.cc:[0-9]*: store_matrix_sync .* leading dimension, 18, is not");
  EXPECT_DEATH(launch(load_different_tiles, 1, 32, 0, d.get()), "different tiles");
}

TEST(CudaEmulationTiles, RoundsToBfloat16) {
  EXPECT_EQ(__nv_bfloat16(1.0F).bits, 0x3F80);
  EXPECT_EQ(__nv_bfloat16(1.00390625F).bits, 0x3F80);  // ties to even
  EXPECT_EQ(__nv_bfloat16(1.01171875F).bits, 0x3F82);
  EXPECT_EQ(__nv_bfloat16(1.005F).bits, 0x3F81);
  EXPECT_EQ(__nv_bfloat16(-1e39).bits, 0xFF80);
  EXPECT_EQ(__nv_bfloat16(std::numeric_limits<float>::quiet_NaN()).bits, 0x7FFF);
}

}  // namespace
}  // namespace barcodemae::cuda
