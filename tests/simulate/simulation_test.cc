// SPDX-License-Identifier: MIT
// The simulated barcodes, compared with what is known of arthropod COI.
#include "simulate/simulation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/threads.h"
#include "sequence/reader.h"
#include "temporary_folder.h"
#include "user_error.h"

namespace barcodemae {
namespace {

using ::testing::HasSubstr;

std::vector<Record> simulate(const SimulationOptions& options) {
  const Simulation simulation(options);
  std::vector<Record> records(static_cast<std::size_t>(simulation.size()));
  for (std::size_t i = 0; i < records.size(); ++i) {
    simulation.record(static_cast<std::int64_t>(i), records[i]);
  }
  return records;
}

/// Records of the whole region and nothing else, in which codons begin at the second base.
std::vector<Record> simulate_complete(std::int64_t records, std::uint64_t seed) {
  std::vector<Record> all =
      simulate({.records = records, .seed = seed, .truncated = 0, .ambiguous = 0});
  std::erase_if(all, [](const Record& record) { return record.sequence.size() != 658; });
  return all;
}

double distance(const std::string& a, const std::string& b) {
  int different = 0;
  for (std::size_t i = 0; i < a.size(); ++i) different += a[i] != b[i];
  return different / static_cast<double>(a.size());
}

std::string write(const SimulationOptions& options, int threads, const char* ending) {
  const TemporaryFolder folder;
  const auto path = folder / (std::string("records") + ending);
  const int before = thread_count();
  set_thread_count(threads);
  RecordWriter writer(path);
  write_simulation(Simulation(options), writer);
  writer.commit();
  set_thread_count(before);
  return read_file(path);
}

TEST(Simulation, FileIsTheSameForAnyThreadCount) {
  const SimulationOptions options{.records = 5000, .seed = 11};
  const std::string file = write(options, 1, ".csv.zst");
  EXPECT_EQ(file, write(options, 3, ".csv.zst"));
  EXPECT_NE(file, write({.records = 5000, .seed = 12}, 3, ".csv.zst"));
}

TEST(Simulation, ColumnsAreThoseOfTheMetadata) {
  const std::string file = write({.records = 3, .seed = 1}, 1, ".csv");
  EXPECT_EQ(file.substr(0, file.find('\n')),
            "processid,class,order,family,subfamily,genus,species,dna_bin,country,split,"
            "dna_barcode");
  EXPECT_EQ(std::count(file.begin(), file.end(), '\n'), 4);
}

TEST(Simulation, EveryIndividualAppearsOnceUnderItsOwnId) {
  const std::vector<Record> records = simulate({.records = 3000});
  std::set<std::string> ids;
  std::map<std::string, std::int64_t> splits;
  for (const Record& record : records) {
    ids.insert(record.id);
    ++splits[record.split];
  }
  EXPECT_EQ(ids.size(), records.size());
  // The numbers of Taxonomy, in random order here.
  EXPECT_EQ(splits["train"], 600);
  EXPECT_EQ(splits["test"], 60);
  EXPECT_EQ(splits["test_unseen"], 60);
}

TEST(Simulation, NamesTellTaxaApartAndNest) {
  const std::vector<Record> records = simulate({.records = 20000, .seed = 5});
  std::map<std::string, std::string> parent;
  std::map<std::string, std::set<std::string>> bins_of_split;
  for (const Record& record : records) {
    const auto nests = [&](Rank low, Rank high) {
      const std::string& child = record.label(low);
      if (child.empty()) return;
      const auto [at, first] = parent.emplace(child, record.label(high));
      EXPECT_EQ(at->second, record.label(high)) << child;
    };
    nests(Rank::kOrder, Rank::kClass);
    nests(Rank::kFamily, Rank::kOrder);
    nests(Rank::kGenus, Rank::kFamily);
    nests(Rank::kSpecies, Rank::kGenus);
    EXPECT_FALSE(record.label(Rank::kGenus).empty());
    if (record.split != "pretrain") {
      EXPECT_TRUE(record.label(Rank::kSpecies).starts_with(record.label(Rank::kGenus) + ' '));
    }
    if (!record.label(Rank::kBin).empty()) {
      bins_of_split[record.split].insert(record.label(Rank::kBin));
    }
  }
  for (const char* open : {"val_unseen", "test_unseen"}) {
    ASSERT_FALSE(bins_of_split[open].empty()) << open;
    for (const auto& [split, bins] : bins_of_split) {
      if (split == open) continue;
      for (const std::string& bin : bins_of_split[open]) EXPECT_FALSE(bins.contains(bin)) << split;
    }
  }
}

TEST(Simulation, NoCodonStops) {
  const std::vector<Record> records = simulate_complete(3000, 2);
  ASSERT_FALSE(records.empty());
  for (const Record& record : records) {
    for (std::size_t i = 1; i + 2 < record.sequence.size(); i += 3) {
      const std::string codon = record.sequence.substr(i, 3);
      ASSERT_TRUE(codon != "TAA" && codon != "TAG") << record.id << " at " << i;
    }
  }
}

TEST(Simulation, CompositionAndVariationPerCodonPositionAreThoseOfCoi) {
  double at = 0;
  std::array<double, 3> entropy{};
  constexpr int kSeeds = 4;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const std::vector<Record> records = simulate_complete(4000, seed);
    std::vector<std::map<char, double>> sites(658);
    for (const Record& record : records) {
      for (std::size_t i = 0; i < 658; ++i) {
        sites[i][record.sequence[i]] += 1.0 / static_cast<double>(records.size());
      }
    }
    for (std::size_t i = 0; i < 658; ++i) {
      at += (sites[i]['A'] + sites[i]['T']) / (658 * kSeeds);
      for (const auto& [base, share] : sites[i]) {
        if (share > 0) entropy[i % 3] -= share * std::log(share) / (219.3 * kSeeds);
      }
    }
  }
  EXPECT_NEAR(at, 0.685, 0.03);
  // Measured on arthropod barcodes: 0.64–0.75, 0.24–0.33 and 0.09–0.14 nats at coordinates 0, 1 and
  // 2 modulo 3, which are third, first and second codon positions.
  EXPECT_NEAR(entropy[0], 0.70, 0.12);
  EXPECT_NEAR(entropy[1], 0.26, 0.08);
  EXPECT_NEAR(entropy[2], 0.10, 0.04);
}

TEST(Simulation, DistancesGrowWithRankAsInArthropods) {
  const std::vector<Record> records = simulate_complete(8000, 3);
  struct Level {
    Rank same, different;
    double low, high;  ///< around the means of arthropod barcodes
  };
  for (const Level& level : {Level{Rank::kBin, Rank::kBin, 0.003, 0.010},
                             Level{Rank::kGenus, Rank::kSpecies, 0.07, 0.15},
                             Level{Rank::kFamily, Rank::kGenus, 0.11, 0.20},
                             Level{Rank::kOrder, Rank::kFamily, 0.14, 0.25}}) {
    std::map<std::string, std::vector<const Record*>> groups;
    for (const Record& record : records) {
      if (!record.label(level.same).empty() && !record.label(level.different).empty()) {
        groups[record.label(level.same)].push_back(&record);
      }
    }
    double sum = 0;
    int pairs = 0;
    for (const auto& [name, group] : groups) {
      for (std::size_t i = 1; i < group.size(); ++i) {
        const Record &a = *group[i - 1], &b = *group[i];
        if (level.same != level.different && a.label(level.different) == b.label(level.different)) {
          continue;
        }
        sum += distance(a.sequence, b.sequence);
        ++pairs;
      }
    }
    ASSERT_GT(pairs, 100);
    EXPECT_GT(sum / pairs, level.low) << to_string(level.same);
    EXPECT_LT(sum / pairs, level.high) << to_string(level.same);
  }
}

TEST(Simulation, QualityOptionsDoWhatTheySay) {
  const SimulationOptions clean{
      .records = 2000, .seed = 4, .truncated = 0, .ambiguous = 0, .unidentified = 0};
  const auto share = [](const std::vector<Record>& records, auto condition) {
    return static_cast<double>(std::count_if(records.begin(), records.end(), condition)) /
           static_cast<double>(records.size());
  };
  const auto is_short = [](const Record& record) { return record.sequence.size() < 640; };
  const auto is_ambiguous = [](const Record& record) {
    return record.sequence.find_first_not_of("ACGT") != std::string::npos;
  };
  const auto is_unnamed = [](const Record& record) { return record.label(Rank::kSpecies).empty(); };

  const std::vector<Record> records = simulate(clean);
  EXPECT_EQ(share(records, is_short), 0);
  EXPECT_EQ(share(records, is_ambiguous), 0);
  EXPECT_EQ(share(records, is_unnamed), 0);

  SimulationOptions options = clean;
  options.truncated = 1;
  const std::vector<Record> truncated = simulate(options);
  EXPECT_GT(share(truncated, is_short), 0.8);
  for (const Record& record : truncated) EXPECT_GE(record.sequence.size(), 500u);
  options = clean;
  options.ambiguous = 0.5;
  EXPECT_NEAR(share(simulate(options), is_ambiguous), 0.5, 0.05);
  options = clean;
  options.unidentified = 1;
  EXPECT_NEAR(share(simulate(options), is_unnamed), 0.74, 0.01);

  options = clean;
  options.reverse_complement = 1;
  const std::vector<Record> reversed = simulate(options);
  const auto complement = [](char base) { return "TGCA"[std::string("ACGT").find(base)]; };
  for (std::size_t i = 0; i < 20; ++i) {
    std::string back(reversed[i].sequence.rbegin(), reversed[i].sequence.rend());
    std::transform(back.begin(), back.end(), back.begin(), complement);
    EXPECT_EQ(back, records[i].sequence);
  }
}

TEST(Simulation, OptionsThatMakeNoSenseAreErrors) {
  const auto message = [](const SimulationOptions& options) {
    return user_error([&] { const Simulation simulation(options); });
  };
  EXPECT_THAT(message({.records = 0}), HasSubstr("--records 0"));
  EXPECT_THAT(message({.records = kMostSimulatedRecords + 1}), HasSubstr("--records"));
  EXPECT_THAT(message({.records = 10, .truncated = 1.5}), HasSubstr("--truncated 1.5"));
  EXPECT_THAT(message({.records = 10, .ambiguous = std::nan("")}), HasSubstr("--ambiguous nan"));
}

}  // namespace
}  // namespace barcodemae
