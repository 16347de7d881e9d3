// SPDX-License-Identifier: MIT
#include "inference/readout_layers.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <iterator>
#include <span>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/threads.h"
#include "ops/ops.h"

namespace barcodemae {
namespace {

// Enough to share out, and to pay for reading the weights; few enough not to weigh in memory.
constexpr std::int64_t kRowsOfAThread = 256, kLeastBlock = 1024, kMostBlock = 4096;

std::vector<float> stacked(const Matrix& above, const Matrix& below) {
  std::vector<float> values = above.values;
  values.insert(values.end(), below.values.begin(), below.values.end());
  return values;
}

}  // namespace

ReadoutLayers::ReadoutLayers(std::shared_ptr<const Readout> readout, Backend& backend)
    : readout_(std::move(readout)),
      parameters_(backend),
      arena_(backend),
      block_rows_(std::clamp(kRowsOfAThread * thread_count(), kLeastBlock, kMostBlock)) {
  const int inputs = readout_->inputs(), dimensions = readout_->dimensions();
  const int units = readout_->hidden_units();
  const auto declare = [&](const char* weight, const char* bias, int out, int in) {
    return std::pair{parameters_.declare({weight}, out, in, {}, /*matmul=*/true),
                     parameters_.declare({bias}, 1, out, {})};
  };
  const auto first = declare("first.weight", "first.bias", dimensions + units, inputs);
  const auto second =
      units > 0 ? declare("second.weight", "second.bias", dimensions, units) : std::pair{-1, -1};
  parameters_.allocate(/*training=*/false);  // zeros: there are no biases
  parameters_.upload("first.weight", stacked(readout_->matrix, readout_->hidden.in));
  first_ = {parameters_.get(first.first), parameters_.get(first.second)};
  if (units > 0) {
    parameters_.upload("second.weight", readout_->hidden.out.values);
    second_ = {parameters_.get(second.first), parameters_.get(second.second)};
  }
  backend.refresh_weights(parameters_, DType::kFloat32, /*backward=*/false);
  arena_.begin_measuring();
  for (const int cols : {inputs, dimensions + units, units, dimensions}) {
    if (cols > 0) arena_.allocate(block_rows_, cols, DType::kFloat32);
  }
  arena_.reserve(arena_.end_measuring());
}

Matrix ReadoutLayers::operator()(const Matrix& vectors) {
  const std::vector<float>& mean = readout_->mean;
  BARCODEMAE_CHECK(vectors.cols == readout_->inputs(), "{} numbers for a readout of {}",
                   vectors.cols, readout_->inputs());
  const auto dimensions = static_cast<std::size_t>(readout_->dimensions());
  const auto units = static_cast<std::size_t>(readout_->hidden_units());
  Backend& backend = parameters_.backend();
  Context context{backend, arena_, nullptr, DType::kFloat32};
  const auto through = [&](const LinearLayer& layer, std::span<const float> rows,
                           std::int64_t count) {
    const View x = arena_.allocate(count, layer.weight.value.cols, DType::kFloat32);
    backend.upload(x, rows.data());
    const Tensor y = ops::linear(context, layer, {x});
    std::vector<float> result(static_cast<std::size_t>(y.view.size()));
    backend.download(result.data(), y.view);
    return result;
  };
  Matrix result = zero_matrix(vectors.rows, readout_->dimensions());
  std::vector<float> centred, hidden;
  for (std::int64_t begin = 0; begin < vectors.rows; begin += block_rows_) {
    const std::int64_t count = std::min(block_rows_, vectors.rows - begin);
    centred.clear();
    for (std::int64_t r = begin; r < begin + count; ++r) {
      std::ranges::transform(vectors.row(r), mean, std::back_inserter(centred), std::minus<>());
    }
    const std::vector<float> before = through(first_, centred, count);
    hidden.clear();
    for (std::int64_t r = 0; r < count; ++r) {
      const auto row = std::span(before).subspan(static_cast<std::size_t>(r) * (dimensions + units),
                                                 dimensions + units);
      std::ranges::copy(row.first(dimensions), result.row(begin + r).begin());
      for (const float value : row.last(units)) hidden.push_back(std::max(value, 0.0f));
    }
    if (units > 0) {
      const std::vector<float> added = through(second_, hidden, count);
      float* const of_block = result.row(begin).data();
      for (std::size_t i = 0; i < added.size(); ++i) of_block[i] += added[i];
    }
    arena_.rewind();
  }
  return result;
}

}  // namespace barcodemae
