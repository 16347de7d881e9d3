// SPDX-License-Identifier: MIT
#include "backend/cpu/cpu_backend.h"

#include <algorithm>
#include <cstring>

#include "backend/cpu/cpu.h"
#include "backend/cpu/memory.h"
#include "base/error.h"
#include "base/machine.h"
#include "base/threads.h"

namespace barcodemae {

std::unique_ptr<Backend> make_cpu_backend() { return std::make_unique<CpuBackend>(); }

CpuBackend::CpuBackend() : kernels_(cpu::kernels()) { cpu::initialise_gemm(); }

void* CpuBackend::allocate(std::size_t bytes) { return cpu::allocate_memory(bytes); }
void CpuBackend::release(void* memory, std::size_t bytes) { cpu::release_memory(memory, bytes); }

std::size_t CpuBackend::available_memory() const { return available_memory_bytes(); }

void CpuBackend::upload(View destination, const void* host) {
  if (destination.size() > 0) std::memcpy(destination.data, host, destination.bytes());
}
void CpuBackend::download(void* host, View source) const {
  if (source.size() > 0) std::memcpy(host, source.data, source.bytes());
}

void CpuBackend::zero(View destination) {
  constexpr std::size_t kPiece = std::size_t{1} << 20;
  auto* bytes = static_cast<std::byte*>(destination.data);
  const std::size_t total = destination.bytes();
  parallel_for(static_cast<std::int64_t>((total + kPiece - 1) / kPiece),
               [&](std::int64_t piece, int) {
                 const std::size_t begin = static_cast<std::size_t>(piece) * kPiece;
                 std::memset(bytes + begin, 0, std::min(kPiece, total - begin));
               });
}

DType CpuBackend::activation_type(DType precision) const {
  if (precision != DType::kInt8) return precision;
  return machine().simd >= SimdLevel::kAmx ? DType::kBFloat16 : DType::kFloat32;
}

void CpuBackend::refresh_weights(const Parameters& parameters, DType precision, bool backward) {
  BARCODEMAE_CHECK(precision == DType::kFloat32 || precision == DType::kBFloat16 ||
                       (precision == DType::kInt8 && !backward),
                   "products in {}", to_string(precision));
  cpu::require_precision(precision);
  std::vector<Parameter> changed;
  const auto prepare = [&](std::unique_ptr<cpu::WeightMatrix>& matrix, std::int64_t inner,
                           std::int64_t cols) {
    if (matrix != nullptr && matrix->type() == precision) return;
    matrix = std::make_unique<cpu::WeightMatrix>(inner, cols, precision);
  };
  const auto& entries = parameters.entries();
  for (std::size_t index = 0; index < entries.size(); ++index) {
    if (!entries[index].matmul) continue;
    const Parameter parameter = parameters.get(static_cast<int>(index));
    const std::int64_t out = parameter.value.rows, in = parameter.value.cols;
    Weights& weights = weights_[parameter.value.data];
    prepare(weights.forward, in, out);
    if (backward) {
      prepare(weights.backward, out, in);
    } else {
      weights.backward.reset();  // it would be out of date
    }
    changed.push_back(parameter);
  }
  pack_weights(changed);
}

void CpuBackend::pack_weights(const std::vector<Parameter>& parameters) const {
  parallel_for(2 * static_cast<std::int64_t>(parameters.size()), [&](std::int64_t index, int) {
    const Parameter& parameter = parameters[static_cast<std::size_t>(index / 2)];
    const Weights* weights = find_weights(parameter);
    if (index % 2 == 0) {
      weights->forward->pack(cpu::values(parameter), /*transposed=*/true);
    } else if (weights->backward != nullptr) {
      weights->backward->pack(cpu::values(parameter), /*transposed=*/false);
    }
  });
}

void CpuBackend::forget_weights(const Parameters& parameters) {
  const auto& entries = parameters.entries();
  for (std::size_t index = 0; index < entries.size(); ++index) {
    if (entries[index].matmul) weights_.erase(parameters.get(static_cast<int>(index)).value.data);
  }
}

const CpuBackend::Weights* CpuBackend::find_weights(const Parameter& parameter) const {
  const auto found = weights_.find(parameter.value.data);
  return found == weights_.end() ? nullptr : &found->second;
}

const cpu::WeightMatrix& CpuBackend::forward_weight(const Parameter& weight, DType type) const {
  const Weights* weights = find_weights(weight);
  BARCODEMAE_CHECK(
      weights != nullptr && weights->forward != nullptr &&
          (weights->forward->type() == type || weights->forward->type() == DType::kInt8),
      "no refresh_weights() for parameter {} in {}", weight.index, to_string(type));
  return *weights->forward;
}

const cpu::WeightMatrix& CpuBackend::backward_weight(const Parameter& weight, DType type) const {
  const Weights* weights = find_weights(weight);
  BARCODEMAE_CHECK(
      weights != nullptr && weights->backward != nullptr && weights->backward->type() == type,
      "no refresh_weights() with backward for parameter {} in {}", weight.index, to_string(type));
  return *weights->backward;
}

void cpu::expand_records(std::int32_t* records, const Segments& segments, std::int64_t first,
                         std::int64_t count) {
  const auto* of = static_cast<const std::int32_t*>(segments.records.data);
  // The last sequence that begins at or before `first`.
  auto sequence = std::upper_bound(segments.begins.begin(), segments.begins.end() - 1, first) -
                  segments.begins.begin() - 1;
  for (std::int64_t row = first; row < first + count; ++row) {
    while (segments.begins[static_cast<std::size_t>(sequence) + 1] <= row) ++sequence;
    records[row - first] = of[sequence];
  }
}

}  // namespace barcodemae
