// SPDX-License-Identifier: MIT
#include "backend/cpu/onednn.h"

#include <array>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

#include "backend/cpu/cpu.h"
#include "backend/cpu/gemm.h"
#include "backend/cpu/memory.h"
#include "base/error.h"
#include "base/machine.h"
#include "base/one_openmp_thread.h"

namespace barcodemae::cpu {
namespace onednn {
namespace {

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

dnnl::memory::data_type onednn_type(DType type) {
  switch (type) {
    case DType::kBFloat16:
      return dnnl::memory::data_type::bf16;
    case DType::kInt8:
      return dnnl::memory::data_type::s8;
    case DType::kInt32:
      return dnnl::memory::data_type::s32;
    default:
      return dnnl::memory::data_type::f32;
  }
}

dnnl::memory wrap(const dnnl::memory::desc& description, const void* data) {
  return {description, engine(), const_cast<void*>(data)};
}

Product make_product(const Shape& shape) {
  using Tag = dnnl::memory::format_tag;
  const OneOpenMpThread one_thread;
  const auto type = onednn_type(shape.type);
  Product product;
  product.c = {
      {shape.rows, shape.cols}, onednn_type(shape.c_type), dnnl::memory::dims{shape.c_stride, 1}};
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (shape.gradient) {
    product.a = {{shape.rows, shape.inner}, type, dnnl::memory::dims{1, shape.a_stride}};
    product.b = {{shape.inner, shape.cols}, type, dnnl::memory::dims{shape.b_stride, 1}};
    dnnl::post_ops accumulate;
    accumulate.append_sum(1.0f);
    attributes.set_post_ops(accumulate);
  } else {
    product.a = {{shape.rows, shape.inner}, type, Tag::ab};
    product.b = {{shape.inner, shape.cols}, type, Tag::any};
  }
  product.bias = {{1, shape.cols}, dnnl::memory::data_type::f32, Tag::ab};
  const auto description = shape.bias
                               ? dnnl::matmul::desc(product.a, product.b, product.bias, product.c)
                               : dnnl::matmul::desc(product.a, product.b, product.c);
  const dnnl::matmul::primitive_desc primitive(description, attributes, engine());
  product.b = primitive.weights_desc();
  product.scratch = primitive.scratchpad_desc().get_size();
  product.primitive = dnnl::matmul(primitive);
  return product;
}

}  // namespace

const Product& find_product(const Shape& shape) {
  static std::shared_mutex mutex;
  static std::map<Shape, Product> products;
  {
    const std::shared_lock lock(mutex);
    const auto found = products.find(shape);
    if (found != products.end()) return found->second;
  }
  const std::unique_lock lock(mutex);
  const auto found = products.find(shape);
  if (found != products.end()) return found->second;
  return products.emplace(shape, make_product(shape)).first->second;
}

void execute(const Product& product, void* c, const void* a, const void* b, const float* bias) {
  static thread_local dnnl::stream stream(engine());
  static thread_local Buffer scratch;
  const OneOpenMpThread one_thread;
  const dnnl::memory::desc scratch_description({static_cast<dnnl::memory::dim>(product.scratch)},
                                               dnnl::memory::data_type::u8,
                                               dnnl::memory::format_tag::a);
  std::unordered_map<int, dnnl::memory> arguments{{DNNL_ARG_SRC, wrap(product.a, a)},
                                                  {DNNL_ARG_WEIGHTS, wrap(product.b, b)},
                                                  {DNNL_ARG_DST, wrap(product.c, c)}};
  if (bias != nullptr) arguments.emplace(DNNL_ARG_BIAS, wrap(product.bias, bias));
  if (product.scratch > 0) {
    arguments.emplace(DNNL_ARG_SCRATCHPAD,
                      wrap(scratch_description, scratch.grow(product.scratch)));
  }
  product.primitive.execute(stream, arguments);
}

Shape product_shape(std::int64_t rows, std::int64_t inner, std::int64_t cols, DType type,
                    DType c_type, bool bias) {
  Shape shape;
  shape.rows = rows;
  shape.inner = inner;
  shape.cols = cols;
  shape.c_stride = cols;
  shape.type = type;
  shape.c_type = c_type;
  shape.bias = bias;
  return shape;
}

void reorder(void* b, const dnnl::memory::desc& layout, const void* source, DType type,
             bool transposed) {
  using Tag = dnnl::memory::format_tag;
  const OneOpenMpThread one_thread;
  dnnl::stream stream(engine());
  const dnnl::memory::desc plain(layout.dims(), onednn_type(type), transposed ? Tag::ba : Tag::ab);
  dnnl::memory from = wrap(plain, source), to = wrap(layout, b);
  dnnl::reorder(from, to).execute(stream, from, to);
}

}  // namespace onednn

void initialise_gemm() {
  static std::once_flag once;
  std::call_once(once, [] {
    constexpr std::array kLevels{dnnl::cpu_isa::sse41, dnnl::cpu_isa::avx2,
                                 dnnl::cpu_isa::avx512_core, dnnl::cpu_isa::avx512_core_bf16,
                                 dnnl::cpu_isa::avx512_core_amx};
    // Refused when oneDNN has run already; then it keeps to what the machine has, which is right
    // unless a test lowered the level.
    dnnl::set_max_cpu_isa(kLevels.at(static_cast<std::size_t>(machine().simd)));
  });
}

std::string gemm_library() {
  const dnnl_version_t& version = *dnnl_version();
  return fmt::format("oneDNN {}.{}.{}", version.major, version.minor, version.patch);
}

}  // namespace barcodemae::cpu
