// SPDX-License-Identifier: MIT
#include "backend/cpu/memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "user_error.h"

namespace barcodemae::cpu {
namespace {

TEST(Memory, IsAlignedAndZeroedWhetherSmallOrLarge) {
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{1000}, std::size_t{9} << 20}) {
    const Buffer buffer(bytes);
    const auto* begin = static_cast<const unsigned char*>(buffer.data());
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(begin) % kAlignment, 0u);
    EXPECT_TRUE(std::all_of(begin, begin + bytes, [](unsigned char byte) { return byte == 0; }));
  }
}

TEST(Memory, SaysHowManyBytesAreMissing) {
  const std::size_t bytes = std::size_t{1} << 46;
  EXPECT_THAT(user_error([&] { allocate_memory(bytes); }),
              testing::HasSubstr(std::to_string(bytes)));
}

TEST(Memory, CarvesTheSameWithAndWithoutMemory) {
  Carver counting(nullptr);
  EXPECT_EQ(counting.take<float>(3), nullptr);
  EXPECT_EQ(counting.take(5, DType::kBFloat16), nullptr);
  const Buffer buffer(counting.used());
  Carver carving(buffer.data());
  EXPECT_EQ(carving.take<float>(3), buffer.data());
  EXPECT_EQ(carving.take(5, DType::kBFloat16), static_cast<std::byte*>(buffer.data()) + kAlignment);
  EXPECT_EQ(carving.used(), counting.used());
}

TEST(Memory, CopiesPastTheCachesWhatMemcpyWould) {
  for (const std::size_t bytes : {0, 2, 16, 46, 640}) {
    const Buffer from(1024), to(1024);
    auto* source = static_cast<unsigned char*>(from.data());
    std::iota(source, source + 1024, static_cast<unsigned char>(1));
    copy_past_caches(to.data(), source, bytes);
    const auto* copied = static_cast<const unsigned char*>(to.data());
    EXPECT_TRUE(std::equal(source, source + bytes, copied));
    EXPECT_EQ(copied[bytes], 0);
  }
}

}  // namespace
}  // namespace barcodemae::cpu
