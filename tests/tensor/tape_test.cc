// SPDX-License-Identifier: MIT
#include "tensor/tape.h"

#include <gtest/gtest.h>

#include "backend/reference/reference_backend.h"
#include "ops/ops.h"
#include "tensor/context.h"

namespace barcodemae {
namespace {

class TapeTest : public testing::Test {
 protected:
  TapeTest() { arena.reserve(1 << 16); }

  Tensor leaf(const std::vector<float>& values) {
    Tensor x{arena.allocate(static_cast<std::int64_t>(values.size()), 1, DType::kFloat32)};
    backend->upload(x.view, values.data());
    x.node = tape.add_slot(x.view);
    // Recorded first, so run last: sees the whole gradient.
    tape.record(x.node, {}, [this](View gradient) { leaf_gradient = download(gradient); });
    return x;
  }
  // Stands for a loss whose gradient with respect to x is `gradient`.
  void loss(const Tensor& x, std::vector<float> gradient) {
    tape.record_loss({}, [this, x, gradient] {
      const GradientTarget dx = tape.contribute(x.node);
      EXPECT_FALSE(dx.accumulate);
      backend->upload(dx.view, gradient.data());
    });
  }
  std::vector<float> download(View view) {
    std::vector<float> values(static_cast<std::size_t>(view.size()));
    backend->download(values.data(), view);
    return values;
  }

  std::unique_ptr<Backend> backend = make_reference_backend();
  Arena arena{*backend};
  Tape tape{arena};
  Context context{*backend, arena, &tape};
  std::vector<float> leaf_gradient;
};

TEST_F(TapeTest, ContributionsAddUp) {
  const Tensor x = leaf({1, 2, 3});
  const Tensor y = ops::add(context, ops::add(context, x, x), x);
  EXPECT_EQ(download(y.view), (std::vector<float>{3, 6, 9}));
  loss(y, {1, 10, 100});
  tape.backward();
  EXPECT_EQ(leaf_gradient, (std::vector<float>{3, 30, 300}));
}

TEST_F(TapeTest, WhatNobodyAskedForIsSkipped) {
  const Tensor x = leaf({1, 2});
  ops::add(context, x, x);  // no loss depends on it
  const Tensor y = ops::add(context, x, x);
  loss(y, {1, 1});
  tape.backward();
  EXPECT_EQ(leaf_gradient, (std::vector<float>{2, 2}));
}

TEST_F(TapeTest, GradientsAreGivenBackOnceUsed) {
  // Two gradients are alive at a time, however long the chain.
  const auto bytes = [&](int ops) {
    arena.rewind();
    Tensor x = leaf(std::vector<float>(16));
    for (int i = 0; i < ops; ++i) x = ops::add(context, x, x);
    loss(x, std::vector<float>(16, 1.0f));
    const std::size_t forward = arena.high_water();
    tape.backward();
    return arena.high_water() - forward;
  };
  EXPECT_EQ(bytes(2), 128u);
  EXPECT_EQ(bytes(20), 128u);
}

TEST_F(TapeTest, ForgetsAfterBackward) {
  const Tensor x = leaf({1});
  loss(x, {5});
  tape.backward();
  leaf_gradient.clear();
  tape.backward();
  EXPECT_TRUE(leaf_gradient.empty());
}

// A scale of two parameters: its closure only says which it belongs to.
TEST_F(TapeTest, ReportsAGradientOnceNothingLeftAddsToIt) {
  Parameters parameters(*backend);
  for (const char* name : {"shared", "first", "second", "skipped"}) {
    parameters.declare({name}, 1, 1, {});
  }
  const int frozen = parameters.declare({"frozen"}, 1, 1, {}, false, {.frozen = true});
  parameters.allocate(/*training=*/true);
  std::vector<std::string> events;
  const auto use = [&](const char* name, const std::vector<int>& indices, Tensor x) {
    const Tensor y = ops::add(context, x, x);
    std::vector<Parameter> used;
    for (const int index : indices) used.push_back(parameters.get(index));
    tape.record(y.node, used, [&, name, x](View dy) {
      events.emplace_back(name);
      backend->upload(tape.contribute(x.node).view, std::vector<float>{1}.data());
      EXPECT_EQ(dy.rows, 1);
    });
    return y;
  };
  const Tensor x = leaf({1});
  const Tensor a = use("a", {0, 1}, x);
  use("nobody asked", {0, 3}, a);  // 3 is in no other op: final although nothing was added
  const Tensor b = use("b", {2, frozen, 0}, a);
  loss(b, {1});
  tape.when_final([&](int parameter) {
    events.push_back(parameters.entries()[static_cast<std::size_t>(parameter)].names[0]);
  });
  tape.backward();
  EXPECT_EQ(events, (std::vector<std::string>{"b", "second", "skipped", "a", "shared", "first"}));
}

// Ops on tensors without rows launch nothing, yet the gradient of what they came from is right.
TEST_F(TapeTest, GatherOfNoRowsHasZeroGradient) {
  const Tensor x = leaf({1, 2, 3});
  const Tensor none = ops::gather_rows(context, x, context.upload(std::vector<std::int32_t>{}));
  EXPECT_EQ(none.rows(), 0);
  tape.record_loss({}, [&] { tape.contribute(none.node); });
  tape.backward();
  EXPECT_EQ(leaf_gradient, (std::vector<float>{0, 0, 0}));
}

}  // namespace
}  // namespace barcodemae
