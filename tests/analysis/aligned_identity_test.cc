// SPDX-License-Identifier: MIT
#include "analysis/aligned_identity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/identity_kernel.h"
#include "base/random.h"
#include "base/threads.h"
#include "data/dataset.h"
#include "marker/reverse_complement.h"

namespace barcodemae {
namespace {

TEST(IdentityKernel, CountsAgreeWithASiteBySiteCount) {
  constexpr std::int64_t kWords = 11;
  RandomSequence random(1, Stream::kInitialisation);
  std::vector<std::uint64_t> query(kWords * 3), keys(kWords * 3 * kIdentityLanes), full(kWords);
  for (auto* planes : {&query, &keys, &full}) {
    for (auto& word : *planes) word = std::uint64_t{random()} << 32 | random();
  }
  std::uint64_t shared[kIdentityLanes], different[kIdentityLanes], overlap[kIdentityLanes];
  compare_group(query.data(), keys.data(), full.data(), kWords, shared, different, overlap);
  for (std::int64_t lane = 0; lane < kIdentityLanes; ++lane) {
    std::uint64_t s = 0, d = 0, o = 0;
    for (std::int64_t site = 0; site < kWords * 64; ++site) {
      const auto bit = [&](const std::vector<std::uint64_t>& planes, std::int64_t word) {
        return planes[static_cast<std::size_t>(word)] >> site % 64 & 1;
      };
      const std::int64_t word = site / 64 * 3;
      const auto key_bit = [&](std::int64_t plane) {
        return bit(keys, (word + plane) * kIdentityLanes + lane);
      };
      if (!bit(query, word) || !key_bit(0)) continue;
      const std::uint64_t weight = 1 + bit(full, site / 64);
      ++o;
      s += weight;
      if (bit(query, word + 1) != key_bit(1) || bit(query, word + 2) != key_bit(2)) d += weight;
    }
    EXPECT_EQ(shared[lane], s);
    EXPECT_EQ(different[lane], d);
    EXPECT_EQ(overlap[lane], o);
  }
}

constexpr int kSites = 300;
constexpr int kCodonStart = 2;

bool is_third(int site) { return (site + 3 - kCodonStart) % 3 == 2; }

/// A barcode as it is filed, and what it has at each site of the marker; N: nothing.
struct Barcode {
  std::string filed, sites;
};

/// Keys and queries of a made-up coding marker, whose third codon positions are free.
class AlignedIdentity : public testing::Test {
 protected:
  AlignedIdentity() {
    for (char& base : consensus_) base = random_base();
    std::vector<std::string> complete;
    for (int i = 0; i < 200; ++i) complete.push_back(variant());
    profile_ = MarkerProfile::learn({complete.begin(), complete.end()});
  }

  char random_base() { return "ACGT"[random_.below(4)]; }
  int below(std::uint32_t bound) { return static_cast<int>(random_.below(bound)); }

  std::string variant() {
    std::string sites = consensus_;
    for (int site = 0; site < kSites; ++site) {
      constexpr std::array<double, 3> kRates{0.1, 0.02, 0.8};
      const double rate = kRates[static_cast<std::size_t>(site + 3 - kCodonStart) % 3];
      if (random_.uniform() < rate) sites[static_cast<std::size_t>(site)] = random_base();
    }
    return sites;
  }

  /// Sites begin … end − 1 of it; in front of the marker foreign bases.
  Barcode cut(const std::string& whole, int begin, int end, bool reverse = false) {
    const auto first = static_cast<std::size_t>(std::max(begin, 0));
    const std::string own = whole.substr(first, static_cast<std::size_t>(end) - first);
    Barcode barcode{own, std::string(kSites, 'N').replace(first, own.size(), own)};
    for (int site = begin; site < 0; ++site) barcode.filed.insert(0, 1, random_base());
    if (reverse) barcode.filed = reverse_complement(barcode.filed);
    return barcode;
  }

  /// Of any barcode; some of it unknown, on either strand.
  Barcode ragged(int latest_end) {
    std::string whole = variant();
    if (below(4) == 0) whole.replace(100, 20, 20, 'N');
    return cut(whole, below(3) == 0 ? -below(60) : below(90), latest_end - below(30),
               below(3) == 0);
  }

