// SPDX-License-Identifier: MIT
// Search programs that others identify barcodes with, as baselines: BLAST and VSEARCH.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "analysis/nearest.h"
#include "data/dataset.h"

namespace barcodemae {

/// A program found on PATH and asked for its version.
class SequenceSearch {
 public:
  enum class Program {
    kBlast,    ///< blastn -task megablast; of a query's hits the one with the highest bit score
    kVsearch,  ///< vsearch --usearch_global --id 0.7 --maxrejects 64; its only hit
  };
  /// Nothing, and a word about it, when it is not installed or does not tell its version.
  static std::optional<SequenceSearch> find(Program program);

  /// "BLAST (megablast top hit)".
  const std::string& name() const { return name_; }
  /// As the program says it: "blastn: 2.12.0+".
  const std::string& version() const { return version_; }
  /// What decides the answers: options, without files and threads.
  std::string options() const;

  /// The top hit of every query among the keys, by the sequences as filed, either strand; key −1
  /// without a hit. Of equally good hits the lowest key is taken. Runs in a temporary folder, on
  /// all threads. Throws UserError with the program's own words when it fails, or answers what
  /// cannot be read.
  std::vector<Neighbour> nearest(const Dataset& data, std::span<const std::int64_t> keys,
                                 std::span<const std::int64_t> queries) const;

 private:
  SequenceSearch() = default;
  void search(const std::filesystem::path& folder) const;

  Program program_ = Program::kBlast;
  std::filesystem::path file_;
  std::string name_, version_;
};

}  // namespace barcodemae
