// SPDX-License-Identifier: MIT
#include "evaluation/embedding_cache.h"

#include <gtest/gtest.h>

#include <fstream>

#include "communication/single_process.h"
#include "temporary_folder.h"

namespace barcodemae {
namespace {

namespace fs = std::filesystem;

class EmbeddingCacheTest : public testing::Test {
 protected:
  Matrix get(const std::string& identity, float value) {
    return EmbeddingCache(folder_).get(identity, alone_, [&] {
      ++computed_;
      return Matrix{1, 2, {value, value}};
    });
  }

  const TemporaryFolder temporary_;
  fs::path folder_ = temporary_ / "cache";
  int computed_ = 0;
  SingleProcess alone_;
};

TEST_F(EmbeddingCacheTest, ComputesOnceForEachIdentity) {
  EXPECT_EQ(get("model a, data b", 1).values[0], 1);
  EXPECT_EQ(get("model a, data b", 2).values[0], 1);
  EXPECT_EQ(get("model a, data c", 3).values[0], 3);
  EXPECT_EQ(computed_, 2);
}

TEST_F(EmbeddingCacheTest, DamagedFilesAreComputedAgain) {
  get("x", 1);
  for (const auto& entry : fs::directory_iterator(folder_)) {
    std::ofstream(entry.path(), std::ios::trunc) << "no array";
  }
  EXPECT_EQ(get("x", 2).values[0], 2);
  EXPECT_EQ(get("x", 3).values[0], 2) << "and stored";
}

TEST_F(EmbeddingCacheTest, AFolderThatCannotBeMadeIsNoError) {
  folder_ = "/dev/null/cache";
  EXPECT_EQ(get("x", 4).values[0], 4);
}

TEST(EmbeddingCacheSwitchedOff, AlwaysComputes) {
  int computed = 0;
  SingleProcess alone;
  const EmbeddingCache cache{fs::path{}};
  for (int i = 0; i < 2; ++i) {
    cache.get("x", alone, [&] {
      ++computed;
      return Matrix{};
    });
  }
  EXPECT_EQ(computed, 2);
}

}  // namespace
}  // namespace barcodemae
