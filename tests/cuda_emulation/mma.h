// SPDX-License-Identifier: MIT
// nvcuda::wmma for 16 x 16 x 16 products of bfloat16 into float. Each lane holds eight elements of
// a tile, in a different order for each kind of tile; none of them is a GPU's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "cuda_bf16.h"
#include "cuda_runtime.h"

namespace nvcuda::wmma {

struct matrix_a;
struct matrix_b;
struct accumulator;
struct row_major;
struct col_major;
enum layout_t { mem_row_major, mem_col_major };

template <typename Use, int m, int n, int k, typename T, typename Layout = void>
class fragment {
  static constexpr bool kIsSum = std::is_same_v<Use, accumulator>;
  static_assert(m == 16 && n == 16 && k == 16, "only 16 x 16 x 16 is emulated");
  static_assert(std::is_same_v<T, std::conditional_t<kIsSum, float, __nv_bfloat16>>,
                "only products of bfloat16 into float are emulated");
  static_assert(kIsSum ? std::is_void_v<Layout>
                       : std::is_same_v<Layout, row_major> || std::is_same_v<Layout, col_major>,
                "matrix_a and matrix_b have a layout, an accumulator has none");

 public:
  using element_type = T;
  static constexpr int num_elements = 8;
  T x[num_elements];

  /// NaNs: what a GPU leaves in there is no value either.
  fragment() {
    for (T& element : x) element = T(std::numeric_limits<float>::quiet_NaN());
  }

  /// Where element i of a lane stands in the tile, row-major: a permutation of 0 … 255.
  static constexpr int position(int lane, int i) {
    constexpr bool kByRows = std::is_same_v<Layout, row_major>;
    constexpr int kFactor = kIsSum                          ? 53
                            : std::is_same_v<Use, matrix_a> ? (kByRows ? 37 : 101)
                                                            : (kByRows ? 173 : 211);
    const int index = lane * num_elements + i;
    return (index * kFactor + kFactor / 2) & 255;
  }
};

}  // namespace nvcuda::wmma

namespace barcodemae::cuda_emulation {

/// Waits for the warp, whose lanes must all name the same tile, aligned as a GPU demands.
template <typename T>
void meet_at_tile(const T* tile, unsigned leading, Site site) {
  const auto address = reinterpret_cast<std::uintptr_t>(tile);
  if (address % 32 != 0)
    fail("%s:%d: %s of a tile that is not aligned to 32 bytes", site.file, site.line,
         site.operation);
  if (leading % (16 / sizeof(T)) != 0) {
    fail("%s:%d: %s of a tile whose leading dimension, %u, is not a multiple of 16 bytes",
         site.file, site.line, site.operation, leading);
  }
  const std::uint64_t name = address + (std::uint64_t{leading} << 48);
  if (exchange(name, site)[(lane() + 1) % kWarp] != name) {
    fail("%s:%d: %s of different tiles by the lanes of a warp", site.file, site.line,
         site.operation);
  }
}

template <typename Fragment, typename T>
void load_tile(Fragment& fragment, const T* tile, unsigned leading, bool by_rows, Site site) {
  meet_at_tile(tile, leading, site);
  for (int i = 0; i < Fragment::num_elements; ++i) {
    const auto position = static_cast<unsigned>(Fragment::position(lane(), i));
    const std::size_t row = position / 16;
    const std::size_t column = position % 16;
    fragment.x[i] = by_rows ? tile[row * leading + column] : tile[column * leading + row];
  }
}

}  // namespace barcodemae::cuda_emulation

namespace nvcuda::wmma {

template <typename Use, typename Layout>
void load_matrix_sync(fragment<Use, 16, 16, 16, __nv_bfloat16, Layout>& fragment,
                      const __nv_bfloat16* tile, unsigned leading, BARCODEMAE_CALLER) {
  barcodemae::cuda_emulation::load_tile(fragment, tile, leading, std::is_same_v<Layout, row_major>,
                                        {"load_matrix_sync", file, line});
}

inline void load_matrix_sync(fragment<accumulator, 16, 16, 16, float>& fragment, const float* tile,
                             unsigned leading, layout_t layout, BARCODEMAE_CALLER) {
  barcodemae::cuda_emulation::load_tile(fragment, tile, leading, layout == mem_row_major,
                                        {"load_matrix_sync", file, line});
}

inline void store_matrix_sync(float* tile, const fragment<accumulator, 16, 16, 16, float>& fragment,
                              unsigned leading, layout_t layout, BARCODEMAE_CALLER) {
  barcodemae::cuda_emulation::meet_at_tile(tile, leading, {"store_matrix_sync", file, line});
  for (int i = 0; i < fragment.num_elements; ++i) {
    const auto position =
        static_cast<unsigned>(fragment.position(barcodemae::cuda_emulation::lane(), i));
    const std::size_t row = position / 16;
    const std::size_t column = position % 16;
    tile[layout == mem_row_major ? row * leading + column : column * leading + row] = fragment.x[i];
  }
}

template <typename Use, typename T, typename Layout>
void fill_fragment(fragment<Use, 16, 16, 16, T, Layout>& fragment,
                   const std::type_identity_t<T>& value) {
  for (T& element : fragment.x) element = value;
}

/// d = a · b + c; the products are summed in float32 in the order of k, then c is added.
template <typename LayoutA, typename LayoutB>
void mma_sync(fragment<accumulator, 16, 16, 16, float>& d,
              const fragment<matrix_a, 16, 16, 16, __nv_bfloat16, LayoutA>& a,
              const fragment<matrix_b, 16, 16, 16, __nv_bfloat16, LayoutB>& b,
              const fragment<accumulator, 16, 16, 16, float>& c, BARCODEMAE_CALLER) {
  using namespace barcodemae::cuda_emulation;
  Tiles& shared = tiles();
  const int own = lane();
  for (int i = 0; i < a.num_elements; ++i) {
    shared.a[a.position(own, i)] = static_cast<float>(a.x[i]);
    shared.b[b.position(own, i)] = static_cast<float>(b.x[i]);
  }
  wait_for_product(shared, {"mma_sync", file, line});
  for (int i = 0; i < c.num_elements; ++i) {
    d.x[i] = c.x[i] + shared.product[c.position(own, i)];
  }
}

}  // namespace nvcuda::wmma
