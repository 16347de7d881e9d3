// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <utility>

#include "base/error.h"
#include "base/random.h"
#include "data/batch.h"

namespace barcodemae {
namespace {

/// The numbers of one record's positions. Four positions share a Philox block.
class MaskNumbers {
 public:
  MaskNumbers(std::uint64_t seed, std::uint32_t step, std::int32_t record)
      : seed_(seed), step_(step), record_(static_cast<std::uint32_t>(record)) {}

  std::uint32_t operator()(std::int32_t position) {
    const auto block = static_cast<std::uint32_t>(position) / 4;
    if (block != block_) {
      numbers_ =
          philox4x32({static_cast<std::uint32_t>(Stream::kMask), step_, record_, block}, seed_);
      block_ = block;
    }
    return numbers_[static_cast<std::size_t>(position % 4)];
  }

 private:
  std::uint64_t seed_;
  std::uint32_t step_, record_;
  std::uint32_t block_ = 0xFFFFFFFF;
  std::array<std::uint32_t, 4> numbers_{};
};

}  // namespace

MaskingPlan plan_masking(const PackedBatch& batch, MaskingScheme scheme, double ratio,
                         std::int32_t first_kmer_id, std::uint64_t seed, std::uint32_t step) {
  BARCODEMAE_CHECK(ratio >= 0 && ratio <= 1, "mask ratio {}", ratio);
  using Number = std::pair<std::uint64_t, std::int32_t>;  // and its row, which settles ties
  const auto ratio_threshold = static_cast<std::uint64_t>(std::llround(std::ldexp(ratio, 32)));
  MaskingPlan plan;
  plan.encoder_rows.reserve(batch.ids.size());
  plan.encoder_begins.reserve(batch.begins.size());
  std::vector<Number> numbers, ranked;  // of the k-mers of one sequence
  for (std::size_t sequence = 0; sequence < batch.records.size(); ++sequence) {
    const std::int32_t begin = batch.begins[sequence], end = batch.begins[sequence + 1];
    MaskNumbers number(seed, step, batch.records[sequence]);
    numbers.clear();
    for (std::int32_t row = begin; row < end; ++row) {
      const auto token = static_cast<std::size_t>(row);
      if (batch.ids[token] < first_kmer_id) continue;
      numbers.emplace_back(number(batch.positions[token]), row);
    }

    Number threshold{ratio_threshold, 0};  // what is below it is masked
    if (scheme == MaskingScheme::kExactCount) {
      const auto count =
          static_cast<std::size_t>(std::llround(ratio * static_cast<double>(numbers.size())));
      threshold = {std::uint64_t{1} << 32, 0};
      if (count < numbers.size()) {
        ranked = numbers;
        std::ranges::nth_element(ranked, ranked.begin() + static_cast<std::ptrdiff_t>(count));
        threshold = ranked[count];
      }
    }

    auto kmer = numbers.begin();
    for (std::int32_t row = begin; row < end; ++row) {
      if (kmer != numbers.end() && kmer->second == row) {
        if (*kmer++ < threshold) {
          plan.masked_rows.push_back(row);
          continue;
        }
        plan.visible_rows.push_back(row);
      }
      plan.encoder_rows.push_back(row);
    }
    plan.encoder_begins.push_back(static_cast<std::int32_t>(plan.encoder_rows.size()));
  }
  return plan;
}

}  // namespace barcodemae