  RandomSequence random_{21, Stream::kSimulate};
  std::string consensus_ = std::string(kSites, 'N');
  std::optional<MarkerProfile> profile_;
};

/// What is asked of a key, and how it could be misunderstood.
struct Definition {
  std::uint64_t third_weight = 1;  ///< of 2
  int beyond_half = 0;             ///< shared sites wanted beyond half the query's, rounded up
  bool last_of_equals = false;
};

std::vector<Neighbour> most_identical(const std::vector<Barcode>& keys,
                                      const std::vector<Barcode>& queries,
                                      const Definition& definition = {}) {
  std::vector<Neighbour> answers;
  for (const Barcode& query : queries) {
    const auto sites = kSites - static_cast<int>(std::ranges::count(query.sites, 'N'));
    const int need = (sites + 1) / 2 + definition.beyond_half;
    std::uint64_t best_different = 0, best_shared = 0;
    Neighbour best;
    for (std::size_t key = 0; key < keys.size(); ++key) {
      std::uint64_t different = 0, shared = 0;
      int overlap = 0;
      for (int site = 0; site < kSites; ++site) {
        const char own = query.sites[static_cast<std::size_t>(site)];
        const char other = keys[key].sites[static_cast<std::size_t>(site)];
        if (own == 'N' || other == 'N') continue;
        const std::uint64_t weight = is_third(site) ? definition.third_weight : 2;
        shared += weight;
        if (own != other) different += weight;
        ++overlap;
      }
      if (overlap < need) continue;
      const std::uint64_t cross = different * best_shared, best_cross = best_different * shared;
      if (best.key < 0 || cross < best_cross ||
          (cross == best_cross && definition.last_of_equals)) {
        best_different = different;
        best_shared = shared;
        best.key = static_cast<std::int64_t>(key);
      }
    }
    if (best.key >= 0) {
      best.similarity = static_cast<float>(1 - static_cast<double>(best_different) /
                                                   static_cast<double>(best_shared));
    }
    answers.push_back(best);
  }
  return answers;
}

std::vector<std::int64_t> keys_of(const std::vector<Neighbour>& answers) {
  std::vector<std::int64_t> keys;
  for (const Neighbour& answer : answers) keys.push_back(answer.key);
  return keys;
}

TEST_F(AlignedIdentity, FindsTheKeyThatASiteBySiteComparisonFinds) {
  ASSERT_TRUE(profile_);
  ASSERT_EQ(profile_->length(), kSites);
  ASSERT_TRUE(profile_->has_codons());
  ASSERT_EQ(profile_->codon_start(), kCodonStart);

  // No key reaches site 240. Copies of some of them, on the other strand too, come again later, in
  // other groups of lanes and in the same one.
  std::vector<Barcode> keys, queries;
  for (int i = 0; i < 50; ++i) keys.push_back(ragged(240));
  for (const std::size_t again : {3u, 17u, 49u, 49u}) {
    keys.push_back(keys[again]);
    keys.back().filed = reverse_complement(keys.back().filed);
  }
  const std::string odd = variant(), enough = variant(), too_few = variant();
  keys.push_back(cut(odd, 60, 200));  // as identical to a copy of `odd` as …
  keys.push_back(cut(odd, 20, 220));  // … one that shares more of it
  keys.push_back(cut(enough, 90, 240));
  keys.push_back(cut(too_few, 91, 240));
  // More than a round of tasks takes.
  for (int i = 0; i < 1040; ++i) queries.push_back(ragged(kSites));
  queries.insert(queries.end(), keys.begin(), keys.end());
  queries.push_back(cut(odd, 20, 220));
  queries.push_back(cut(enough, 0, 181));   // 91 of 181 sites are those of the key
  queries.push_back(cut(too_few, 0, 181));  // 90
  queries.push_back(cut(variant(), 185, kSites, /*reverse=*/true));  // 55 of 115 at most

  Dataset data;
  std::vector<std::int64_t> key_records, query_records;
  const auto append = [&](const Barcode& barcode) {
    Record record;
    record.id = std::to_string(data.size());
    record.sequence = barcode.filed;
    data.append(record);
    return data.size() - 1;
  };
  for (const Barcode& query : queries) query_records.push_back(append(query));
  for (auto key = keys.rbegin(); key != keys.rend(); ++key) key_records.push_back(append(*key));
  std::ranges::reverse(key_records);
  ASSERT_EQ(data.anchor(*profile_), 1);

  const std::vector<Neighbour> expected = most_identical(keys, queries);
  EXPECT_EQ(expected.back().key, -1);
  // The queries tell the definition from others.
  for (const Definition& other :
       {Definition{.third_weight = 2}, Definition{.third_weight = 0}, Definition{.beyond_half = -1},
        Definition{.beyond_half = 1}, Definition{.last_of_equals = true}}) {
    EXPECT_NE(keys_of(most_identical(keys, queries, other)), keys_of(expected));
  }
  const int before = thread_count();
  for (const int threads : {1, 3}) {
    set_thread_count(threads);
    const std::vector<Neighbour> found =
        AlignedSequences::nearest({data, key_records, *profile_}, {data, query_records, *profile_});
    EXPECT_EQ(keys_of(found), keys_of(expected)) << threads << " threads";
    for (std::size_t query = 0; query < queries.size(); ++query) {
      EXPECT_FLOAT_EQ(found[query].similarity, expected[query].similarity) << query;
    }
  }
  set_thread_count(before);
}

}  // namespace
}  // namespace barcodemae
