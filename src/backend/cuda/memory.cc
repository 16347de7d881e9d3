// SPDX-License-Identifier: MIT
#include "backend/cuda/memory.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "backend/cuda/check.h"
#include "base/error.h"
#include "base/progress.h"

namespace barcodemae::cuda {
namespace {

std::string megabytes(std::size_t bytes) { return format_bytes(static_cast<double>(bytes)); }

[[noreturn]] void refuse_for_want_of_memory() {
  throw UserError(
      "the GPU is out of memory\n"
      "Use smaller batches (pretrain --micro-batch, embed --batch) or a smaller model.");
}

}  // namespace

void check(cudaError_t status) {
  if (status == cudaSuccess) return;
  if (status == cudaErrorMemoryAllocation) refuse_for_want_of_memory();
  if (status == cudaErrorNoKernelImageForDevice || status == cudaErrorUnsupportedPtxVersion) {
    throw UserError(
        "libbarcodemae_cuda.so has no kernels for this GPU ({})\n"
        "Build it for the GPU's compute capability (CMAKE_CUDA_ARCHITECTURES), or use --device "
        "cpu.",
        cudaGetErrorString(status));
  }
  throw InternalError(
      fmt::format("CUDA: {} ({})", cudaGetErrorString(status), cudaGetErrorName(status)));
}

void check(cublasStatus_t status) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  if (status == CUBLAS_STATUS_ALLOC_FAILED) refuse_for_want_of_memory();
  throw InternalError(fmt::format("cuBLASLt: status {}", static_cast<int>(status)));
}

void* allocate_memory(std::size_t bytes, cudaStream_t stream) {
  if (bytes == 0) return nullptr;
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // it would be reported again
    std::size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total));
    throw UserError(
        "{} bytes ({}) of the GPU's memory are needed at once, but only {} of {} are free.\n"
        "Use smaller batches (pretrain --micro-batch, embed --batch), a smaller model, or a GPU "
        "with more memory.",
        bytes, megabytes(bytes), megabytes(free), megabytes(total));
  }
  check(status);
  check(cudaMemsetAsync(memory, 0, bytes, stream));
  return memory;
}

void release_memory(void* memory) {
  // Nothing can be done about a failure, and the next call reports it.
  if (memory != nullptr) cudaFree(memory);
}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

Staging::Staging() {
  void* memory = nullptr;
  check(cudaMallocHost(&memory, 2 * kHalf));
  memory_ = static_cast<std::byte*>(memory);
  for (cudaEvent_t& event : copied_) {
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  }
}

Staging::~Staging() {
  for (cudaEvent_t event : copied_) cudaEventDestroy(event);
  cudaFreeHost(memory_);
}

void Staging::next_half(cudaStream_t stream) {
  check(cudaEventRecord(copied_[half_], stream));
  half_ = 1 - half_;
  used_ = 0;
  check(cudaEventSynchronize(copied_[half_]));
}

void Staging::upload(void* destination, const void* source, std::size_t bytes,
                     cudaStream_t stream) {
  const auto* from = static_cast<const std::byte*>(source);
  auto* to = static_cast<std::byte*>(destination);
  while (bytes > 0) {
    if (used_ == kHalf) next_half(stream);
    const std::size_t part = std::min(bytes, kHalf - used_);
    std::byte* staged = memory_ + static_cast<std::size_t>(half_) * kHalf + used_;
    std::memcpy(staged, from, part);
    check(cudaMemcpyAsync(to, staged, part, cudaMemcpyHostToDevice, stream));
    used_ += part;
    from += part;
    to += part;
    bytes -= part;
  }
}

}  // namespace barcodemae::cuda
