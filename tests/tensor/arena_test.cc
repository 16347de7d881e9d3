// SPDX-License-Identifier: MIT
#include "tensor/arena.h"

#include <gtest/gtest.h>

#include <cstring>

#include "backend/reference/reference_backend.h"
#include "base/error.h"

namespace barcodemae {
namespace {

class ArenaTest : public testing::Test {
 protected:
  std::unique_ptr<Backend> backend = make_reference_backend();
  Arena arena{*backend};
};

TEST_F(ArenaTest, BlocksAreAlignedAndApart) {
  arena.reserve(1 << 16);
  std::vector<Bytes> blocks;
  for (const std::size_t size : {1, 63, 64, 65, 1000}) {
    blocks.push_back(arena.allocate(size));
    std::memset(blocks.back().data, static_cast<int>(size), size);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(blocks.back().data) % 64, 0u);
  }
  for (const Bytes block : blocks) {
    for (std::size_t i = 0; i < block.size; ++i) {
      ASSERT_EQ(static_cast<unsigned char*>(block.data)[i], block.size & 255);
    }
  }
}

TEST_F(ArenaTest, BestFitReusesTheSmallestHole) {
  arena.reserve(1 << 16);
  const Bytes large = arena.allocate(1024);
  arena.allocate(64);
  const Bytes small = arena.allocate(256);
  arena.allocate(64);
  arena.release(large.data);
  arena.release(small.data);
  EXPECT_EQ(arena.allocate(200).data, small.data);
  EXPECT_EQ(arena.allocate(200).data, large.data);
}

TEST_F(ArenaTest, NeighbouringHolesBecomeOne) {
  arena.reserve(1 << 16);
  const Bytes a = arena.allocate(128), b = arena.allocate(128), c = arena.allocate(128);
  arena.allocate(64);
  arena.release(a.data);
  arena.release(c.data);
  arena.release(b.data);
  EXPECT_EQ(arena.allocate(384).data, a.data);
}

TEST_F(ArenaTest, DryRunPredictsTheRealOne) {
  const auto work = [&] {
    const View x = arena.allocate(10, 7, DType::kFloat32);
    const Bytes scratch = arena.allocate(4096);
    arena.release(scratch.data);
    const View y = arena.allocate(10, 7, DType::kFloat64);
    arena.release(x.data);
    arena.allocate(3, 3, DType::kInt32);
    return y;
  };
  arena.begin_measuring();
  work();
  const std::size_t needed = arena.end_measuring();
  EXPECT_EQ(arena.capacity(), 0u) << "a dry run takes no memory";
  arena.reserve(needed);
  EXPECT_NO_THROW(work());
  EXPECT_EQ(arena.high_water(), needed);
  EXPECT_THROW(arena.allocate(8192), InternalError);
}

TEST_F(ArenaTest, NothingAndNoRows) {
  arena.reserve(1024);
  EXPECT_EQ(arena.allocate(0).data, nullptr);
  EXPECT_NO_THROW(arena.release(nullptr));
  EXPECT_NE(arena.allocate(0, 5, DType::kFloat32).data, nullptr) << "null means: no matrix";
}

TEST_F(ArenaTest, RefusesMoreThanTheMachineHas) {
  EXPECT_THROW(arena.reserve(std::size_t{1} << 60), UserError);
  EXPECT_EQ(arena.capacity(), 0u);
}

TEST_F(ArenaTest, ReleaseOfAStrangerIsABug) {
  arena.reserve(1024);
  const Bytes block = arena.allocate(100);
  arena.release(block.data);
  EXPECT_THROW(arena.release(block.data), InternalError);
}

}  // namespace
}  // namespace barcodemae
