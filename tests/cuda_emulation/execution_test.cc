// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <numeric>
#include <set>
#include <thread>
#include <vector>

#include "cuda_runtime.h"
#include "emulation.h"
#include "emulation_test.h"

namespace barcodemae::cuda {

__global__ void sum_rows(float* sums, const float* x, int columns) {
  extern __shared__ __align__(128) std::byte dynamic_shared[];
  auto* const partial = reinterpret_cast<float*>(dynamic_shared);
  const unsigned thread = threadIdx.x;
  float sum = 0;
  for (unsigned i = thread; i < static_cast<unsigned>(columns); i += blockDim.x) {
    sum += x[blockIdx.x * static_cast<unsigned>(columns) + i];
  }
  for (int lanes = 16; lanes > 0; lanes /= 2) sum += __shfl_xor_sync(0xffffffff, sum, lanes);
  if (thread % 32 == 0) partial[thread / 32] = sum;
  __syncthreads();
  if (thread >= 32) return;
  sum = thread < blockDim.x / 32 ? partial[thread] : 0.0F;
  for (unsigned delta = 16; delta > 0; delta /= 2) sum += __shfl_down_sync(0xffffffff, sum, delta);
  if (thread == 0) sums[blockIdx.x] = sum;
}

__global__ void prefix_sums(int* sums, const int* x) {
  extern __shared__ __align__(128) std::byte dynamic_shared[];
  auto* const shared = reinterpret_cast<int*>(dynamic_shared);
  const unsigned thread = threadIdx.x;
  shared[thread] = x[blockIdx.x * blockDim.x + thread];
  __syncthreads();
  for (unsigned step = 1; step < blockDim.x; step *= 2) {
    const int before = thread >= step ? shared[thread - step] : 0;
    __syncthreads();
    shared[thread] += before;
    __syncthreads();
  }
  sums[blockIdx.x * blockDim.x + thread] = shared[thread];
}

// Each thread takes its neighbour's number; without `barrier` there may be none yet.
__global__ void rotate(int* y, int distance, bool barrier) {
  extern __shared__ __align__(128) std::byte dynamic_shared[];
  auto* const shared = reinterpret_cast<int*>(dynamic_shared);
  const unsigned thread = threadIdx.x;
  shared[thread] = static_cast<int>(thread);
  if (barrier) __syncthreads();
  y[blockIdx.x * blockDim.x + thread] =
      shared[(thread + static_cast<unsigned>(distance)) % blockDim.x];
}

// The same after a barrier: reads must precede writes.
__global__ void rotate_in_place(int* y, bool barrier) {
  extern __shared__ __align__(128) std::byte dynamic_shared[];
  auto* const shared = reinterpret_cast<int*>(dynamic_shared);
  const unsigned thread = threadIdx.x;
  shared[thread] = static_cast<int>(thread);
  __syncthreads();
  const int taken = shared[(thread + 32) % blockDim.x];
  if (barrier) __syncthreads();
  shared[thread] = taken;
  y[blockIdx.x * blockDim.x + thread] = shared[thread];
}

// A lane's neighbour after an operation of the warp that orders nothing else.
__global__ void rotate_in_warp(int* y, bool barrier) {
  extern __shared__ __align__(128) std::byte dynamic_shared[];
  auto* const shared = reinterpret_cast<int*>(dynamic_shared);
  const unsigned thread = threadIdx.x;
  shared[thread] = static_cast<int>(thread);
  if (barrier) __syncwarp();
  y[thread] = shared[(thread + 1) % 32];
}

__global__ void barrier_of_some(int* y, int waiting) {
  if (static_cast<int>(threadIdx.x) < waiting) __syncthreads();
  y[threadIdx.x] = 1;
}

__global__ void barriers_of_two_places(int* y) {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  y[threadIdx.x] = 1;
}

__global__ void barrier_and_shuffle(float* y) {
  if (threadIdx.x % 2 == 0) {
    __syncthreads();
  } else {
    y[threadIdx.x] = __shfl_sync(0xffffffff, y[threadIdx.x], 0);
  }
}

__global__ void two_shuffles(float* y) {
  const float x = y[threadIdx.x];
  y[threadIdx.x] =
      threadIdx.x < 5 ? __shfl_sync(0xffffffff, x, 0) : __shfl_xor_sync(0xffffffff, x, 1);
}

__global__ void shuffle_after_return(float* y) {
  if (threadIdx.x == 7) return;
  y[threadIdx.x] = __shfl_sync(0xffffffff, y[threadIdx.x], 0);
}

__global__ void partial_mask(float* y) {
  if (threadIdx.x < 16) y[threadIdx.x] = __shfl_sync(0xffff, y[threadIdx.x], 0);
}

__global__ void write_shared(int byte) {
  extern __shared__ __align__(128) std::byte dynamic_shared[];
  if (threadIdx.x == 0) dynamic_shared[byte] = std::byte{1};
}

__global__ void count_garbage(int* nans) {
  extern __shared__ __align__(128) std::byte dynamic_shared[];
  auto* const shared = reinterpret_cast<float*>(dynamic_shared);
  nans[blockIdx.x * blockDim.x + threadIdx.x] = isnan(shared[threadIdx.x]) ? 1 : 0;
  shared[threadIdx.x] = 0;
}

__global__ void votes(unsigned* y) {
  const auto lane = static_cast<int>(threadIdx.x);
  y[4 * lane] = __ballot_sync(0xffffffff, lane % 3 == 0);
  y[4 * lane + 1] = static_cast<unsigned>(__any_sync(0xffffffff, lane == 17));
  y[4 * lane + 2] = static_cast<unsigned>(__any_sync(0xffffffff, lane > 31));
  y[4 * lane + 3] = static_cast<unsigned>(__all_sync(0xffffffff, lane < 31));
}

__global__ void coordinates(int* y) {
  const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  __syncthreads();
  // The lane is the thread's number in its block, x running fastest.
  const unsigned first = __shfl_sync(0xffffffff, thread, 0);
  if (first == thread / 32 * 32) ++y[block * blockDim.x * blockDim.y * blockDim.z + thread];
}

__global__ void many_switches(float* y, int rounds) {
  float x = y[threadIdx.x];
  for (int i = 0; i < rounds; ++i) {
    x += __shfl_xor_sync(0xffffffff, x, 1);
    __syncthreads();
  }
  y[threadIdx.x] = x;
}

namespace {

std::vector<int> numbers(int count) {
  std::vector<int> result(static_cast<std::size_t>(count));
  std::iota(result.begin(), result.end(), 0);
  return result;
}

// What the rotations above should give for `blocks` blocks of `threads`.
std::vector<int> rotated(int blocks, int threads, int distance) {
  std::vector<int> result;
  for (int block = 0; block < blocks; ++block) {
    for (int i = 0; i < threads; ++i) result.push_back((i + distance) % threads);
  }
  return result;
}

TEST(CudaEmulation, ReducesByShufflesAndSharedMemory) {
  for (unsigned threads : {32U, 128U, 256U, 1024U}) {
    const int rows = 50;
    const int columns = 777;
    std::vector<float> x;
    for (int i = 0; i < rows * columns; ++i) x.push_back(static_cast<float>(i % 101));
    const OnDevice<float> device_x(x);
    const OnDevice<float> sums(rows);
    ASSERT_EQ(
        launch(sum_rows, rows, threads, threads / 32 * 4, sums.get(), device_x.get(), columns),
        cudaSuccess);
    const std::vector<float> result = sums.values();
    for (int row = 0; row < rows; ++row) {
      const auto begin = x.begin() + row * columns;
      EXPECT_EQ(result[static_cast<std::size_t>(row)],
                std::accumulate(begin, begin + columns, 0.0F));
    }
  }
}

TEST(CudaEmulation, SumsPrefixesWithBarriers) {
  const OnDevice<int> x(numbers(20 * 96));
  const OnDevice<int> sums(20 * 96);
  ASSERT_EQ(launch(prefix_sums, 20, 96, 96 * 4, sums.get(), x.get()), cudaSuccess);
  std::vector<int> expected = numbers(20 * 96);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (i % 96 != 0) expected[i] += expected[i - 1];
  }
  EXPECT_EQ(sums.values(), expected);
}

TEST(CudaEmulation, ShowsMissingBarriers) {
  const OnDevice<int> y(16 * 128);
  for (int distance : {1, 32, 127}) {
    ASSERT_EQ(launch(rotate, 16, 128, 512, y.get(), distance, true), cudaSuccess);
    EXPECT_EQ(y.values(), rotated(16, 128, distance));
    ASSERT_EQ(launch(rotate, 16, 128, 512, y.get(), distance, false), cudaSuccess);
    EXPECT_NE(y.values(), rotated(16, 128, distance)) << distance;
  }
  ASSERT_EQ(launch(rotate_in_place, 16, 128, 512, y.get(), true), cudaSuccess);
  EXPECT_EQ(y.values(), rotated(16, 128, 32));
  ASSERT_EQ(launch(rotate_in_place, 16, 128, 512, y.get(), false), cudaSuccess);
  EXPECT_NE(y.values(), rotated(16, 128, 32));

  const OnDevice<int> lanes(32);
  ASSERT_EQ(launch(rotate_in_warp, 1, 32, 128, lanes.get(), true), cudaSuccess);
  EXPECT_EQ(lanes.values(), rotated(1, 32, 1));
  ASSERT_EQ(launch(rotate_in_warp, 1, 32, 128, lanes.get(), false), cudaSuccess);
  EXPECT_NE(lanes.values(), rotated(1, 32, 1));
}

TEST(CudaEmulation, OrderDiffersFromBlockToBlock) {
  const OnDevice<int> y(16 * 128);
  ASSERT_EQ(launch(rotate, 16, 128, 512, y.get(), 32, false), cudaSuccess);
  const std::vector<int> result = y.values();
  std::set<std::vector<int>> orders;
  for (auto block = result.begin(); block != result.end(); block += 128) {
    orders.emplace(block, block + 128);
  }
  EXPECT_GT(orders.size(), 3U);
}

TEST(CudaEmulation, VotesOfLanes) {
  const OnDevice<unsigned> y(128);
  ASSERT_EQ(launch(votes, 1, 32, 0, y.get()), cudaSuccess);
  const std::vector<unsigned> result = y.values();
  for (std::size_t lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(result[4 * lane], 0x49249249U);
    EXPECT_EQ(result[4 * lane + 1], 1U);
    EXPECT_EQ(result[4 * lane + 2], 0U);
    EXPECT_EQ(result[4 * lane + 3], 0U);
  }
}

TEST(CudaEmulation, BlocksAndThreadsOfThreeDimensions) {
  const OnDevice<int> y(std::vector<int>(24 * 128));
  ASSERT_EQ(launch(coordinates, dim3(2, 3, 4), dim3(8, 4, 4), 0, y.get()), cudaSuccess);
  EXPECT_EQ(y.values(), std::vector<int>(24 * 128, 1));
}

TEST(CudaEmulation, ReturnedThreadsCountInBarriers) {
  const OnDevice<int> y(64);
  ASSERT_EQ(launch(barrier_of_some, 1, 64, 0, y.get(), 20), cudaSuccess);
  EXPECT_EQ(y.values(), std::vector<int>(64, 1));
}

TEST(CudaEmulation, SharedMemoryBeginsAsGarbage) {
  const OnDevice<int> nans(3 * 64);
  ASSERT_EQ(launch(count_garbage, 3, 64, 256, nans.get()), cudaSuccess);
  EXPECT_EQ(nans.values(), std::vector<int>(3 * 64, 1));
}

TEST(CudaEmulation, LimitsOfLaunches) {
  const OnDevice<int> y(64);
  const std::size_t allowed = 48 * 1024;
  EXPECT_EQ(launch(rotate, 1, 64, allowed, y.get(), 1, true), cudaSuccess);
  EXPECT_EQ(launch(rotate, 1, 64, allowed + 1, y.get(), 1, true), cudaErrorInvalidValue);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidValue);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  const auto attribute = cudaFuncAttributeMaxDynamicSharedMemorySize;
  EXPECT_EQ(cudaFuncSetAttribute(rotate, attribute, 227 * 1024 + 1), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFuncSetAttribute(rotate, attribute, 227 * 1024), cudaSuccess);
  EXPECT_EQ(launch(rotate, 1, 64, 227 * 1024, y.get(), 1, true), cudaSuccess);
  EXPECT_EQ(launch(rotate, 1, 64, 227 * 1024 + 1, y.get(), 1, true), cudaErrorInvalidValue);
  EXPECT_EQ(launch(rotate, 0, 64, 0, y.get(), 1, true), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch(rotate, 1, 1056, 0, y.get(), 1, true), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch(rotate, dim3(1, 65536), 64, 0, y.get(), 1, true), cudaErrorInvalidConfiguration);
  cudaGetLastError();
}

