// SPDX-License-Identifier: MIT
#include "train/gradient_sum.h"

#include <gtest/gtest.h>

#include "backend/backends.h"
#include "base/error.h"
#include "process_threads.h"

namespace barcodemae {
namespace {

/// Parameters a … d of 16 elements and a frozen one in between.
struct FiveParameters {
  FiveParameters() {
    for (const char* name : {"a", "b", "frozen", "c", "d"}) {
      parameters.declare({name}, 1, 16, {}, false, {.frozen = std::string(name) == "frozen"});
    }
    parameters.allocate(/*training=*/true);
  }
  float* gradient(int index) const {
    return static_cast<float*>(parameters.gradients().data) +
           parameters.entries()[static_cast<std::size_t>(index)].offset;
  }
  std::unique_ptr<Backend> backend = make_reference_backend();
  Parameters parameters{*backend};
};

TEST(GradientSum, StartsABucketWhenItAndAllBeforeItAreFinal) {
  ProcessThreads job(2);  // finish() is not called: nobody waits
  ProcessThread process(job, 0);
  FiveParameters five;
  GradientSum sum(five.parameters, process, /*bucket_elements=*/32);
  ASSERT_EQ(sum.buckets(), 3u);  // {d, c}, {frozen, b}, {a}
  sum.note_final(1);
  sum.note_final(4);
  EXPECT_TRUE(process.started.empty()) << "c is missing in the first bucket";
  sum.note_final(3);
  ASSERT_EQ(process.started.size(), 2u) << "and the second was waiting for it";
  EXPECT_EQ(process.started[0], std::make_pair(five.gradient(3), std::size_t{32}));
  EXPECT_EQ(process.started[1], std::make_pair(five.gradient(1), std::size_t{32}));
  sum.note_final(0);
  ASSERT_EQ(process.started.size(), 3u);
  EXPECT_EQ(process.started[2], std::make_pair(five.gradient(0), std::size_t{16}));
  EXPECT_THROW(sum.note_final(0), InternalError);
}

TEST(GradientSum, AddsUpOverProcessesAlsoWhereOneHasNothingToCompute) {
  run_processes(3, [](ProcessThread& process) {
    FiveParameters five;
    GradientSum sum(five.parameters, process, 32);
    for (int step = 1; step <= 2; ++step) {
      sum.begin();
      for (int i = 0; i < 5; ++i)
        *five.gradient(i) = static_cast<float>(step * (process.rank() + i));
      if (process.rank() != 1) {
        for (const int final : {4, 3, 1, 0}) sum.note_final(final);
      }
      sum.finish();
      for (int i = 0; i < 5; ++i) EXPECT_EQ(*five.gradient(i), step * (3 + 3 * i));
    }
    EXPECT_EQ(process.started.size(), 6u);
  });
}

}  // namespace
}  // namespace barcodemae
