// SPDX-License-Identifier: MIT
#include "analysis/ward.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <utility>

#include "analysis/ward_kernel.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/threads.h"

namespace barcodemae {
namespace {

constexpr std::int64_t kNone = -1;
/// Groups of slots that are searched as one piece.
constexpr std::int64_t kComparedClusters = 64;

/// The dimensions in order of falling variance, so that a sum of squares soon shows how large it
/// is.
std::vector<std::size_t> widest_first(const RowSource& points) {
  const auto dimensions = static_cast<std::size_t>(points.cols);
  std::vector<float> first(dimensions), row(dimensions);
  std::vector<double> sum(dimensions), square(dimensions);
  points.fill(0, first);
  for (std::int64_t point = 0; point < points.rows; ++point) {
    points.fill(point, row);
    for (std::size_t d = 0; d < dimensions; ++d) {
      const double value = double{row[d]} - first[d];
      sum[d] += value;
      square[d] += value * value;
    }
  }
  std::vector<double> variance;
  for (std::size_t d = 0; d < dimensions; ++d) {
    variance.push_back(square[d] - sum[d] * sum[d] / static_cast<double>(points.rows));
  }
  std::vector<std::size_t> order(dimensions);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return variance[a] > variance[b]; });
  return order;
}

/// The clusters that are still there. A cluster goes by its lowest point; slots hold the clusters
/// in that order, so that the lowest of several slots is the lowest cluster.
class Clusters {
 public:
  explicit Clusters(const RowSource& points)
      : dimensions_(points.cols), slot_(static_cast<std::size_t>(points.rows)) {
    std::iota(slot_.begin(), slot_.end(), 0);
    cluster_.assign(slot_.begin(), slot_.end());
    resize(points.rows);
    const std::vector<std::size_t> order = widest_first(points);
    std::vector<float> row(order.size());
    for (std::int64_t point = 0; point < points.rows; ++point) {
      points.fill(point, row);
      for (std::int64_t d = 0; d < dimensions_; ++d) {
        at(point, d) = row[order[static_cast<std::size_t>(d)]];
      }
      size(point) = 1;
    }
    living_ = points.rows;
  }

  struct Nearest {
    std::int64_t cluster = kNone;
    double cost = 0;
  };
  /// The one that is cheapest to merge with; kNone if none costs less than `below`.
  Nearest nearest(std::int64_t cluster, double below) {
    const std::int64_t slot = slot_of(cluster);
    centroid_.resize(static_cast<std::size_t>(dimensions_));
    for (std::int64_t d = 0; d < dimensions_; ++d) {
      centroid_[static_cast<std::size_t>(d)] = at(slot, d);
    }
    const double own_size = std::exchange(size(slot), 0);  // not its own neighbour
    const std::int64_t groups = static_cast<std::int64_t>(sizes_.size()) / kWardLanes;
    found_.resize(static_cast<std::size_t>((groups + kComparedClusters - 1) / kComparedClusters));
    parallel_for(static_cast<std::int64_t>(found_.size()), [&](std::int64_t piece, int) {
      found_[static_cast<std::size_t>(piece)] = cheapest_merge(
          centroid_.data(), own_size, centroids_.data(), sizes_.data(), dimensions_,
          piece * kComparedClusters, std::min(groups, (piece + 1) * kComparedClusters), below);
    });
    size(slot) = own_size;
    WardNeighbour best = found_.front();
    for (const WardNeighbour& found : found_) {
      if (found.cost < best.cost) best = found;
    }
    if (best.slot < 0) return {};
    return {cluster_[static_cast<std::size_t>(best.slot)], best.cost};
  }

  /// Returns the size of what they become, which goes by the lower one's name.
  double merge(std::int64_t a, std::int64_t b) {
    const std::int64_t kept = slot_of(std::min(a, b)), gone = slot_of(std::max(a, b));
    const double kept_size = size(kept), gone_size = size(gone), sum = kept_size + gone_size;
    for (std::int64_t d = 0; d < dimensions_; ++d) {
      at(kept, d) = (kept_size * at(kept, d) + gone_size * at(gone, d)) / sum;
    }
    size(kept) = sum;
    size(gone) = 0;
    --living_;
    // Empty slots cost time; once an eighth is empty, the others move up.
    if (living_ * 8 < static_cast<std::int64_t>(cluster_.size()) * 7) close_gaps();
    return sum;
  }

 private:
  std::int64_t slot_of(std::int64_t cluster) const {
    return slot_[static_cast<std::size_t>(cluster)];
  }
  double& at(std::int64_t slot, std::int64_t d) {
    return centroids_[static_cast<std::size_t>((slot / kWardLanes * dimensions_ + d) * kWardLanes +
                                               slot % kWardLanes)];
  }
  double& size(std::int64_t slot) { return sizes_[static_cast<std::size_t>(slot)]; }
  void resize(std::int64_t slots) {
    const std::int64_t groups = (slots + kWardLanes - 1) / kWardLanes;
    centroids_.resize(static_cast<std::size_t>(groups * dimensions_ * kWardLanes), 0.0);
    sizes_.resize(static_cast<std::size_t>(groups * kWardLanes), 0.0);
  }
  void close_gaps() {
    std::int64_t to = 0;
    for (std::int64_t from = 0; from < static_cast<std::int64_t>(cluster_.size()); ++from) {
      const double members = size(from);
      if (members == 0) continue;
      if (to != from) {
        for (std::int64_t d = 0; d < dimensions_; ++d) at(to, d) = at(from, d);
        size(from) = 0;
        size(to) = members;
        cluster_[static_cast<std::size_t>(to)] = cluster_[static_cast<std::size_t>(from)];
      }
      slot_[static_cast<std::size_t>(cluster_[static_cast<std::size_t>(to)])] = to;
      ++to;
    }
    cluster_.resize(static_cast<std::size_t>(to));
    resize(to);
  }

