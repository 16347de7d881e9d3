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

void CpuBackend::adamw(Parameters& parameters, const AdamWStep& step) {
  struct Piece {
    std::int64_t offset, count;
    const ParameterOptions* options;
  };
  std::vector<Piece> pieces;
  for (const Parameters::Entry& entry : parameters.entries()) {
    const std::int64_t size = entry.rows * entry.cols;
    for (std::int64_t done = 0; done < size; done += kPiece) {
      pieces.push_back({entry.offset + done, std::min(kPiece, size - done), &entry.options});
    }
  }
  const auto data = [](View view) { return static_cast<float*>(view.data); };
  parallel_for(static_cast<std::int64_t>(pieces.size()), [&](std::int64_t index, int) {
    const Piece& piece = pieces[static_cast<std::size_t>(index)];
    float* gradient = data(parameters.gradients()) + piece.offset;
    if (piece.options->frozen) {
      std::fill_n(gradient, piece.count, 0.0f);
      return;
    }
    const double rate =
        step.learning_rate * static_cast<double>(piece.options->learning_rate_factor);
    const double decay = piece.options->weight_decay ? step.weight_decay : 0;
    cpu::AdamWRange range;
    range.count = piece.count;
    range.value = data(parameters.values()) + piece.offset;
    range.gradient = gradient;
    range.first_moment = data(parameters.first_moments()) + piece.offset;
    range.second_moment = data(parameters.second_moments()) + piece.offset;
    range.gradient_scale = static_cast<float>(step.gradient_scale);
    range.beta1 = static_cast<float>(step.beta1);
    range.one_minus_beta1 = static_cast<float>(1 - step.beta1);
    range.beta2 = static_cast<float>(step.beta2);
    range.one_minus_beta2 = static_cast<float>(1 - step.beta2);
    range.epsilon = static_cast<float>(step.epsilon);
    range.decay = static_cast<float>(1 - rate * decay);
    range.step_size = static_cast<float>(rate / step.bias_correction1);
    range.inverse_root = static_cast<float>(1 / std::sqrt(step.bias_correction2));
    kernels_.adamw(range);
  });
}

void CpuBackend::zero_gradients(Parameters& parameters) { zero(parameters.gradients()); }

}  // namespace barcodemae
