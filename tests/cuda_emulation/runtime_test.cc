// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "cuda_runtime.h"
#include "emulation.h"
#include "emulation_test.h"
#include "sanitizer.h"

namespace barcodemae::cuda {

__global__ void write_at(float* x, int index) { x[index] = 1; }

namespace {

TEST(CudaEmulationRuntime, MemoryIsAlignedGarbageAndCounted) {
  std::size_t before = 0;
  std::size_t during = 0;
  std::size_t total = 0;
  ASSERT_EQ(cudaMemGetInfo(&before, &total), cudaSuccess);
  {
    const OnDevice<float> x(1001);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(x.get()) % 256, 0U);
    for (float value : x.values()) EXPECT_TRUE(std::isnan(value));
    ASSERT_EQ(cudaMemGetInfo(&during, &total), cudaSuccess);
    EXPECT_EQ(before - during, 4004U);
    EXPECT_EQ(cudaMemset(x.get(), 0, 4004), cudaSuccess);
    EXPECT_EQ(x.values(), std::vector<float>(1001));
    EXPECT_EQ(cudaMemset(x.get() + 1, 0, 4004), cudaErrorInvalidValue);
    EXPECT_EQ(cudaFree(x.get() + 1), cudaErrorInvalidValue);
  }
  float* memory = nullptr;
  setenv("BARCODEMAE_CUDA_EMULATION_MEMORY", "1048576", 1);
  EXPECT_EQ(cudaMalloc(&memory, (1 << 20) + 1), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaPeekAtLastError(), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaMalloc(&memory, 1 << 20), cudaSuccess);
  EXPECT_EQ(cudaFree(memory), cudaSuccess);
  EXPECT_EQ(cudaFree(memory), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFree(nullptr), cudaSuccess);
  unsetenv("BARCODEMAE_CUDA_EMULATION_MEMORY");
  cudaGetLastError();
}

TEST(CudaEmulationRuntime, CopiesOnlyAsTheKindSays) {
  const OnDevice<int> x(std::vector<int>{1, 2, 3});
  const OnDevice<int> y(3);
  std::vector<int> host(3);
  EXPECT_EQ(cudaMemcpyAsync(y.get(), x.get(), 12, cudaMemcpyDeviceToDevice), cudaSuccess);
  EXPECT_EQ(y.values(), (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(cudaMemcpy(y.get(), host.data(), 12, cudaMemcpyDefault), cudaSuccess);
  EXPECT_EQ(y.values(), std::vector<int>(3));
  EXPECT_EQ(cudaMemcpy(host.data(), x.get(), 12, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(host.data(), x.get(), 16, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(host.data(), x.get(), 12, cudaMemcpyHostToHost), cudaErrorInvalidValue);
  cudaGetLastError();
}

TEST(CudaEmulationRuntime, Devices) {
  int count = 0;
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaSuccess);
  EXPECT_EQ(count, 1);
  EXPECT_EQ(cudaSetDevice(1), cudaErrorInvalidDevice);
  cudaDeviceProp properties;
  ASSERT_EQ(cudaGetDeviceProperties(&properties, 0), cudaSuccess);
  EXPECT_EQ(properties.major, 9);
  EXPECT_EQ(properties.sharedMemPerBlockOptin, 227U * 1024);
  int shared = 0;
  EXPECT_EQ(cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0),
            cudaSuccess);
  EXPECT_EQ(shared, 227 * 1024);
  setenv("BARCODEMAE_CUDA_EMULATION_DEVICES", "2", 1);
  EXPECT_EQ(cudaSetDevice(1), cudaSuccess);
  EXPECT_EQ(cudaGetDevice(&count), cudaSuccess);
  EXPECT_EQ(count, 1);
  EXPECT_EQ(cudaSetDevice(0), cudaSuccess);
  setenv("BARCODEMAE_CUDA_EMULATION_DEVICES", "0", 1);
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorNoDevice);
  EXPECT_STREQ(cudaGetErrorName(cudaErrorNoDevice), "cudaErrorNoDevice");
  EXPECT_STREQ(cudaGetErrorString(cudaGetLastError()), "no CUDA-capable device is detected");
  unsetenv("BARCODEMAE_CUDA_EMULATION_DEVICES");
  setenv("BARCODEMAE_CUDA_EMULATION_DRIVER", "12080", 1);
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorInsufficientDriver);
  EXPECT_EQ(cudaDriverGetVersion(&count), cudaSuccess);
  EXPECT_EQ(count, 12080);
  unsetenv("BARCODEMAE_CUDA_EMULATION_DRIVER");
  setenv("BARCODEMAE_CUDA_EMULATION_CAPABILITY", "75", 1);
  ASSERT_EQ(cudaGetDeviceProperties(&properties, 0), cudaSuccess);
  EXPECT_EQ(properties.major * 10 + properties.minor, 75);
  unsetenv("BARCODEMAE_CUDA_EMULATION_CAPABILITY");
  cudaGetLastError();
}

TEST(CudaEmulationRuntime, StreamsAndEvents) {
  cudaStream_t stream = nullptr;
  cudaEvent_t begin = nullptr;
  cudaEvent_t end = nullptr;
  ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  ASSERT_EQ(cudaEventCreateWithFlags(&begin, cudaEventDefault), cudaSuccess);
  ASSERT_EQ(cudaEventCreateWithFlags(&end, cudaEventDefault), cudaSuccess);
  float milliseconds = -1;
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, begin, end), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaEventRecord(begin, stream), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(stream, begin), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(end, stream), cudaSuccess);
  EXPECT_EQ(cudaEventSynchronize(end), cudaSuccess);
  EXPECT_EQ(cudaEventQuery(end), cudaSuccess);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, begin, end), cudaSuccess);
  EXPECT_GE(milliseconds, 0);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  void* pinned = nullptr;
  ASSERT_EQ(cudaMallocHost(&pinned, 64), cudaSuccess);
  std::memset(pinned, 1, 64);
  EXPECT_EQ(cudaFreeHost(pinned), cudaSuccess);
  void* memory = nullptr;
  ASSERT_EQ(cudaMallocAsync(&memory, 64, stream), cudaSuccess);
  EXPECT_EQ(cudaMemsetAsync(memory, 0, 64, stream), cudaSuccess);
  EXPECT_EQ(cudaFreeAsync(memory, stream), cudaSuccess);
  EXPECT_EQ(cudaEventDestroy(begin), cudaSuccess);
  EXPECT_EQ(cudaEventDestroy(end), cudaSuccess);
  EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaEventRecord(end), cudaErrorInvalidResourceHandle);
  cudaGetLastError();
}

#ifdef BARCODEMAE_ADDRESS_SANITIZER
TEST(CudaEmulationRuntimeDeathTest, AddressSanitizerSeesDeviceMemory) {
  const OnDevice<float> x(5);
  EXPECT_EQ(launch(write_at, 1, 1, 0, x.get(), 4), cudaSuccess);
  EXPECT_DEATH(launch(write_at, 1, 1, 0, x.get(), 5), "heap-buffer-overflow");
  EXPECT_DEATH(x.get()[0] = 1, "use-after-poison");
}
#endif

}  // namespace
}  // namespace barcodemae::cuda
