// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/random.h"
#include "data/batch.h"

namespace barcodemae {
namespace {

/// The numbers of one record's positions, for one purpose. Four positions share a Philox block.
class PositionNumbers {
 public:
  PositionNumbers(Stream stream, std::uint64_t seed, std::uint32_t step, std::int32_t record)
      : stream_(static_cast<std::uint32_t>(stream)),
        seed_(seed),
        step_(step),
        record_(static_cast<std::uint32_t>(record)) {}

  std::uint32_t operator()(std::int32_t position) {
    const auto block = static_cast<std::uint32_t>(position) / 4;
    if (block != block_) {
      numbers_ = philox4x32({stream_, step_, record_, block}, seed_);
      block_ = block;
    }
    return numbers_[static_cast<std::size_t>(position % 4)];
  }

 private:
  std::uint32_t stream_;
  std::uint64_t seed_;
  std::uint32_t step_, record_;
  std::uint32_t block_ = 0xFFFFFFFF;
  std::array<std::uint32_t, 4> numbers_{};
};

std::uint64_t threshold_of(double share) {
  return static_cast<std::uint64_t>(std::llround(std::ldexp(share, 32)));
}

bool is_kmer(const MaskingRules& rules, std::int32_t id) {
  return id >= rules.first_kmer && id < rules.first_kmer + rules.kmers;
}

enum class Fate { kMasked, kRandom, kKept };

/// What becomes of a chosen token, and which k-mer comes in its place.
struct Replacement {
  Fate fate = Fate::kMasked;
  std::int32_t id = KmerVocabulary::kMask;
};

Replacement replacement(const MaskingRules& rules, std::int32_t id, std::uint64_t seed,
                        std::uint32_t step, std::int32_t record, std::int32_t position) {
  if (rules.random_share == 0 && rules.keep_share == 0) return {};
  const auto numbers =
      philox4x32({static_cast<std::uint32_t>(Stream::kReplacement), step,
                  static_cast<std::uint32_t>(record), static_cast<std::uint32_t>(position)},
                 seed);
  if (numbers[0] < threshold_of(rules.random_share)) {
    // One of the others, all alike likely but for 2⁻³² · k-mers.
    const auto others = static_cast<std::uint64_t>(rules.kmers) - 1;
    const auto step_on = static_cast<std::int32_t>((numbers[1] * others) >> 32) + 1;
    return {Fate::kRandom, rules.first_kmer + (id - rules.first_kmer + step_on) % rules.kmers};
  }
  if (numbers[0] < threshold_of(rules.random_share + rules.keep_share)) return {Fate::kKept, id};
  return {};
}

using Number = std::pair<std::uint64_t, std::int32_t>;  // and its row, which settles ties

/// Of the k-mers of one sequence: what is below it is chosen.
Number threshold(const MaskingRules& rules, const std::vector<Number>& numbers) {
  if (rules.scheme == MaskingScheme::kBernoulli) return {threshold_of(rules.ratio), 0};
  const auto count =
      static_cast<std::size_t>(std::llround(rules.ratio * static_cast<double>(numbers.size())));
  if (count >= numbers.size()) return {std::uint64_t{1} << 32, 0};
  std::vector<Number> ranked = numbers;
  std::ranges::nth_element(ranked, ranked.begin() + static_cast<std::ptrdiff_t>(count));
  return ranked[count];
}

}  // namespace

MaskingPlan plan_masking(const PackedBatch& batch, const MaskingRules& rules, std::uint64_t seed,
                         std::uint32_t step) {
  BARCODEMAE_CHECK(rules.ratio >= 0 && rules.ratio <= 1, "mask ratio {}", rules.ratio);
  BARCODEMAE_CHECK(rules.random_share >= 0 && rules.keep_share >= 0 &&
                       rules.random_share + rules.keep_share <= 1 && rules.span >= 1,
                   "random share {}, keep share {}, span {}", rules.random_share, rules.keep_share,
                   rules.span);
  BARCODEMAE_CHECK(rules.predict_share > 0 && rules.predict_share <= 1, "predict share {}",
                   rules.predict_share);
  MaskingPlan plan;
  if (rules.leave_out && rules.predict_share < 1) plan.decoder_rows.emplace();
  plan.encoder_rows.reserve(batch.ids.size());
  plan.encoder_begins.reserve(batch.begins.size());
  if (!rules.leave_out || rules.random_share > 0) plan.ids = batch.ids;
  std::vector<Number> numbers;  // of the k-mers of one sequence
  for (std::size_t sequence = 0; sequence < batch.records.size(); ++sequence) {
    const std::int32_t begin = batch.begins[sequence], end = batch.begins[sequence + 1];
    const std::int32_t record = batch.records[sequence];
    PositionNumbers number(Stream::kMask, seed, step, record);
    PositionNumbers prediction(Stream::kPrediction, seed, step, record);
    numbers.clear();
    for (std::int32_t row = begin; row < end; ++row) {
      const auto token = static_cast<std::size_t>(row);
      if (!is_kmer(rules, batch.ids[token])) continue;
      const std::int32_t place = batch.positions[token] - rules.first_position;
      numbers.emplace_back(number(rules.first_position + place / rules.span), row);
    }

    const Number chosen_below = threshold(rules, numbers);
    auto kmer = numbers.begin();
    for (std::int32_t row = begin; row < end; ++row) {
      bool seen = true, predicted = false;
      if (kmer != numbers.end() && kmer->second == row) {
        if (*kmer++ < chosen_below) {
          const auto token = static_cast<std::size_t>(row);
          const Replacement instead =
              replacement(rules, batch.ids[token], seed, step, record, batch.positions[token]);
          predicted = rules.predict_share == 1 ||
                      prediction(batch.positions[token]) < threshold_of(rules.predict_share);
          if (predicted) plan.masked_rows.push_back(row);
          if (!plan.ids.empty()) plan.ids[token] = instead.id;
          seen = !rules.leave_out || instead.fate != Fate::kMasked;
        } else {
          plan.visible_rows.push_back(row);
        }
      }
      if (seen) plan.encoder_rows.push_back(row);
      if (plan.decoder_rows && (seen || predicted)) plan.decoder_rows->push_back(row);
    }
    plan.encoder_begins.push_back(static_cast<std::int32_t>(plan.encoder_rows.size()));
  }
  return plan;
}

MaskingPlan plan_next_tokens(const PackedBatch& batch, const MaskingRules& rules) {
  MaskingPlan plan;
  plan.encoder_begins = batch.begins;
  plan.encoder_rows.resize(batch.ids.size());
  std::iota(plan.encoder_rows.begin(), plan.encoder_rows.end(), 0);
  for (std::size_t sequence = 0; sequence < batch.records.size(); ++sequence) {
    for (std::int32_t row = batch.begins[sequence] + 1; row < batch.begins[sequence + 1]; ++row) {
      if (is_kmer(rules, batch.ids[static_cast<std::size_t>(row)])) plan.masked_rows.push_back(row);
    }
  }
  return plan;
}

}  // namespace barcodemae
