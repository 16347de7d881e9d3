// SPDX-License-Identifier: MIT
#include "analysis/aligned_identity.h"

#include <algorithm>
#include <bit>
#include <memory>

#include "analysis/identity_kernel.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/threads.h"
#include "data/marker_sites.h"

namespace barcodemae {
namespace {

constexpr int kSitesPerWord = 64;
constexpr std::int64_t kQueriesPerTask = 16;

}  // namespace

AlignedSequences::AlignedSequences(const Dataset& data, std::span<const std::int64_t> records,
                                   const MarkerProfile& profile)
    : size_(static_cast<std::int64_t>(records.size())),
      words_((profile.length() + kSitesPerWord - 1) / kSitesPerWord) {
  BARCODEMAE_CHECK(data.anchored(), "aligned identity needs anchored records");
  const std::int64_t groups = (size_ + kIdentityLanes - 1) / kIdentityLanes;
  planes_.resize(static_cast<std::size_t>(groups * words_ * 3 * kIdentityLanes));
  full_weight_.assign(static_cast<std::size_t>(words_), 0);
  for (int site = 0; site < profile.length(); ++site) {
    const bool third = profile.has_codons() && (site - profile.codon_start() + 3) % 3 == 2;
    if (!third) {
      full_weight_[static_cast<std::size_t>(site / kSitesPerWord)] |= std::uint64_t{1}
                                                                      << site % kSitesPerWord;
    }
  }
  parallel_for(groups, [&](std::int64_t group, int) {
    for (std::int64_t lane = 0; lane < kIdentityLanes; ++lane) {
      const std::int64_t index = group * kIdentityLanes + lane;
      if (index >= size_) break;
      const std::int64_t record = records[static_cast<std::size_t>(index)];
      visit_sites(data, record, profile.length(), [&](std::int64_t site, std::size_t base) {
        std::uint64_t* planes =
            planes_.data() + ((group * words_ + site / kSitesPerWord) * 3) * kIdentityLanes + lane;
        const int bit = static_cast<int>(site % kSitesPerWord);
        planes[0] |= std::uint64_t{1} << bit;
        planes[kIdentityLanes] |= std::uint64_t{base & 1} << bit;
        planes[2 * kIdentityLanes] |= std::uint64_t{base >> 1} << bit;
      });
    }
  });
}

std::vector<Neighbour> AlignedSequences::nearest(const AlignedSequences& keys,
                                                 const AlignedSequences& queries,
                                                 const std::string& title) {
  BARCODEMAE_CHECK(keys.words_ == queries.words_, "different markers");
  const std::int64_t words = keys.words_;
  std::vector<Neighbour> result(static_cast<std::size_t>(queries.size_));
  std::unique_ptr<Progress> progress;
  if (!title.empty()) progress = std::make_unique<Progress>(title, "queries", queries.size_);
  const std::int64_t group_words = words * 3 * kIdentityLanes;
  const std::int64_t groups = (keys.size_ + kIdentityLanes - 1) / kIdentityLanes;
  // Rounds of tasks, so that progress can be shown between them.
  const std::int64_t round = kQueriesPerTask * 64;
  for (std::int64_t begin = 0; begin < queries.size_; begin += round) {
    const std::int64_t end = std::min(begin + round, queries.size_);
    parallel_for((end - begin + kQueriesPerTask - 1) / kQueriesPerTask, [&](std::int64_t task,
                                                                            int) {
      const std::int64_t first = begin + task * kQueriesPerTask;
      const std::int64_t count = std::min(kQueriesPerTask, end - first);
      // The task's queries, one after the other, meet each group of keys while it is in cache.
      std::vector<std::uint64_t> query(static_cast<std::size_t>(count * words * 3));
      std::vector<std::uint64_t> required(static_cast<std::size_t>(count), 0);
      for (std::int64_t q = 0; q < count; ++q) {
        const std::int64_t index = first + q;
        const std::uint64_t* planes = queries.planes_.data() +
                                      (index / kIdentityLanes) * group_words +
                                      index % kIdentityLanes;
        std::uint64_t sites = 0;
        for (std::int64_t plane = 0; plane < words * 3; ++plane) {
          const std::uint64_t bits = planes[plane * kIdentityLanes];
          query[static_cast<std::size_t>(q * words * 3 + plane)] = bits;
          if (plane % 3 == 0) sites += static_cast<std::uint64_t>(std::popcount(bits));
        }
        required[static_cast<std::size_t>(q)] = std::max<std::uint64_t>(1, (sites + 1) / 2);
      }
      struct Best {
        std::uint64_t different = 1, shared = 1;  // identity 0
        std::int64_t key = -1;
      };
      std::vector<Best> best(static_cast<std::size_t>(count));
      std::uint64_t shared[kIdentityLanes], different[kIdentityLanes], overlap[kIdentityLanes];
      for (std::int64_t group = 0; group < groups; ++group) {
        const std::int64_t lanes = std::min(kIdentityLanes, keys.size_ - group * kIdentityLanes);
        for (std::int64_t q = 0; q < count; ++q) {
          compare_group(query.data() + q * words * 3, keys.planes_.data() + group * group_words,
                        keys.full_weight_.data(), words, shared, different, overlap);
          Best& leader = best[static_cast<std::size_t>(q)];
          for (std::int64_t lane = 0; lane < lanes; ++lane) {
            // D / S < best D / best S, exactly, in integers.
            if (overlap[lane] >= required[static_cast<std::size_t>(q)] &&
                (leader.key < 0 ||
                 different[lane] * leader.shared < leader.different * shared[lane])) {
              leader = {different[lane], shared[lane], group * kIdentityLanes + lane};
            }
          }
        }
      }
      for (std::int64_t q = 0; q < count; ++q) {
        const Best& leader = best[static_cast<std::size_t>(q)];
        if (leader.key < 0) continue;
        result[static_cast<std::size_t>(first + q)] = {
            leader.key, static_cast<float>(1.0 - static_cast<double>(leader.different) /
                                                     static_cast<double>(leader.shared))};
      }
    });
    if (progress) progress->update(end);
  }
  return result;
}

}  // namespace barcodemae
