// SPDX-License-Identifier: MIT
#include "backend/cuda/kernels/optimizer.h"

#include <algorithm>
#include <cmath>

#include "backend/cuda/check.h"
#include "backend/cuda/cuda_backend.h"

namespace barcodemae {

using namespace cuda;

namespace {

std::vector<AdamWPiece> cut(const Parameters& parameters) {
  std::vector<AdamWPiece> pieces;
  const auto& entries = parameters.entries();
  for (std::size_t entry = 0; entry < entries.size(); ++entry) {
    const std::int64_t size = entries[entry].rows * entries[entry].cols;
    for (std::int64_t done = 0; done < size; done += kAdamWPiece) {
      pieces.push_back({entries[entry].offset + done,
                        static_cast<std::int32_t>(std::min(kAdamWPiece, size - done)),
                        static_cast<std::int32_t>(entry)});
    }
  }
  return pieces;
}

std::vector<AdamWEntry> rates(const Parameters& parameters, const AdamWStep& step) {
  std::vector<AdamWEntry> entries;
  for (const Parameters::Entry& entry : parameters.entries()) {
    const double rate =
        step.learning_rate * static_cast<double>(entry.options.learning_rate_factor);
    const double decay = entry.options.weight_decay ? step.weight_decay : 0;
    entries.push_back({static_cast<float>(1 - rate * decay),
                       static_cast<float>(rate / step.bias_correction1),
                       entry.options.frozen ? 1 : 0});
  }
  return entries;
}

float* floats(View view) { return static_cast<float*>(view.data); }

}  // namespace

double CudaBackend::squared_gradient_norm(const Parameters& parameters) {
  const View gradients = parameters.gradients();
  const std::int64_t pieces = (gradients.size() + kSquaresPiece - 1) / kSquaresPiece;
  auto* partial = static_cast<double*>(sums(static_cast<std::size_t>(pieces + 1) * sizeof(double)));
  sum_of_squares(stream_, partial + pieces, partial, floats(gradients), gradients.size());
  double sum = 0;
  download(&sum, {partial + pieces, 1, 1, DType::kFloat64});
  return sum;
}

void CudaBackend::adamw(Parameters& parameters, const AdamWStep& step) {
  Companion& companion = companion_of(parameters);
  const std::vector<AdamWEntry> entries = rates(parameters, step);
  const std::size_t entry_bytes = entries.size() * sizeof(AdamWEntry);
  if (companion.pieces.data() == nullptr) {
    const std::vector<AdamWPiece> pieces = cut(parameters);
    const std::size_t bytes = pieces.size() * sizeof(AdamWPiece);
    companion.pieces = Buffer(bytes, stream_);
    companion.entries = Buffer(entry_bytes, stream_);
    companion.piece_count = static_cast<std::int64_t>(pieces.size());
    staging_->upload(companion.pieces.data(), pieces.data(), bytes, stream_);
  }
  staging_->upload(companion.entries.data(), entries.data(), entry_bytes, stream_);
  AdamW a;
  a.value = floats(parameters.values());
  a.gradient = floats(parameters.gradients());
  a.first_moment = floats(parameters.first_moments());
  a.second_moment = floats(parameters.second_moments());
  a.copy = static_cast<__nv_bfloat16*>(companion.copy.data());
  a.pieces = static_cast<const AdamWPiece*>(companion.pieces.data());
  a.entries = static_cast<const AdamWEntry*>(companion.entries.data());
  a.piece_count = companion.piece_count;
  a.gradient_scale = static_cast<float>(step.gradient_scale);
  a.beta1 = static_cast<float>(step.beta1);
  a.one_minus_beta1 = static_cast<float>(1 - step.beta1);
  a.beta2 = static_cast<float>(step.beta2);
  a.one_minus_beta2 = static_cast<float>(1 - step.beta2);
  a.epsilon = static_cast<float>(step.epsilon);
  a.inverse_root = static_cast<float>(1 / std::sqrt(step.bias_correction2));
  cuda::adamw(stream_, a);
}

void CudaBackend::zero_gradients(Parameters& parameters) { zero(parameters.gradients()); }

}  // namespace barcodemae
