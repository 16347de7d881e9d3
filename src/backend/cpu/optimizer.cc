// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "base/threads.h"

namespace barcodemae {
namespace {

constexpr std::int64_t kPiece = std::int64_t{1} << 17;  // elements

}  // namespace

double CpuBackend::squared_gradient_norm(const Parameters& parameters) {
  const View gradients = parameters.gradients();
  const auto* data = static_cast<const float*>(gradients.data);
  std::vector<double> partial(static_cast<std::size_t>((gradients.size() + kPiece - 1) / kPiece));
  parallel_for(static_cast<std::int64_t>(partial.size()), [&](std::int64_t piece, int) {
    const std::int64_t first = piece * kPiece;
    partial[static_cast<std::size_t>(piece)] =
        kernels_.sum_of_squares(data + first, std::min(kPiece, gradients.size() - first));
  });
  double sum = 0;
  for (const double part : partial) sum += part;
  return sum;
}

namespace {

// A rectangle of a parameter.
struct Piece {
  int parameter;
  std::int64_t row, rows, col, cols;
  bool packed;  // its part of the weight's copies is renewed with it
};

// Flat pieces of a parameter whose copies are not made by parts.
void cut_flat(std::vector<Piece>& pieces, int parameter, std::int64_t size) {
  for (std::int64_t done = 0; done < size; done += kPiece) {
    pieces.push_back({parameter, 0, 1, done, std::min(kPiece, size - done), false});
  }
}

// Rows whose packed copies are whole blocks, in pieces that stay in L2.
void cut_rows(std::vector<Piece>& pieces, int parameter, std::int64_t rows, std::int64_t cols) {
  constexpr std::int64_t kRows = cpu::WeightMatrix::kPartAlignment, kCols = 32 * kRows;
  for (std::int64_t row = 0; row < rows; row += kRows) {
    for (std::int64_t col = 0; col < cols; col += kCols) {
      pieces.push_back(
          {parameter, row, std::min(kRows, rows - row), col, std::min(kCols, cols - col), true});
    }
  }
}

cpu::AdamWRange range_of(const Parameters& parameters, const Parameters::Entry& entry,
                         const AdamWStep& step) {
  const auto data = [&](View view) { return static_cast<float*>(view.data) + entry.offset; };
  const double rate = step.learning_rate * static_cast<double>(entry.options.learning_rate_factor);
  const double decay = entry.options.weight_decay ? step.weight_decay : 0;
  cpu::AdamWRange range;
  range.value = data(parameters.values());
  range.gradient = data(parameters.gradients());
  range.first_moment = data(parameters.first_moments());
  range.second_moment = data(parameters.second_moments());
  range.gradient_scale = static_cast<float>(step.gradient_scale);
  range.beta1 = static_cast<float>(step.beta1);
  range.one_minus_beta1 = static_cast<float>(1 - step.beta1);
  range.beta2 = static_cast<float>(step.beta2);
  range.one_minus_beta2 = static_cast<float>(1 - step.beta2);
  range.epsilon = static_cast<float>(step.epsilon);
  range.decay = static_cast<float>(1 - rate * decay);
  range.step_size = static_cast<float>(rate / step.bias_correction1);
  range.inverse_root = static_cast<float>(1 / std::sqrt(step.bias_correction2));
  return range;
}

// The `count` elements from `first` on.
cpu::AdamWRange part_of(cpu::AdamWRange range, std::int64_t first, std::int64_t count) {
  range.count = count;
  for (float** pointer :
       {&range.value, &range.gradient, &range.first_moment, &range.second_moment}) {
    *pointer += first;
  }
  return range;
}

}  // namespace

void CpuBackend::adamw(Parameters& parameters, const AdamWStep& step) {
  const auto& entries = parameters.entries();
  std::vector<Piece> pieces;
  std::vector<Parameter> to_pack;
  for (int index = 0; index < static_cast<int>(entries.size()); ++index) {
    const Parameters::Entry& entry = entries[static_cast<std::size_t>(index)];
    const Weights* weights = entry.matmul ? find_weights(parameters.get(index)) : nullptr;
    if (weights != nullptr && weights->forward->packs_parts() && !entry.options.frozen) {
      cut_rows(pieces, index, entry.rows, entry.cols);
    } else {
      cut_flat(pieces, index, entry.rows * entry.cols);
      if (weights != nullptr && !entry.options.frozen) to_pack.push_back(parameters.get(index));
    }
  }
  parallel_for(static_cast<std::int64_t>(pieces.size()), [&](std::int64_t index, int) {
    const Piece& piece = pieces[static_cast<std::size_t>(index)];
    const Parameters::Entry& entry = entries[static_cast<std::size_t>(piece.parameter)];
    const cpu::AdamWRange all = range_of(parameters, entry, step);
    if (entry.options.frozen) {
      std::fill_n(all.gradient + piece.col, piece.cols, 0.0f);
      return;
    }
    for (std::int64_t row = piece.row; row < piece.row + piece.rows; ++row) {
      kernels_.adamw(part_of(all, row * entry.cols + piece.col, piece.cols));
    }
    if (!piece.packed) return;
    const Weights* weights = find_weights(parameters.get(piece.parameter));
    const cpu::WeightMatrix::Part part{piece.row, piece.rows, piece.col, piece.cols};
    weights->forward->pack_part(all.value, /*transposed=*/true, part);
    if (weights->backward != nullptr) {
      weights->backward->pack_part(all.value, /*transposed=*/false, part);
    }
  });
  pack_weights(to_pack);
}

void CpuBackend::zero_gradients(Parameters& parameters) { zero(parameters.gradients()); }

}  // namespace barcodemae
