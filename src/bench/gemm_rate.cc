// SPDX-License-Identifier: MIT
#include "bench/gemm_rate.h"

#include <omp.h>

#include <chrono>
#include <cstring>
#include <dnnl.hpp>

#include "base/median.h"
#include "base/threads.h"

namespace barcodemae {
namespace {

constexpr int kRows = 3520;

dnnl::memory::data_type onednn_type(DType precision) {
  switch (precision) {
    case DType::kBFloat16:
      return dnnl::memory::data_type::bf16;
    case DType::kInt8:
      return dnnl::memory::data_type::s8;
    default:
      return dnnl::memory::data_type::f32;
  }
}

// Bytes whose every 16 bits are a small bfloat16, and every 32 a small float.
void fill(dnnl::memory& memory) {
  auto* data = static_cast<std::uint16_t*>(memory.get_data_handle());
  const std::size_t count = memory.get_desc().get_size() / sizeof(std::uint16_t);
  for (std::size_t i = 0; i < count; ++i) {
    data[i] = static_cast<std::uint16_t>(0x3C00 + i * 2654435761u % 256);
  }
}

double measure(int out, int in, DType precision, int repeats) {
  using Tag = dnnl::memory::format_tag;
  const auto type = onednn_type(precision);
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  const dnnl::memory::desc a({kRows, in}, type, Tag::ab), b({in, out}, type, Tag::any),
      c({kRows, out}, type, Tag::ab);
  const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(a, b, c), engine);
  const dnnl::matmul product(description);
  dnnl::memory a_memory(a, engine), b_memory(description.weights_desc(), engine),
      c_memory(c, engine);
  fill(a_memory);
  fill(b_memory);
  fill(c_memory);
  std::vector<double> rates;
  for (int repeat = 0; repeat < repeats + 2; ++repeat) {  // the first two warm up
    const auto start = std::chrono::steady_clock::now();
    product.execute(
        stream, {{DNNL_ARG_SRC, a_memory}, {DNNL_ARG_WEIGHTS, b_memory}, {DNNL_ARG_DST, c_memory}});
    stream.wait();
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    if (repeat >= 2) rates.push_back(2e-9 * kRows * out * in / time.count());
  }
  return median(rates);
}

}  // namespace

GemmRate measure_gemm_rate(DType precision, int repeats) {
  const int before = omp_get_max_threads();
  omp_set_num_threads(thread_count());
  GemmRate rate;
  rate.shapes = {{"query, key, value", 2304, 768},
                 {"attention output", 768, 768},
                 {"feed-forward in", 3072, 768},
                 {"feed-forward out", 768, 3072}};
  for (GemmRate::Shape& shape : rate.shapes) {
    shape.rows = kRows;
    shape.gflops = measure(shape.out, shape.in, precision, repeats);
    rate.gflops += shape.gflops / static_cast<double>(rate.shapes.size());
  }
  omp_set_num_threads(before);
  return rate;
}

}  // namespace barcodemae
