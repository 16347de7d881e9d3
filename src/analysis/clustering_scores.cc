// SPDX-License-Identifier: MIT
#include "analysis/clustering_scores.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/threads.h"

namespace barcodemae {
namespace {

/// How often each pair of label and cluster occurs, and each of them.
struct Contingency {
  double samples = 0;
  std::vector<std::int64_t> labels, clusters;
  struct Cell {
    std::size_t label, cluster;
    std::int64_t count;
  };
  std::vector<Cell> cells;  // those that are not empty
};

Contingency contingency_of(std::span<const std::int32_t> labels,
                           std::span<const std::int32_t> clusters) {
  std::map<std::int32_t, std::size_t> label_index, cluster_index;
  std::map<std::pair<std::size_t, std::size_t>, std::int64_t> counts;
  Contingency table;
  table.samples = static_cast<double>(labels.size());
  const auto index_in = [](auto& indices, std::int32_t value, std::vector<std::int64_t>& sums) {
    const auto [entry, is_new] = indices.try_emplace(value, indices.size());
    if (is_new) sums.push_back(0);
    ++sums[entry->second];
    return entry->second;
  };
  for (std::size_t sample = 0; sample < labels.size(); ++sample) {
    const std::size_t label = index_in(label_index, labels[sample], table.labels);
    const std::size_t cluster = index_in(cluster_index, clusters[sample], table.clusters);
    ++counts[{label, cluster}];
  }
  for (const auto& [cell, count] : counts) table.cells.push_back({cell.first, cell.second, count});
  return table;
}

/// In nats.
double entropy(const std::vector<std::int64_t>& counts, double samples) {
  if (counts.size() == 1) return 0;
  double sum = 0;
  for (const std::int64_t count : counts) {
    const auto value = static_cast<double>(count);
    sum -= value / samples * (std::log(value) - std::log(samples));
  }
  return sum;
}

double mutual_information(const Contingency& table) {
  double sum = 0;
  for (const Contingency::Cell& cell : table.cells) {
    const auto count = static_cast<double>(cell.count);
    const double log_outer = std::log(static_cast<double>(table.labels[cell.label])) +
                             std::log(static_cast<double>(table.clusters[cell.cluster]));
    sum += count / table.samples * (std::log(count) + std::log(table.samples) - log_outer);
  }
  return std::max(0.0, sum);
}

/// Sizes that occur, and how often.
std::vector<std::pair<std::int64_t, double>> distinct(const std::vector<std::int64_t>& sizes) {
  std::map<std::int64_t, double> counts;
  for (const std::int64_t size : sizes) ++counts[size];
  return {counts.begin(), counts.end()};
}

/// Mean mutual information over all partitions with these sizes: for two sizes the overlap is
/// hypergeometric. Pairs of equal sizes contribute equally, so each is summed once.
double expected_mutual_information(const Contingency& table) {
  const auto samples = static_cast<std::int64_t>(table.samples);
  std::vector<double> log_factorial(static_cast<std::size_t>(samples) + 1);
  std::vector<double> logarithm(static_cast<std::size_t>(samples) + 1);
  // std::lgamma would be no faster, and may set a global sign.
  long double sum = 0;
  for (std::size_t i = 1; i < log_factorial.size(); ++i) {
    sum += std::log(static_cast<long double>(i));
    log_factorial[i] = static_cast<double>(sum);
    logarithm[i] = std::log(static_cast<double>(i));
  }
  const auto at = [](const std::vector<double>& values, std::int64_t i) {
    return values[static_cast<std::size_t>(i)];
  };
  const auto labels = distinct(table.labels), clusters = distinct(table.clusters);
  std::vector<double> parts(labels.size());
  parallel_for(static_cast<std::int64_t>(labels.size()), [&](std::int64_t index, int) {
    const auto [a, a_count] = labels[static_cast<std::size_t>(index)];
    double part = 0;
    for (const auto& [b, b_count] : clusters) {
      const double constant = at(log_factorial, a) + at(log_factorial, b) +
                              at(log_factorial, samples - a) + at(log_factorial, samples - b) -
                              at(log_factorial, samples);
      double pair = 0;
      for (std::int64_t n = std::max<std::int64_t>(1, a + b - samples); n <= std::min(a, b); ++n) {
        const double information =
            at(logarithm, samples) + at(logarithm, n) - at(logarithm, a) - at(logarithm, b);
        const double log_probability = constant - at(log_factorial, n) - at(log_factorial, a - n) -
                                       at(log_factorial, b - n) -
                                       at(log_factorial, samples - a - b + n);
        pair += static_cast<double>(n) / table.samples * information * std::exp(log_probability);
      }
      part += a_count * b_count * pair;
    }
    parts[static_cast<std::size_t>(index)] = part;
  });
  double total = 0;
  for (const double part : parts) total += part;
  return total;
}

/// Pairs of samples within each of these sets, twice.
double ordered_pairs(const std::vector<std::int64_t>& counts) {
  double sum = 0;
  for (const std::int64_t count : counts) {
    sum += static_cast<double>(count) * static_cast<double>(count - 1);
  }
  return sum;
}

double adjusted_rand_index(const Contingency& table) {
  double together = 0;  // ordered pairs with the same label and the same cluster
  for (const Contingency::Cell& cell : table.cells) {
    together += static_cast<double>(cell.count) * static_cast<double>(cell.count - 1);
  }
  const double same_label = ordered_pairs(table.labels);
  const double same_cluster = ordered_pairs(table.clusters);
  const double all = table.samples * (table.samples - 1);
  if (all == 0 || (together == same_label && together == same_cluster)) return 1;
  const double expected = same_label * same_cluster / all;
  return (together - expected) / ((same_label + same_cluster) / 2 - expected);
}

}  // namespace

ClusteringScores score_clustering(std::span<const std::int32_t> labels,
                                  std::span<const std::int32_t> clusters) {
  BARCODEMAE_CHECK(labels.size() == clusters.size() && !labels.empty(), "{} labels, {} clusters",
                   labels.size(), clusters.size());
  const Contingency table = contingency_of(labels, clusters);
  ClusteringScores scores;
  scores.samples = static_cast<std::int64_t>(labels.size());
  scores.labels = static_cast<std::int64_t>(table.labels.size());
  scores.clusters = static_cast<std::int64_t>(table.clusters.size());
  const double label_entropy = entropy(table.labels, table.samples);
  const double cluster_entropy = entropy(table.clusters, table.samples);
  const double information = mutual_information(table);
  scores.homogeneity = label_entropy > 0 ? information / label_entropy : 1;
  scores.completeness = cluster_entropy > 0 ? information / cluster_entropy : 1;
  scores.adjusted_rand_index = adjusted_rand_index(table);
  // One set on both sides, or as many as samples: equal, and both sides of the fraction vanish.
  if (scores.labels == scores.clusters && (scores.labels == 1 || scores.labels == scores.samples)) {
    scores.adjusted_mutual_information = 1;
    return scores;
  }
  const double expected = expected_mutual_information(table);
  const double epsilon = std::numeric_limits<double>::epsilon();
  double range = (label_entropy + cluster_entropy) / 2 - expected;
  range = range < 0 ? std::min(range, -epsilon) : std::max(range, epsilon);
  scores.adjusted_mutual_information = (information - expected) / range;
  return scores;
}

}  // namespace barcodemae