TEST(CudaEmulationDeathTest, DivergentOperations) {
  const OnDevice<int> y(64);
  const OnDevice<float> x(std::vector<float>(64));
  EXPECT_DEATH(launch(barriers_of_two_places, 1, 64, 0, y.get()),
               "threads of a block wait in different barriers.*\n.*in __syncthreads at .*_test.cc");
  EXPECT_DEATH(
      launch(barrier_and_shuffle, 1, 32, 0, x.get()),
      "block \\(0, 0, 0\\), warp 0: only some lanes take part in an operation of the warp");
  EXPECT_DEATH(launch(two_shuffles, 1, 32, 0, x.get()),
               "lanes wait in different operations of the warp");
  EXPECT_DEATH(launch(shuffle_after_return, 2, 32, 0, x.get()), "threads 7-7 have returned");
  EXPECT_DEATH(launch(two_shuffles, 1, 5, 0, x.get()), "threads 5-31 do not exist");
  EXPECT_DEATH(launch(partial_mask, 1, 32, 0, x.get()), "with mask 0xffff: only full masks");
}

// AddressSanitizer finds it first where there is one.
TEST(CudaEmulationDeathTest, SharedMemoryBeyondTheLaunch) {
  EXPECT_EQ(launch(write_shared, 1, 32, 100, 99), cudaSuccess);
  EXPECT_DEATH(launch(write_shared, 1, 32, 100, 100),
               "wrote to byte 100 of dynamic shared memory|use-after-poison");
  EXPECT_DEATH(launch(write_shared, 1, 32, 0, 227 * 1024 - 1),
               "wrote to byte 232447 of dynamic shared memory|use-after-poison");
}

