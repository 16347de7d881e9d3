// SPDX-License-Identifier: MIT
// MarkerProfile::learn: from ragged records to coordinates.
#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "base/threads.h"
#include "marker/base_number.h"
#include "marker/codon_period.h"
#include "marker/marker_profile.h"

namespace barcodemae {
namespace {

constexpr int kRounds = 3;
constexpr std::int64_t kMinimumRecords = 20;
constexpr std::int64_t kBlock = 256;  // records placed by one call

std::vector<std::string_view> evenly_spaced(const std::vector<std::string_view>& sequences,
                                            std::int64_t count) {
  const auto size = static_cast<std::int64_t>(sequences.size());
  if (size <= count) return sequences;
  std::vector<std::string_view> sample;
  sample.reserve(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    sample.push_back(sequences[static_cast<std::size_t>(i * size / count)]);
  }
  return sample;
}

}  // namespace

std::optional<MarkerProfile> MarkerProfile::learn(const std::vector<std::string_view>& sequences) {
  const std::vector<std::string_view> sample = evenly_spaced(sequences, kLearningRecords);
  std::optional<SiteCounts> counts = count_complete_records(sample);
  if (!counts) return std::nullopt;
  MarkerProfile profile(std::move(*counts));
  for (int round = 0; round < kRounds; ++round) {
    if (profile.conserved_sites() < kMinimumSites) return std::nullopt;
    profile = MarkerProfile(profile.count_placed_records(sample));
  }
  if (profile.conserved_sites() < kMinimumSites) return std::nullopt;
  const std::optional<CodonPeriod> codons = find_codon_period(profile.frequencies_);
  if (codons && codons->backwards) return MarkerProfile(flipped(profile.counts_));
  return profile;
}

MarkerProfile::SiteCounts MarkerProfile::flipped(SiteCounts counts) {
  std::ranges::reverse(counts);
  for (auto& site : counts) std::ranges::reverse(site);  // A, C, G, T ↔ T, G, C, A
  return counts;
}

std::optional<MarkerProfile::SiteCounts> MarkerProfile::count_complete_records(
    const std::vector<std::string_view>& sequences) {
  std::map<std::size_t, std::int64_t> lengths;
  for (const std::string_view sequence : sequences) ++lengths[sequence.size()];
  std::size_t length = 0;
  std::int64_t complete = 0;
  for (const auto& [bases, records] : lengths) {
    if (records >= complete) length = bases, complete = records;
  }
  if (complete < kMinimumRecords || length < static_cast<std::size_t>(kMinimumSites)) {
    return std::nullopt;
  }

  SiteCounts counts(length);
  const auto count = [&counts](std::string_view sequence) {
    for (std::size_t site = 0; site < sequence.size(); ++site) {
      const int base = base_number(sequence[site]);
      if (base >= 0) ++counts[site][static_cast<std::size_t>(base)];
    }
  };
  const auto score = [&counts](std::string_view sequence) {
    std::int64_t sum = 0;
    for (std::size_t site = 0; site < sequence.size(); ++site) {
      const int base = base_number(sequence[site]);
      if (base >= 0) sum += counts[site][static_cast<std::size_t>(base)];
    }
    return sum;
  };
  // The first record decides what is forward; each further one takes the strand that agrees more
  // with those before it.
  std::int64_t reversed = 0;
  for (const std::string_view sequence : sequences) {
    if (sequence.size() != length) continue;
    const std::string other = reverse_complement(sequence);
    const bool reverse = score(other) > score(sequence);
    count(reverse ? std::string_view(other) : sequence);
    reversed += reverse ? 1 : 0;
  }
  return 2 * reversed > complete ? flipped(std::move(counts)) : counts;
}

MarkerProfile::SiteCounts MarkerProfile::count_placed_records(
    const std::vector<std::string_view>& sequences) const {
  const auto size = static_cast<std::int64_t>(sequences.size());
  SiteCounts total(counts_.size());
  std::mutex mutex;
  parallel_for((size + kBlock - 1) / kBlock, [&](std::int64_t block, int) {
    SiteCounts counts(counts_.size());
    for (std::int64_t i = block * kBlock; i < std::min(size, (block + 1) * kBlock); ++i) {
      const std::string_view sequence = sequences[static_cast<std::size_t>(i)];
      const Placement placement = place(sequence);
      if (!placement.explained) continue;
      const std::string oriented =
          placement.reverse_complement ? reverse_complement(sequence) : std::string(sequence);
      const std::int64_t begin = std::max(0, -placement.begin);
      const std::int64_t end = std::min<std::int64_t>(static_cast<std::int64_t>(oriented.size()),
                                                      length() - placement.begin);
      for (std::int64_t base = begin; base < end; ++base) {
        const int number = base_number(oriented[static_cast<std::size_t>(base)]);
        if (number < 0) continue;
        ++counts[static_cast<std::size_t>(placement.begin + base)]
                [static_cast<std::size_t>(number)];
      }
    }
    const std::lock_guard lock(mutex);  // whole numbers: the order does not matter
    for (std::size_t site = 0; site < total.size(); ++site) {
      for (std::size_t base = 0; base < 4; ++base) total[site][base] += counts[site][base];
    }
  });
  return total;
}

}  // namespace barcodemae
