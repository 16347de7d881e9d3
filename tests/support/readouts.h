// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/random.h"
#include "formats/readout.h"

namespace barcodemae {

/// By its definition, in double precision.
inline std::vector<float> read_out(const Readout& readout, std::span<const float> vector) {
  const auto product = [](std::span<const float> row, std::span<const double> x) {
    double sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i) sum += double{row[i]} * x[i];
    return sum;
  };
  std::vector<double> centred, hidden;
  for (std::size_t i = 0; i < vector.size(); ++i) {
    centred.push_back(double{vector[i]} - double{readout.mean[i]});
  }
  for (std::int64_t u = 0; u < readout.hidden.in.rows; ++u) {
    hidden.push_back(std::max(product(readout.hidden.in.row(u), centred), 0.0));
  }
  std::vector<float> result;
  for (std::int64_t d = 0; d < readout.matrix.rows; ++d) {
    double sum = product(readout.matrix.row(d), centred);
    if (!hidden.empty()) sum += product(readout.hidden.out.row(d), hidden);
    result.push_back(static_cast<float>(sum));
  }
  return result;
}

/// Of any numbers, none of them special.
inline std::shared_ptr<const Readout> some_readout(int inputs, int dimensions,
                                                   int hidden_units = 0) {
  RandomSequence random(5, Stream::kInitialisation);
  const auto normal = [&](std::int64_t rows, std::int64_t cols) {
    Matrix matrix{rows, cols, {}};
    for (std::int64_t i = 0; i < rows * cols; ++i) {
      matrix.values.push_back(static_cast<float>(random.normal()));
    }
    return matrix;
  };
  Readout readout{normal(1, inputs).values, normal(dimensions, inputs)};
  if (hidden_units > 0) {
    readout.hidden = {normal(hidden_units, inputs), normal(dimensions, hidden_units)};
  }
  return std::make_shared<const Readout>(std::move(readout));
}

}  // namespace barcodemae