TEST(CudaEmulation, LaunchesOfSeveralThreads) {
  const OnDevice<int> x(std::vector<int>(8 * 64, 1));
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      const OnDevice<int> sums(8 * 64);
      for (int round = 0; round < 20; ++round) {
        ASSERT_EQ(launch(prefix_sums, 8, 64, 256, sums.get(), x.get()), cudaSuccess);
        const std::vector<int> result = sums.values();
        for (std::size_t j = 0; j < result.size(); ++j) {
          ASSERT_EQ(result[j], static_cast<int>(j % 64) + 1);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// Prints the rate too; no bound on it holds under sanitizers and on every busy machine.
TEST(CudaEmulation, CountsSwitches) {
  const OnDevice<float> y(std::vector<float>(256));
  const std::uint64_t before = cuda_emulation::switches();
  const auto begun = std::chrono::steady_clock::now();
  ASSERT_EQ(launch(many_switches, 50, 256, 0, y.get(), 50), cudaSuccess);
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begun;
  const auto switches = static_cast<double>(cuda_emulation::switches() - before);
  EXPECT_GT(switches, 50 * 256 * 100 * 0.9);
  std::printf("%.1f million switches a second\n", switches / time.count() / 1e6);
}

}  // namespace
}  // namespace barcodemae::cuda
