// SPDX-License-Identifier: MIT
#include "backend/cpu/gemm.h"

#include <algorithm>
#include <array>
#include <compare>
#include <cstring>
#include <dnnl.hpp>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <utility>
#include <vector>

#include "backend/cpu/cpu.h"
#include "backend/cpu/gemm_amx.h"
#include "backend/cpu/memory.h"
#include "backend/cpu/row_blocks.h"
#include "base/error.h"
#include "base/machine.h"
#include "base/one_openmp_thread.h"
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

// A product as oneDNN is asked for it: c [rows, cols] (+)= a [rows, inner] · b [inner, cols].
struct Shape {
  std::int64_t rows = 0, inner = 0, cols = 0;
  std::int64_t a_stride = 0;  // of the transposed a, when it is one
  std::int64_t b_stride = 0, c_stride = 0;
  DType type = DType::kFloat32, c_type = DType::kFloat32;
  bool bias = false;
  bool gradient = false;                           // a transposed, b plain, c accumulated
  auto operator<=>(const Shape&) const = default;  // NOLINT(modernize-use-nullptr): misread
};

struct Product {
  dnnl::matmul primitive;
  dnnl::memory::desc a, b, c, bias;
  std::size_t scratch = 0;
};

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

namespace {

bool on_tiles(DType type) { return type == DType::kBFloat16 && machine().simd >= SimdLevel::kAmx; }

const std::uint16_t* bfloat16(const void* data) { return static_cast<const std::uint16_t*>(data); }
std::uint16_t* bfloat16(void* data) { return static_cast<std::uint16_t*>(data); }

float* tile_scratch(std::int64_t cols, std::int64_t inner) {
  static thread_local Buffer scratch;
  return static_cast<float*>(
      scratch.grow(static_cast<std::size_t>(amx::scratch_floats(cols, inner)) * sizeof(float)));
}

}  // namespace

// With AVX-512 oneDNN's kernels for whole and partial tiles of rows sum alike; its older ones do
// so only for whole tiles.
std::int64_t row_granularity(DType type) {
  if (on_tiles(type)) return amx::kBlock;
  return machine().simd >= SimdLevel::kAvx512 ? 16 : 64;
}

struct WeightMatrix::Layout {
  dnnl::memory::desc description;  // oneDNN's
  Buffer data;
};

WeightMatrix::WeightMatrix(std::int64_t inner, std::int64_t cols, DType type)
    : inner_(inner), cols_(cols), type_(type), layout_(std::make_unique<Layout>()) {
  if (on_tiles(type)) {
    layout_->data =
        Buffer(static_cast<std::size_t>(amx::packed_elements(cols, inner)) * sizeof(std::uint16_t));
    return;
  }
  // The layout depends on inner and cols alone; multiply() checks that.
  layout_->description = find_product(product_shape(kCallRows, inner, cols, type, type, false)).b;
  layout_->data = Buffer(layout_->description.get_size());
}
WeightMatrix::~WeightMatrix() = default;
WeightMatrix::WeightMatrix(WeightMatrix&&) noexcept = default;
WeightMatrix& WeightMatrix::operator=(WeightMatrix&&) noexcept = default;

void WeightMatrix::pack(const float* source, bool transposed) {
  if (on_tiles(type_)) {
    amx::pack_right(bfloat16(layout_->data.data()), source, inner_, cols_, transposed);
    return;
  }
  using Tag = dnnl::memory::format_tag;
  const OneOpenMpThread one_thread;
  dnnl::stream stream(engine());
  dnnl::memory from =
      wrap({{inner_, cols_}, dnnl::memory::data_type::f32, transposed ? Tag::ba : Tag::ab}, source);
  dnnl::memory to = wrap(layout_->description, layout_->data.data());
  dnnl::reorder(from, to).execute(stream, from, to);
}

