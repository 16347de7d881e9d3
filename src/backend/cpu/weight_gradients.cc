// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "backend/cpu/gemm.h"
#include "backend/cpu/gemm_amx.h"
#include "backend/cpu/gemm_layout.h"
#include "backend/cpu/gemm_panels.h"
#include "backend/cpu/memory.h"
#include "backend/cpu/onednn.h"
#include "base/threads.h"

namespace barcodemae::cpu {

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

// Large ones, unless that leaves threads without.
std::vector<Tile> cut_for_threads(std::span<const WeightGradient> gradients) {
  std::vector<Tile> tiles = cut(gradients, 256, 768);
  if (static_cast<int>(tiles.size()) < 4 * thread_count()) tiles = cut(gradients, 256, 256);
  return tiles;
}

void add_on_tiles(std::span<const WeightGradient> gradients) {
  const std::vector<Tile> tiles = cut_for_threads(gradients);
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

void add_in_panels(std::span<const WeightGradient> gradients) {
  const std::vector<Tile> tiles = cut_for_threads(gradients);
  parallel_for(static_cast<std::int64_t>(tiles.size()), [&](std::int64_t index, int) {
    const Tile& tile = tiles[static_cast<std::size_t>(index)];
    const WeightGradient& of = *tile.of;
    panels::TransposedProduct product;
    product.dy = static_cast<const float*>(of.dy.memory()) + tile.row;
    product.x = static_cast<const float*>(of.x.memory()) + tile.col;
    product.rows = of.dy.rows();
    product.dy_stride = of.dy.cols();
    product.x_stride = of.x.cols();
    product.dy_cols = tile.rows;
    product.x_cols = tile.cols;
    panels::add_transposed(of.gradient + tile.row * of.x.cols() + tile.col, of.x.cols(), product);
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
    onednn::Shape shape =
        onednn::product_shape(tile.rows, kStep, tile.cols, type, DType::kFloat32, false);
    shape.a_stride = dy_cols;
    shape.b_stride = shape.c_stride = x_cols;
    shape.gradient = true;
    const onednn::Product& product = onednn::find_product(shape);
    float* c = of.gradient + tile.row * x_cols + tile.col;
    for (std::int64_t row = 0; row < of.dy.rows(); row += kStep) {
      const bool whole = row + kStep <= of.dy.rows();
      const void* dy = whole ? at(of.dy.memory(), type, row * dy_cols) : rest.first.data();
      const void* x = whole ? at(of.x.memory(), type, row * x_cols) : rest.second.data();
      onednn::execute(product, c, at(dy, type, tile.row), at(x, type, tile.col), nullptr);
    }
  });
}

}  // namespace

void add_weight_gradients(std::span<const WeightGradient> gradients) {
  if (gradients.empty()) return;
  const DType type = gradients.front().dy.type();
  if (on_tiles(type)) {
    add_on_tiles(gradients);
  } else if (type == DType::kFloat32) {
    add_in_panels(gradients);
  } else {
    add_by_onednn(gradients);
  }
}

}  // namespace barcodemae::cpu
