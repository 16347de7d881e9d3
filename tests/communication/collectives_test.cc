// SPDX-License-Identifier: MIT
#include "communication/collectives.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "base/error.h"
#include "process_threads.h"
#include "user_error.h"

namespace barcodemae {
namespace {

using testing::HasSubstr;

TEST(Share, SharesAreInOrderAndCoverEverything) {
  for (const std::int64_t count : {0, 1, 7, 8, 9}) {
    std::int64_t next = 0;
    for (int rank = 0; rank < 4; ++rank) {
      const Share share = share_of(count, rank, 4);
      EXPECT_EQ(share.begin, next);
      EXPECT_LE(share.size() - count / 4, 1);
      EXPECT_GE(share.size(), count / 4);
      next = share.end;
    }
    EXPECT_EQ(next, count);
  }
}

TEST(Collectives, EveryProcessGetsWhatTheRootHasOrAllTogether) {
  run_processes(3, [](ProcessThread& process) {
    const int rank = process.rank();
    EXPECT_EQ(from_root(process, 10 + rank), 10);
    EXPECT_EQ(text_from_root(process, std::string(static_cast<std::size_t>(3 - rank), 'x')), "xxx");
    EXPECT_TRUE(any(process, rank == 2));
    EXPECT_FALSE(any(process, false));
    const std::vector<int> own(static_cast<std::size_t>(rank), rank);
    EXPECT_EQ(concatenate(process, std::span<const int>(own)), (std::vector<int>{1, 2, 2}));
  });
}

TEST(Collectives, ADifferenceIsNamedToAll) {
  EXPECT_NO_THROW(run_processes(
      2, [](ProcessThread& process) { require_same(process, "colour", "red", "Paint them."); }));
  std::atomic<int> refused{0};
  const auto paint = [&](ProcessThread& process) {
    try {
      require_same(process, "colour", process.rank() == 2 ? "blue" : "red", "Paint them.");
    } catch (const UserError&) {
      ++refused;
      throw;
    }
  };
  EXPECT_THAT(user_error([&] { run_processes(3, paint); }),
              HasSubstr("colour: red in the first, blue in number 3\nPaint them."));
  EXPECT_EQ(refused, 3);
}

}  // namespace
}  // namespace barcodemae