void multiply(void* c, DType c_type, const void* a, std::int64_t rows, const WeightMatrix& b,
              const float* bias) {
  if (on_tiles(b.type())) {
    multiply_any(c, c_type, a, rows, b, bias);
    return;
  }
  BARCODEMAE_CHECK(rows % row_granularity(b.type()) == 0, "{} rows", rows);
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

namespace {

std::uint16_t* grow_packed(Buffer& buffer, std::int64_t count, std::int64_t inner) {
  return bfloat16(buffer.grow(static_cast<std::size_t>(amx::packed_elements(count, inner)) *
                              sizeof(std::uint16_t)));
}

// The left side of rows of a compact matrix, until this thread asks again.
const std::uint16_t* packed_left(const void* a, std::int64_t rows, std::int64_t inner) {
  static thread_local Buffer left;
  std::uint16_t* packed = grow_packed(left, amx::kCallRows, inner);
  amx::pack_left(packed, bfloat16(a), rows, inner);
  return packed;
}

amx::Product product_on_tiles(const std::uint16_t* left, std::int64_t rows, const WeightMatrix& b) {
  amx::Product product;
  product.left = left;
  product.right = bfloat16(b.layout().data.data());
  product.rows = rows;
  product.cols = b.cols();
  product.inner = b.inner();
  product.scratch = tile_scratch(b.cols(), b.inner());
  return product;
}

void multiply_on_tiles(void* c, DType c_type, const void* a, std::int64_t rows,
                       const WeightMatrix& b, const float* bias) {
  for (std::int64_t row = 0; row < rows; row += amx::kCallRows) {
    const std::int64_t count = std::min(amx::kCallRows, rows - row);
    amx::Product product =
        product_on_tiles(packed_left(bfloat16(a) + row * b.inner(), count, b.inner()), count, b);
    product.bias = bias;
    product.c = at(c, c_type, row * b.cols());
    product.c_stride = b.cols();
    product.float32 = c_type == DType::kFloat32;
    amx::multiply(product);
  }
}

}  // namespace

void multiply_any(void* c, DType c_type, const void* a, std::int64_t rows, const WeightMatrix& b,
                  const float* bias) {
  if (on_tiles(b.type())) {
    multiply_on_tiles(c, c_type, a, rows, b, bias);
    return;
  }
  const std::int64_t granularity = row_granularity(b.type());
  const std::int64_t round = rows / granularity * granularity, rest = rows - round;
  multiply(c, c_type, a, round, b, bias);
  if (rest == 0) return;
  static thread_local Buffer padded;
  const auto bytes = [](std::int64_t count, DType type) {
    return static_cast<std::size_t>(count) * size_of(type);
  };
  const std::size_t a_bytes = bytes(granularity * b.inner(), b.type());
  auto* a_rows = static_cast<std::byte*>(
      padded.grow(a_bytes + bytes(granularity * b.cols(), c_type) + kAlignment));
  std::byte* c_rows = a_rows + (a_bytes + kAlignment - 1) / kAlignment * kAlignment;
  const std::size_t used = bytes(rest * b.inner(), b.type());
  std::memcpy(a_rows, at(a, b.type(), round * b.inner()), used);
  std::memset(a_rows + used, 0, a_bytes - used);
  multiply(c_rows, c_type, a_rows, granularity, b, bias);
  std::memcpy(at(c, c_type, round * b.cols()), c_rows, bytes(rest * b.cols(), c_type));
}

bool GradientOperand::packed(DType type) { return on_tiles(type); }

std::size_t GradientOperand::bytes(std::int64_t rows, std::int64_t cols, DType type) {
  const std::int64_t elements = packed(type) ? amx::packed_elements(cols, rows) : rows * cols;
  return static_cast<std::size_t>(elements) * size_of(type);
}

void* GradientOperand::place(std::int64_t row, void* scratch) const {
  return packed(type_) ? scratch : at(memory_, type_, row * cols_);
}

void GradientOperand::store(std::int64_t row, const void* block, std::int64_t rows,
                            std::int64_t padded_rows) const {
  if (packed(type_)) {
    const auto pack = side_ == Side::kLeft
                          ? amx::pack_left_transposed
                          : static_cast<decltype(&amx::pack_left_transposed)>(amx::pack_right);
    pack(bfloat16(memory_), amx::blocks(rows_), row, bfloat16(block), rows,
         amx::blocks(padded_rows) * amx::kBlock, cols_);
    amx::finish_stores();
    return;
  }
  void* destination = at(memory_, type_, row * cols_);
  if (destination == block) return;
  std::memcpy(destination, block, static_cast<std::size_t>(rows * cols_) * size_of(type_));
  std::memset(at(destination, type_, rows * cols_), 0,
              static_cast<std::size_t>((padded_rows - rows) * cols_) * size_of(type_));
}

namespace {

// What lies between the two products of a feed-forward block, until this thread asks again.
std::uint16_t* packed_between(std::int64_t inner) {
  static thread_local Buffer between;
  return grow_packed(between, amx::kCallRows, inner);
}

}  // namespace

std::size_t feed_forward_pre_bytes(std::int64_t rows, std::int64_t inner) {
  return static_cast<std::size_t>(amx::packed_elements(rows, inner)) * sizeof(std::uint16_t);
}

void feed_forward_products(const FeedForwardProducts& products, void* out, const void* x,
                           const WeightMatrix& in_weight, const float* in_bias,
                           const WeightMatrix& out_weight) {
  using Finish = amx::Product::Finish;
  const std::int64_t width = in_weight.inner(), inner = in_weight.cols();
  for (std::int64_t row = 0; row < products.rows; row += amx::kCallRows) {
    const std::int64_t rows = std::min(amx::kCallRows, products.rows - row);
    amx::Product first =
        product_on_tiles(packed_left(bfloat16(x) + row * width, rows, width), rows, in_weight);
    first.finish = Finish::kGelu;
    first.bias = in_bias;
    if (products.pre != nullptr) {
      first.pre = bfloat16(products.pre) + amx::packed_elements(row, inner);
    }
    first.hidden = packed_between(inner);
    amx::multiply(first);
    amx::Product second = product_on_tiles(first.hidden, rows, out_weight);
    second.c = bfloat16(out) + row * width;
    second.c_stride = width;
    amx::multiply(second);
  }
}

void feed_forward_gradients(const FeedForwardProducts& products, void* dx, const void* dout,
                            const WeightMatrix& out_weight, const WeightMatrix& in_weight,
                            std::int64_t row, const GradientOperand& dpre,
                            const GradientOperand& hidden, float* in_bias_gradient) {
  using Finish = amx::Product::Finish;
  const std::int64_t width = out_weight.inner(), inner = out_weight.cols();
  for (std::int64_t begin = 0; begin < products.rows; begin += amx::kCallRows) {
    const std::int64_t rows = std::min(amx::kCallRows, products.rows - begin);
    amx::Product first = product_on_tiles(packed_left(bfloat16(dout) + begin * width, rows, width),
                                          rows, out_weight);
    first.finish = Finish::kGeluGradient;
    first.pre = bfloat16(products.pre) + amx::packed_elements(begin, inner);
    first.dpre = packed_between(inner);
    first.dpre_operand = {bfloat16(dpre.memory()), amx::blocks(dpre.rows()), row + begin};
    first.hidden_operand = {bfloat16(hidden.memory()), amx::blocks(hidden.rows()), row + begin};
    first.dbias = in_bias_gradient;
    amx::multiply(first);
    if (dx == nullptr) continue;
    amx::Product second = product_on_tiles(first.dpre, rows, in_weight);
    second.c = bfloat16(dx) + begin * width;
    second.c_stride = width;
    amx::multiply(second);
  }
}

namespace {

// A rectangle of one gradient. How gradients are cut does not change a sum.
struct Tile {
  const WeightGradient* of;
  std::int64_t row, rows, col, cols;
};

std::vector<Tile> cut(std::span<const WeightGradient> gradients, std::int64_t tile_rows,
                      std::int64_t tile_cols) {
  std::vector<Tile> tiles;
  for (const WeightGradient& gradient : gradients) {
    if (gradient.gradient == nullptr) continue;  // not wanted
    for (std::int64_t row = 0; row < gradient.dy.cols(); row += tile_rows) {
      for (std::int64_t col = 0; col < gradient.x.cols(); col += tile_cols) {
        tiles.push_back({&gradient, row, std::min(tile_rows, gradient.dy.cols() - row), col,
                         std::min(tile_cols, gradient.x.cols() - col)});
      }
    }
  }
  return tiles;
}

void add_on_tiles(std::span<const WeightGradient> gradients) {
  std::vector<Tile> tiles = cut(gradients, amx::kCallRows, 768);
  if (static_cast<int>(tiles.size()) < 4 * thread_count()) {
    tiles = cut(gradients, amx::kCallRows, 256);
  }
  parallel_for(static_cast<std::int64_t>(tiles.size()), [&](std::int64_t index, int) {
    const Tile& tile = tiles[static_cast<std::size_t>(index)];
    const WeightGradient& of = *tile.of;
    const std::int64_t side = amx::blocks(of.dy.rows()) * amx::kBlock;
    amx::Product product;
    product.c = of.gradient + tile.row * of.x.cols() + tile.col;
    product.c_stride = of.x.cols();
    product.float32 = true;
    product.finish = amx::Product::Finish::kAdd;
    product.left = bfloat16(of.dy.memory()) + tile.row * side;
    product.right = bfloat16(of.x.memory()) + tile.col * side;
    product.rows = tile.rows;
    product.cols = tile.cols;
    product.inner = side;
    product.scratch = tile_scratch(tile.cols, side);
    amx::multiply(product);
  });
}

void add_by_onednn(std::span<const WeightGradient> gradients) {
  // A tile's sum goes over the rows in steps, so that few shapes serve every batch.
  constexpr std::int64_t kStep = 256;
  const std::vector<Tile> tiles = cut(gradients, 128, 768);
  // The rows beyond the last whole step, filled up with zeros.
  static thread_local std::vector<std::pair<Buffer, Buffer>> kept_rests;
  std::vector<std::pair<Buffer, Buffer>>& rests = kept_rests;
  rests.resize(std::max(rests.size(), gradients.size()));
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const auto copy = [](const GradientOperand& operand, Buffer& rest) {
      const std::int64_t whole = operand.rows() / kStep * kStep, rows = operand.rows() - whole;
      if (rows == 0) return;
      const std::size_t row_bytes =
          static_cast<std::size_t>(operand.cols()) * size_of(operand.type());
      auto* bytes = static_cast<std::byte*>(rest.grow(kStep * row_bytes));
      const std::size_t used = static_cast<std::size_t>(rows) * row_bytes;
      std::memcpy(bytes, at(operand.memory(), operand.type(), whole * operand.cols()), used);
      std::memset(bytes + used, 0, kStep * row_bytes - used);
    };
    copy(gradients[i].dy, rests[i].first);
    copy(gradients[i].x, rests[i].second);
  }
  parallel_for(static_cast<std::int64_t>(tiles.size()), [&](std::int64_t index, int) {
    const Tile& tile = tiles[static_cast<std::size_t>(index)];
    const WeightGradient& of = *tile.of;
    const auto& rest = rests[static_cast<std::size_t>(tile.of - gradients.data())];
    const DType type = of.dy.type();
    const std::int64_t dy_cols = of.dy.cols(), x_cols = of.x.cols();
    Shape shape = product_shape(tile.rows, kStep, tile.cols, type, DType::kFloat32, false);
    shape.a_stride = dy_cols;
    shape.b_stride = shape.c_stride = x_cols;
    shape.gradient = true;
    const Product& product = find_product(shape);
    float* c = of.gradient + tile.row * x_cols + tile.col;
    for (std::int64_t row = 0; row < of.dy.rows(); row += kStep) {
      const bool whole = row + kStep <= of.dy.rows();
      const void* dy = whole ? at(of.dy.memory(), type, row * dy_cols) : rest.first.data();
      const void* x = whole ? at(of.x.memory(), type, row * x_cols) : rest.second.data();
      execute(product, c, at(dy, type, tile.row), at(x, type, tile.col), nullptr);
    }
  });
}

}  // namespace

void add_weight_gradients(std::span<const WeightGradient> gradients) {
  if (gradients.empty()) return;
  if (GradientOperand::packed(gradients.front().dy.type())) {
    add_on_tiles(gradients);
  } else {
    add_by_onednn(gradients);
  }
}

}  // namespace barcodemae::cpu
