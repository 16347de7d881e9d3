// SPDX-License-Identifier: MIT
#include "backend/cpu/cpu_backend.h"

#include <algorithm>
#include <cstring>

#include "backend/cpu/cpu.h"
#include "backend/cpu/memory.h"
#include "base/error.h"
#include "base/threads.h"

namespace barcodemae {

std::unique_ptr<Backend> make_cpu_backend() { return std::make_unique<CpuBackend>(); }

CpuBackend::CpuBackend() : kernels_(cpu::kernels()) { cpu::initialise_gemm(); }

void* CpuBackend::allocate(std::size_t bytes) { return cpu::allocate_memory(bytes); }
void CpuBackend::release(void* memory, std::size_t bytes) { cpu::release_memory(memory, bytes); }

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
  struct Job {
    cpu::WeightMatrix* matrix;
    const float* source;
    bool transposed;
  };
  std::vector<Job> jobs;
  const auto prepare = [&](std::unique_ptr<cpu::WeightMatrix>& matrix, const Parameter& parameter,
                           bool transposed) {
    const std::int64_t out = parameter.value.rows, in = parameter.value.cols;
    if (matrix == nullptr || matrix->type() != precision) {
      matrix = std::make_unique<cpu::WeightMatrix>(transposed ? in : out, transposed ? out : in,
                                                   precision);
    }
    jobs.push_back({matrix.get(), cpu::values(parameter), transposed});
  };
  const auto& entries = parameters.entries();
  for (std::size_t index = 0; index < entries.size(); ++index) {
    if (!entries[index].matmul) continue;
    const Parameter parameter = parameters.get(static_cast<int>(index));
    Weights& weights = weights_[parameter.value.data];
    prepare(weights.forward, parameter, true);
    if (backward) prepare(weights.backward, parameter, false);
  }
  parallel_for(static_cast<std::int64_t>(jobs.size()), [&](std::int64_t index, int) {
    const Job& job = jobs[static_cast<std::size_t>(index)];
    job.matrix->pack(job.source, job.transposed);
  });
}

void CpuBackend::forget_weights(const Parameters& parameters) {
  const auto& entries = parameters.entries();
  for (std::size_t index = 0; index < entries.size(); ++index) {
    if (entries[index].matmul) weights_.erase(parameters.get(static_cast<int>(index)).value.data);
  }
}

const cpu::WeightMatrix& CpuBackend::forward_weight(const Parameter& weight, DType type) const {
  const auto found = weights_.find(weight.value.data);
  BARCODEMAE_CHECK(
      found != weights_.end() && found->second.forward != nullptr &&
          (found->second.forward->type() == type || found->second.forward->type() == DType::kInt8),
      "no refresh_weights() for parameter {} in {}", weight.index, to_string(type));
  return *found->second.forward;
}

const cpu::WeightMatrix& CpuBackend::backward_weight(const Parameter& weight, DType type) const {
  const auto found = weights_.find(weight.value.data);
  BARCODEMAE_CHECK(found != weights_.end() && found->second.backward != nullptr &&
                       found->second.backward->type() == type,
                   "no refresh_weights() with backward for parameter {} in {}", weight.index,
                   to_string(type));
  return *found->second.backward;
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
