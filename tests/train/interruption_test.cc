// SPDX-License-Identifier: MIT
#include "train/interruption.h"

#include <gtest/gtest.h>

#include <csignal>

namespace barcodemae {
namespace {

int handled = 0;
extern "C" void count_signal(int) { ++handled; }

class InterruptionTest : public testing::Test {
 protected:
  void SetUp() override {
    handled = 0;
    std::signal(SIGTERM, count_signal);
    std::signal(SIGINT, count_signal);
    std::signal(SIGUSR1, count_signal);
  }
  void TearDown() override {
    std::signal(SIGTERM, SIG_DFL);
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGUSR1, SIG_DFL);
  }
};

TEST_F(InterruptionTest, TheFirstSignalIsNotedAndASecondOfEitherKindIsNot) {
  for (const int first : {SIGTERM, SIGINT, SIGUSR1}) {
    for (const int second : {SIGTERM, SIGINT, SIGUSR1}) {
      handled = 0;
      const InterruptionGuard guard;
      EXPECT_EQ(InterruptionGuard::received(), 0);
      std::raise(first);
      EXPECT_EQ(InterruptionGuard::received(), first);
      EXPECT_EQ(handled, 0);
      std::raise(second);
      EXPECT_EQ(handled, 1);
    }
  }
}

TEST_F(InterruptionTest, WhatSignalsDidBeforeTheyDoAfterwards) {
  { const InterruptionGuard guard; }
  std::raise(SIGTERM);
  std::raise(SIGINT);
  EXPECT_EQ(handled, 2);
}

TEST_F(InterruptionTest, IgnoredSignalsStayIgnored) {
  std::signal(SIGINT, SIG_IGN);
  const InterruptionGuard guard;
  std::raise(SIGINT);
  EXPECT_EQ(InterruptionGuard::received(), 0);
}

}  // namespace
}  // namespace barcodemae
