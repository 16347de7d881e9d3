// SPDX-License-Identifier: MIT
// The batch-hard triplet loss against PyTorch: which pairs are the hardest, also of equally hard
// ones, shows in the gradient.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "backend/backends.h"
#include "devices.h"
#include "formats/safetensors.h"
#include "ops/ops.h"

namespace barcodemae {
namespace {

/// Memory of a backend.
class Buffer {
 public:
  Buffer(Backend& backend, std::int64_t rows, std::int64_t cols, DType dtype)
      : backend_(backend), view{nullptr, rows, cols, dtype} {
    view.data = backend.allocate(view.bytes());
  }
  ~Buffer() { backend_.release(view.data, view.bytes()); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

 private:
  Backend& backend_;

 public:
  View view;
};

struct Triplets {
  std::vector<float> loss, gradient;  ///< {mean over the anchors, hits}; [vectors, width]
};

Triplets triplets(Backend& backend, const std::vector<float>& values,
                  const std::vector<std::int32_t>& labels, double margin, int anchors) {
  const auto count = static_cast<std::int64_t>(labels.size());
  const std::int64_t width = static_cast<std::int64_t>(values.size()) / count;
  const Buffer x(backend, count, width, DType::kFloat32),
      dx(backend, count, width, DType::kFloat32), of(backend, count, 1, DType::kInt32),
      loss(backend, 1, 2, DType::kFloat32);
  backend.upload(x.view, values.data());
  backend.upload(of.view, labels.data());
  const KernelMemory memory = backend.label_loss_memory(x.view);
  const auto bytes = static_cast<std::int64_t>(
      std::max(memory.forward_scratch, memory.backward_scratch) / sizeof(float) + 1);
  const Buffer scratch(backend, 1, bytes, DType::kFloat32);
  const Bytes room{scratch.view.data, scratch.view.bytes()};
  const LabelLoss options{.kind = LabelLoss::Kind::kTriplet, .margin = margin};
  const double scale = 1.0 / anchors;
  backend.label_loss_forward(loss.view, x.view, of.view, {}, scale, options, room);
  backend.label_loss_backward(dx.view, /*accumulate=*/false, /*dloss=*/1, x.view, of.view, {},
                              scale, options, room);
  Triplets result{std::vector<float>(2), std::vector<float>(values.size())};
  backend.download(result.loss.data(), loss.view);
  backend.download(result.gradient.data(), dx.view);
  return result;
}

class TripletParity : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(On, TripletParity, testing::ValuesIn(test_devices()),
                         [](const auto& test) { return test.param; });

TEST_P(TripletParity, LossHitsAndHardestPairs) {
  const SafetensorsFile golden(BARCODEMAE_TEST_DATA "/golden/triplet.safetensors");
  const auto rows = golden.entries().at("x").shape[0], width = golden.entries().at("x").shape[1];
  const auto integers = [&](const char* name) {
    const auto bytes = golden.bytes(name);
    std::vector<std::int32_t> values(bytes.size() / sizeof(std::int32_t));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  };
  const std::vector<std::int32_t> pairs = integers("first/pairs");
  int anchors = 0;
  for (std::size_t i = 0; i < pairs.size(); i += 2) anchors += pairs[i] >= 0 ? 1 : 0;
  ASSERT_EQ(anchors, 8);
  const auto backend = make_backend(GetParam());
  const Triplets ours = triplets(*backend, golden.floats("x", rows, width), integers("labels"),
                                 std::stod(golden.metadata().at("margin")), anchors);
  const std::vector<float> loss = golden.floats("first/loss", 1, 2);
  EXPECT_NEAR(ours.loss[0], loss[0], 1e-6);
  EXPECT_EQ(ours.loss[1], loss[1]);
  EXPECT_THAT(ours.gradient, testing::Pointwise(testing::FloatNear(1e-6f),
                                                golden.floats("first/gradient", rows, width)));
  // Another choice among equally hard ones costs the same and moves other vectors.
  EXPECT_NEAR(golden.floats("last/loss", 1, 2)[0], loss[0], 1e-7);
  EXPECT_THAT(ours.gradient,
              testing::Not(testing::Pointwise(testing::FloatNear(1e-2f),
                                              golden.floats("last/gradient", rows, width))));
}

}  // namespace
}  // namespace barcodemae