  std::int64_t dimensions_, living_ = 0;
  std::vector<std::int64_t> slot_;     // of a cluster
  std::vector<std::int64_t> cluster_;  // in a slot
  std::vector<double> centroids_, sizes_;
  std::vector<double> centroid_;
  std::vector<WardNeighbour> found_;
};

/// Sets of points that grow together.
class Sets {
 public:
  explicit Sets(std::size_t count) : parent_(count) {
    std::iota(parent_.begin(), parent_.end(), std::size_t{0});
  }
  std::size_t find(std::size_t member) {
    while (parent_[member] != member) member = parent_[member] = parent_[parent_[member]];
    return member;
  }
  /// Joins two sets under the name of `root`, a member of neither or of one of them.
  void join(std::size_t a, std::size_t b, std::size_t root) {
    parent_[find(a)] = root;
    parent_[find(b)] = root;
  }

 private:
  std::vector<std::size_t> parent_;
};

/// Merges named by a point of either side, in the order found, become a linkage.
std::vector<Merge> ordered_linkage(std::vector<Merge> merges) {
  std::stable_sort(merges.begin(), merges.end(),
                   [](const Merge& a, const Merge& b) { return a.height < b.height; });
  const std::size_t points = merges.size() + 1;
  Sets sets(points + merges.size());
  for (std::size_t row = 0; row < merges.size(); ++row) {
    Merge& merge = merges[row];
    const std::size_t a = sets.find(static_cast<std::size_t>(merge.first));
    const std::size_t b = sets.find(static_cast<std::size_t>(merge.second));
    sets.join(a, b, points + row);
    merge.first = static_cast<std::int32_t>(std::min(a, b));
    merge.second = static_cast<std::int32_t>(std::max(a, b));
  }
  return merges;
}

}  // namespace

std::vector<Merge> ward_linkage(const RowSource& points, const std::string& title) {
  std::vector<Merge> merges;
  if (points.rows < 2) return merges;
  const auto needed = static_cast<std::size_t>(points.rows - 1);
  merges.reserve(needed);
  Clusters clusters(points);
  std::unique_ptr<Progress> progress;
  if (!title.empty()) progress = std::make_unique<Progress>(title, "merges", points.rows - 1);
  // Each is the nearest of the one before, at a cost that falls strictly: the chain ends, in two
  // that are each other's nearest.
  struct Link {
    std::int64_t cluster;
    double cost;  // of merging it with the one before
  };
  std::vector<Link> chain;
  std::vector<bool> gone(static_cast<std::size_t>(points.rows), false);
  std::int64_t lowest = 0;
  while (merges.size() < needed) {
    if (chain.empty()) {
      while (gone[static_cast<std::size_t>(lowest)]) ++lowest;
      chain.push_back({lowest, std::numeric_limits<double>::infinity()});
    }
    const Link top = chain.back();
    const Clusters::Nearest nearest = clusters.nearest(top.cluster, top.cost);
    if (nearest.cluster != kNone) {
      chain.push_back({nearest.cluster, nearest.cost});
      continue;
    }
    BARCODEMAE_CHECK(chain.size() > 1, "no neighbour of cluster {}", top.cluster);
    const std::int64_t before = chain[chain.size() - 2].cluster;
    const double size = clusters.merge(top.cluster, before);
    gone[static_cast<std::size_t>(std::max(top.cluster, before))] = true;
    merges.push_back({static_cast<std::int32_t>(top.cluster), static_cast<std::int32_t>(before),
                      std::sqrt(2 * top.cost), static_cast<std::int32_t>(size)});
    chain.resize(chain.size() - 2);
    if (progress) progress->update(static_cast<std::int64_t>(merges.size()));
  }
  return ordered_linkage(std::move(merges));
}

std::vector<std::int32_t> cut_linkage(std::span<const Merge> linkage, std::int64_t clusters) {
  const std::size_t points = linkage.size() + 1;
  BARCODEMAE_CHECK(clusters >= 1 && clusters <= static_cast<std::int64_t>(points),
                   "{} clusters of {} points", clusters, points);
  Sets sets(points + linkage.size());
  for (std::size_t row = 0; row + static_cast<std::size_t>(clusters) < points; ++row) {
    sets.join(static_cast<std::size_t>(linkage[row].first),
              static_cast<std::size_t>(linkage[row].second), points + row);
  }
  std::vector<std::int32_t> number(points + linkage.size(), -1), partition(points);
  std::int32_t next = 0;
  for (std::size_t point = 0; point < points; ++point) {
    std::int32_t& known = number[sets.find(point)];
    if (known < 0) known = next++;
    partition[point] = known;
  }
  return partition;
}

double ward_memory_bytes(std::int64_t points, std::int64_t dimensions) {
  constexpr std::int64_t kPerPoint = 3 * sizeof(std::int64_t) + 2 * sizeof(Merge);
  return static_cast<double>(points) *
         static_cast<double>(dimensions * std::int64_t{sizeof(double)} + kPerPoint);
}

}  // namespace barcodemae
