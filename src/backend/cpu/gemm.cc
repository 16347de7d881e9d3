// SPDX-License-Identifier: MIT
#include "backend/cpu/gemm.h"

#include <omp.h>

#include <algorithm>
#include <array>
#include <compare>
#include <cstring>
#include <dnnl.hpp>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <vector>

#include "backend/cpu/cpu.h"
#include "backend/cpu/memory.h"
#include "backend/cpu/row_blocks.h"
#include "base/error.h"
#include "base/machine.h"
#include "base/threads.h"

namespace barcodemae::cpu {
namespace {

// Rows of one oneDNN call: what fits L2.
constexpr std::int64_t kCallRows = kBlockRows;

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

dnnl::memory::data_type onednn_type(DType type) {
  return type == DType::kBFloat16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
}

// oneDNN plans and runs for as many threads as OpenMP would start; we want one, inside and outside
// of our own parallel regions.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

// A product as oneDNN is asked for it: c [rows, cols] (+)= a [rows, inner] · b [inner, cols].
struct Shape {
  std::int64_t rows = 0, inner = 0, cols = 0;
  std::int64_t a_stride = 0;  // of the transposed a, when it is one
  std::int64_t b_stride = 0, c_stride = 0;
  DType type = DType::kFloat32, c_type = DType::kFloat32;
  bool bias = false;
  bool gradient = false;  // a transposed, b plain, c accumulated
  auto operator<=>(const Shape&) const = default;
};

struct Product {
  dnnl::matmul primitive;
  dnnl::memory::desc a, b, c, bias;
  std::size_t scratch = 0;
};

Product make_product(const Shape& shape) {
  using Tag = dnnl::memory::format_tag;
  const OneThread one_thread;
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

// Products made so far. Making one takes a fraction of a millisecond, hence few shapes.
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

dnnl::memory wrap(const dnnl::memory::desc& description, const void* data) {
  return {description, engine(), const_cast<void*>(data)};
}

void execute(const Product& product, void* c, const void* a, const void* b, const float* bias) {
  static thread_local dnnl::stream stream(engine());
  static thread_local Buffer scratch;
  const OneThread one_thread;
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

}  // namespace

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

bool bfloat16_products() { return machine().simd >= SimdLevel::kAvx512; }

// With AVX-512 oneDNN's kernels for whole and partial tiles of rows sum alike; its older ones do
// so only for whole tiles.
std::int64_t row_granularity() { return machine().simd >= SimdLevel::kAvx512 ? 16 : 64; }

struct WeightMatrix::Layout {
  dnnl::memory::desc description;
  Buffer data;
};

WeightMatrix::WeightMatrix(std::int64_t inner, std::int64_t cols, DType type)
    : inner_(inner), cols_(cols), type_(type), layout_(std::make_unique<Layout>()) {
  // The layout depends on inner and cols alone; multiply() checks that.
  layout_->description = find_product(product_shape(kCallRows, inner, cols, type, type, false)).b;
  layout_->data = Buffer(layout_->description.get_size());
}
WeightMatrix::~WeightMatrix() = default;
WeightMatrix::WeightMatrix(WeightMatrix&&) noexcept = default;
WeightMatrix& WeightMatrix::operator=(WeightMatrix&&) noexcept = default;

void WeightMatrix::pack(const float* source, bool transposed) {
  using Tag = dnnl::memory::format_tag;
  const OneThread one_thread;
  dnnl::stream stream(engine());
  dnnl::memory from =
      wrap({{inner_, cols_}, dnnl::memory::data_type::f32, transposed ? Tag::ba : Tag::ab}, source);
  dnnl::memory to = wrap(layout_->description, layout_->data.data());
  dnnl::reorder(from, to).execute(stream, from, to);
}

void multiply(void* c, DType c_type, const void* a, std::int64_t rows, const WeightMatrix& b,
              const float* bias) {
  BARCODEMAE_CHECK(rows % row_granularity() == 0, "{} rows", rows);
  for (std::int64_t row = 0; row < rows; row += kCallRows) {
    const std::int64_t count = std::min(kCallRows, rows - row);
    const Product& product =
        find_product(product_shape(count, b.inner(), b.cols(), b.type(), c_type, bias != nullptr));
    BARCODEMAE_CHECK(product.b == b.layout().description, "oneDNN changed its layout for {} rows",
                     count);
    execute(product, at(c, c_type, row * b.cols()), at(a, b.type(), row * b.inner()),
            b.layout().data.data(), bias);
  }
}

void multiply_any(void* c, DType c_type, const void* a, std::int64_t rows, const WeightMatrix& b,
                  const float* bias) {
  const std::int64_t round = rows / row_granularity() * row_granularity();
  multiply(c, c_type, a, round, b, bias);
  const std::int64_t rest = rows - round;
  if (rest == 0) return;
  static thread_local Buffer padded;
  const auto bytes = [](std::int64_t count, DType type) {
    return static_cast<std::size_t>(count) * size_of(type);
  };
  const std::size_t a_bytes = bytes(row_granularity() * b.inner(), b.type());
  auto* a_rows = static_cast<std::byte*>(
      padded.grow(a_bytes + bytes(row_granularity() * b.cols(), c_type) + kAlignment));
  std::byte* c_rows = a_rows + (a_bytes + kAlignment - 1) / kAlignment * kAlignment;
  const std::size_t used = bytes(rest * b.inner(), b.type());
  std::memcpy(a_rows, at(a, b.type(), round * b.inner()), used);
  std::memset(a_rows + used, 0, a_bytes - used);
  multiply(c_rows, c_type, a_rows, row_granularity(), b, bias);
  std::memcpy(at(c, c_type, round * b.cols()), c_rows, bytes(rest * b.cols(), c_type));
}

void add_weight_gradients(std::span<const WeightGradient> gradients) {
  // A tile's sum goes over the rows in steps, so that few shapes serve every batch.
  constexpr std::int64_t kTileRows = 128, kTileCols = 768, kStep = 256;
  struct Tile {
    const WeightGradient* of;
    std::int64_t row, col;
  };
  std::vector<Tile> tiles;
  for (const WeightGradient& gradient : gradients) {
    if (gradient.gradient == nullptr) continue;  // not wanted
    for (std::int64_t row = 0; row < gradient.dy_cols; row += kTileRows) {
      for (std::int64_t col = 0; col < gradient.x_cols; col += kTileCols) {
        tiles.push_back({&gradient, row, col});
      }
    }
  }
  // The rows beyond the last whole step, filled up with zeros.
  struct Rest {
    Buffer dy, x;
  };
  std::vector<Rest> rests(gradients.size());
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const WeightGradient& gradient = gradients[i];
    const std::int64_t whole = gradient.rows / kStep * kStep, rest = gradient.rows - whole;
    if (rest == 0) continue;
    const auto copy = [&](const void* source, std::int64_t cols) {
      Buffer buffer(static_cast<std::size_t>(kStep * cols) * size_of(gradient.type));
      std::memcpy(buffer.data(), at(source, gradient.type, whole * cols),
                  static_cast<std::size_t>(rest * cols) * size_of(gradient.type));
      return buffer;
    };
    rests[i].dy = copy(gradient.dy, gradient.dy_cols);
    rests[i].x = copy(gradient.x, gradient.x_cols);
  }
  parallel_for(static_cast<std::int64_t>(tiles.size()), [&](std::int64_t index, int) {
    const Tile& tile = tiles[static_cast<std::size_t>(index)];
    const WeightGradient& of = *tile.of;
    const Rest& rest = rests[static_cast<std::size_t>(tile.of - gradients.data())];
    Shape shape =
        product_shape(std::min(kTileRows, of.dy_cols - tile.row), kStep,
                      std::min(kTileCols, of.x_cols - tile.col), of.type, DType::kFloat32, false);
    shape.a_stride = of.dy_cols;
    shape.b_stride = of.x_cols;
    shape.c_stride = of.x_cols;
    shape.gradient = true;
    const Product& product = find_product(shape);
    float* c = of.gradient + tile.row * of.x_cols + tile.col;
    for (std::int64_t row = 0; row < of.rows; row += kStep) {
      const bool whole = row + kStep <= of.rows;
      const void* dy = whole ? at(of.dy, of.type, row * of.dy_cols) : rest.dy.data();
      const void* x = whole ? at(of.x, of.type, row * of.x_cols) : rest.x.data();
      execute(product, c, at(dy, of.type, tile.row), at(x, of.type, tile.col), nullptr);
    }
  });
}

}  // namespace barcodemae::cpu
