// SPDX-License-Identifier: MIT
#include "base/progress.h"

#include <gtest/gtest.h>

#include <limits>

namespace barcodemae {
namespace {

TEST(Format, Durations) {
  EXPECT_EQ(format_duration(41.6), "42 s");
  EXPECT_EQ(format_duration(185), "3 min 05 s");
  EXPECT_EQ(format_duration(7620), "2 h 07 min");
  EXPECT_EQ(format_duration(std::numeric_limits<double>::infinity()), "?");
}

TEST(Format, Counts) {
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1234567), "1,234,567");
  EXPECT_EQ(format_count(-100000), "-100,000");
}

TEST(Format, Bytes) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(3.44e9), "3.44 GB");
  EXPECT_EQ(format_bytes(12.3e6), "12.3 MB");
}

TEST(ProgressLine, GoesToStandardError) {
  testing::internal::CaptureStderr();
  {
    Progress progress("embedding", "barcodes", 10);
    progress.update(10, "half way");
    progress.finish("done");
  }
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find("embedding: 10 barcodes"), std::string::npos) << text;
  EXPECT_NE(text.find("done"), std::string::npos) << text;
}

}  // namespace
}  // namespace barcodemae
