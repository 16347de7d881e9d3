// SPDX-License-Identifier: MIT
#include "tensor/context.h"

#include <gtest/gtest.h>

#include "backend/reference/reference_backend.h"

namespace barcodemae {
namespace {

TEST(ContextTest, DropoutOnlyInTraining) {
  const auto backend = make_reference_backend();
  Arena arena(*backend);
  Tape tape(arena);
  Context context{*backend, arena, nullptr};
  context.seed = 9;
  context.step = 4;
  EXPECT_EQ(context.dropout(0.1f, 3).probability, 0.0f);
  context.tape = &tape;
  const Dropout dropout = context.dropout(0.1f, 3);
  EXPECT_EQ(dropout.probability, 0.1f);
  EXPECT_EQ(dropout.seed, 9u);
  EXPECT_EQ(dropout.step, 4u);
  EXPECT_EQ(dropout.site, 3u);
}

TEST(ContextTest, DiscardsOnlyWithoutTape) {
  const auto backend = make_reference_backend();
  Arena arena(*backend);
  arena.reserve(4096);
  Tape tape(arena);
  Context context{*backend, arena, &tape};
  const Tensor kept{arena.allocate(4, 4, DType::kFloat32)};
  context.discard(kept);
  EXPECT_NE(arena.allocate(4, 4, DType::kFloat32).data, kept.view.data);
  context.tape = nullptr;
  context.discard(kept);
  EXPECT_EQ(arena.allocate(4, 4, DType::kFloat32).data, kept.view.data);
}

}  // namespace
}  // namespace barcodemae
