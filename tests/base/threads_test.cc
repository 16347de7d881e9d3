// SPDX-License-Identifier: MIT
#include "base/threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

#include "base/error.h"

namespace barcodemae {
namespace {

TEST(ParallelFor, CallsEveryIndexOnce) {
  for (const int threads : {1, 2, 5}) {
    set_thread_count(threads);
    std::vector<std::atomic<int>> calls(1001);
    parallel_for(1001, [&](std::int64_t index, int thread) {
      EXPECT_GE(thread, 0);
      EXPECT_LT(thread, threads);
      ++calls[static_cast<std::size_t>(index)];
    });
    for (const auto& count : calls) EXPECT_EQ(count, 1);
  }
  parallel_for(0, [](std::int64_t, int) { FAIL(); });
}

TEST(ParallelFor, RethrowsAnException) {
  set_thread_count(3);
  EXPECT_THROW(parallel_for(100,
                            [](std::int64_t index, int) {
                              if (index == 41) throw UserError("row {}", index);
                            }),
               UserError);
}

TEST(ParallelFor, NestedCallsRunSerially) {
  set_thread_count(2);
  std::atomic<int> calls{0};
  parallel_for(4, [&](std::int64_t, int) {
    parallel_for(5, [&](std::int64_t, int thread) {
      EXPECT_EQ(thread, 0);
      ++calls;
    });
  });
  EXPECT_EQ(calls, 20);
}

}  // namespace
}  // namespace barcodemae
