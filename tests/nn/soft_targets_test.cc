// SPDX-License-Identifier: MIT
// What a soft target is: the share of each class of a softmax, read off the loss.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "backend/backends.h"
#include "devices.h"
#include "model_run.h"
#include "nn/presets.h"

namespace barcodemae {
namespace {

constexpr double kSharpness = 0.7;

/// By its definition, without a table.
int edits(std::string_view a, std::string_view b) {
  if (a.empty() || b.empty()) return static_cast<int>(a.size() + b.size());
  return std::min({edits(a.substr(1), b) + 1, edits(a, b.substr(1)) + 1,
                   edits(a.substr(1), b.substr(1)) + (a[0] == b[0] ? 0 : 1)});
}

int differences(std::string_view a, std::string_view b) {
  int count = 0;
  for (std::size_t i = 0; i < a.size(); ++i) count += a[i] == b[i] ? 0 : 1;
  return count;
}

/// All 3-mers, in the order of their numbers.
std::vector<std::string> three_mers() {
  std::vector<std::string> kmers;
  for (const char first : std::string("ACGT")) {
    for (const char second : std::string("ACGT")) {
      for (const char third : std::string("ACGT")) kmers.push_back({first, second, third});
    }
  }
  return kmers;
}

/// A model whose logits are its head's biases, and one masked 3-mer.
class OneMasked {
 public:
  OneMasked(const std::string& device, HeadKind head, SoftTargets soft)
      : run_(make_backend(device), config(head, soft), DType::kFloat32) {
    run_.parameters.initialise(1);
    std::vector<float> weight = run_.parameters.download("head.weight");
    std::ranges::fill(weight, 0.0f);
    run_.parameters.upload("head.weight", weight);
  }

  /// Of the 3-mer of this number when the bias of one class is 1, and all others 0.
  double loss(std::int32_t kmer, std::size_t one) {
    std::vector<float> bias(run_.parameters.download("head.bias").size(), 0.0f);
    bias[one] = 1;
    run_.parameters.upload("head.bias", bias);
    PackedBatch batch;
    batch.append({{run_.model.config().first_kmer() + kmer}, {0}}, 0);
    MaskingPlan plan;
    plan.encoder_rows = plan.masked_rows = {0};
    plan.encoder_begins = batch.begins;
    plan.ids = {0};  // [MASK]
    return run_.train(batch, plan, {.masked = 1}, /*masked_weight=*/1)[0][0];
  }

 private:
  static ModelConfig config(HeadKind head, SoftTargets soft) {
    ModelConfig config = preset("tiny");
    config.objective = ObjectiveKind::kMaskedLanguageModel;
    config.k = 3;
    config.vocabulary = 66;
    config.encoder = {.width = 8, .layers = 1, .heads = 1, .feed_forward = 8};
    config.max_positions = 8;
    config.dropout = 0;
    config.head = head;
    config.soft_targets = soft;
    config.soft_sharpness = kSharpness;
    return config;
  }

  ModelRun run_;
};

class SoftTargetValues : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(On, SoftTargetValues, testing::ValuesIn(test_devices()),
                         [](const auto& test) { return test.param; });

TEST_P(SoftTargetValues, FallWithTheDifferencesOrTheEdits) {
  const std::vector<std::string> kmers = three_mers();
  const auto number = [&](const std::string& kmer) {
    return std::ranges::find(kmers, kmer) - kmers.begin();
  };
  struct Pair {
    std::string target, other;
    int differences, edits;
  };
  const std::vector<Pair> pairs = {{"ACG", "ACG", 0, 0}, {"ACG", "ATG", 1, 1}, {"TTA", "TTG", 1, 1},
                                   {"ACG", "CAG", 2, 2}, {"AAC", "CAA", 2, 2}, {"ACG", "CGA", 3, 2},
                                   {"CGA", "ACG", 3, 2}, {"GTC", "AGT", 3, 2}, {"AAA", "TTT", 3, 3},
                                   {"ACG", "GTA", 3, 3}};
  for (const SoftTargets soft : {SoftTargets::kHamming, SoftTargets::kLevenshtein}) {
    const bool hamming = soft == SoftTargets::kHamming;
    const auto distance = hamming ? differences : edits;
    OneMasked model(GetParam(), HeadKind::kKmer, soft);
    for (const Pair& pair : pairs) {
      const std::string name =
          (hamming ? "differences of " : "edits of ") + pair.target + " and " + pair.other;
      EXPECT_EQ(distance(pair.target, pair.other), hamming ? pair.differences : pair.edits) << name;
      double sum = 0;
      for (const std::string& kmer : kmers) {
        sum += std::exp(-kSharpness * distance(pair.target, kmer));
      }
      const double share = std::exp(-kSharpness * distance(pair.target, pair.other)) / sum;
      // The shares add up to 1. They differ by 0.007 at least; a rounding of the loss is 5e-7.
      EXPECT_NEAR(model.loss(static_cast<std::int32_t>(number(pair.target)),
                             static_cast<std::size_t>(number(pair.other))),
                  std::log(63 + std::exp(1.0)) - share, 2e-6)
          << name;
    }
  }
}

TEST_P(SoftTargetValues, OfABaseAreAlikeForAllOtherBases) {
  const double sum = 1 + 3 * std::exp(-kSharpness);
  OneMasked model(GetParam(), HeadKind::kBase, SoftTargets::kHamming);
  const std::int32_t acg = 0b000110;
  const std::size_t bases[] = {0, 1, 2};
  for (std::size_t logit = 0; logit < 12; ++logit) {
    const double share = (bases[logit / 4] == logit % 4 ? 1 : std::exp(-kSharpness)) / sum;
    EXPECT_NEAR(model.loss(acg, logit), 2 * std::log(4.0) + std::log(3 + std::exp(1.0)) - share,
                2e-6)
        << logit;
  }
}

}  // namespace
}  // namespace barcodemae
