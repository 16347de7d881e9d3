// SPDX-License-Identifier: MIT
#include "analysis/neighbourhood_components.h"

#include <fmt/format.h>

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <numbers>
#include <numeric>
#include <utility>

#include "analysis/adamw.h"
#include "analysis/in_blocks.h"
#include "analysis/readout_forward.h"
#include "analysis/sgemm.h"
#include "base/error.h"
#include "base/index.h"
#include "base/progress.h"
#include "base/random.h"
#include "marker/base_number.h"

namespace barcodemae {
namespace {

// Fixed pieces, whatever the number of threads.
constexpr std::int64_t kSimilarityRows = 64;
constexpr std::int64_t kDirectionBlock = 64;
constexpr double kWarmUp = 0.05;

using Array = AdamW::Array;
using ConstArray = Eigen::Map<const Eigen::ArrayXf>;

/// Rows of one class, and classes of one group.
struct Group {
  std::vector<std::vector<std::int64_t>> classes;
};

/// Those of several classes, in the order of their labels: two at least, or UserError.
std::vector<Group> groups_of(std::span<const std::int32_t> classes,
                             std::span<const std::int32_t> groups) {
  std::map<std::int32_t, std::map<std::int32_t, std::vector<std::int64_t>>> rows;
  for (std::size_t row = 0; row < classes.size(); ++row) {
    rows[groups[row]][classes[row]].push_back(static_cast<std::int64_t>(row));
  }
  std::vector<Group> result;
  for (auto& [group, of_group] : rows) {
    if (of_group.size() < 2) continue;
    Group one;
    for (auto& [label, members] : of_group) one.classes.push_back(std::move(members));
    result.push_back(std::move(one));
  }
  if (result.size() < 2) {
    throw UserError(
        "{} of the groups have two classes or more: nothing to learn neighbours from\n"
        "Give more records, or a coarser rank.",
        result.size());
  }
  return result;
}

/// The first `count` of a random order of 0 … total − 1.
std::vector<std::size_t> draw(std::size_t count, std::size_t total, RandomSequence& random) {
  std::vector<std::size_t> order(total);
  std::iota(order.begin(), order.end(), std::size_t{0});
  draw_to_front(order, count, random);
  order.resize(std::min(count, total));
  return order;
}

struct Batch {
  std::vector<std::int64_t> rows;
  std::vector<std::int32_t> groups;
};

Batch draw_batch(const std::vector<Group>& groups, const NeighbourhoodOptions& options, int step) {
  RandomSequence random(options.seed, Stream::kShuffle, static_cast<std::uint32_t>(step));
  Batch batch;
  for (const std::size_t g : draw(index(options.groups), groups.size(), random)) {
    const auto& classes = groups[g].classes;
    for (const std::size_t c : draw(index(options.members), classes.size(), random)) {
      batch.rows.push_back(classes[c][random.below(static_cast<std::uint32_t>(classes[c].size()))]);
      batch.groups.push_back(static_cast<std::int32_t>(g));
    }
  }
  return batch;
}

/// 1 / the root of the mean variance of the kind that a column is of.
std::vector<float> scales_of(const Matrix& vectors, const std::vector<float>& mean,
                             std::vector<std::int64_t> kinds) {
  if (kinds.empty()) kinds.push_back(vectors.cols);
  BARCODEMAE_CHECK(std::accumulate(kinds.begin(), kinds.end(), std::int64_t{0}) == vectors.cols,
                   "kinds of numbers for {} columns", vectors.cols);
  std::vector<double> squares(index(vectors.cols));
  in_blocks(vectors.cols, kDirectionBlock, [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t r = 0; r < vectors.rows; ++r) {
      const auto row = vectors.row(r);
      for (std::size_t c = index(first); c < index(first + count); ++c) {
        const double centred = double{row[c]} - double{mean[c]};
        squares[c] += centred * centred;
      }
    }
  });
  std::vector<float> scales;
  auto first = squares.begin();
  for (const std::int64_t count : kinds) {
    const double variance = std::accumulate(first, first + count, 0.0) /
                            (static_cast<double>(count) * static_cast<double>(vectors.rows));
    // A kind that never varies has no say.
    scales.insert(scales.end(), index(count),
                  variance > 0 ? static_cast<float>(1 / std::sqrt(variance)) : 0.0f);
    first += count;
  }
  return scales;
}

/// Zeros in place of some sites of `row`, which is centred.
void hide_sites(std::span<float> row, const NeighbourhoodOptions& options, RandomSequence random) {
  if (options.first_site < 0) return;
  const double share = 2 * options.hidden_sites * random.uniform();
  constexpr std::size_t kWidth = kBases.size();
  for (std::size_t c = index(options.first_site); c + kWidth <= row.size(); c += kWidth) {
    if (random.uniform() < share) std::ranges::fill(row.subspan(c, kWidth), 0.0f);
  }
}

/// A matrix in training, with AdamW's moments.
struct Weights {
  Matrix& values;
  std::vector<float> first_moment, second_moment;

  explicit Weights(Matrix& start)
      : values(start), first_moment(start.values.size()), second_moment(start.values.size()) {}

  /// A step where the matrix [out, in] has mapped `x` [rows, in] to what `gradient` [rows, out] is
  /// the loss's by.
  void move(const AdamW& optimiser, int step, const Matrix& gradient, const Matrix& x) {
    const std::int64_t cols = values.cols;
    in_blocks(values.rows, kDirectionBlock, [&](std::int64_t first, std::int64_t count) {
      std::vector<float> of_weights(index(count * cols));
      sgemm('T', 'N', count, cols, gradient.rows, gradient.values.data() + first, gradient.cols,
            x.values.data(), cols, of_weights.data(), cols);
      const std::int64_t begin = first * cols, size = count * cols;
      optimiser.move(step + 1, {values.values.data() + begin, size}, {of_weights.data(), size},
                     {first_moment.data() + begin, size}, {second_moment.data() + begin, size});
    });
  }
};

/// `start` for inputs that are scaled, its rows of norm 1 on average, and beside it the hidden
/// layer.
Readout begin_with(const Readout& start, std::span<const float> scales,
                   const NeighbourhoodOptions& options) {
  const std::int64_t inputs = start.inputs(), dimensions = start.dimensions();
  const std::int64_t units = options.hidden_units;
  Readout result = start;
  const ConstArray scale(scales.data(), inputs);
  for (std::int64_t d = 0; d < dimensions; ++d) {
    Array row(result.matrix.row(d).data(), inputs);
    row = (scale > 0).select(row / scale, 0);
  }
  Array all(result.matrix.values.data(), dimensions * inputs);
  const float norm = std::sqrt(all.square().sum() / static_cast<float>(dimensions));
  all /= norm;
  if (units == 0) return result;
  result.hidden = {zero_matrix(units, inputs), zero_matrix(dimensions, units)};
  const double deviation = 1 / std::sqrt(static_cast<double>(inputs));
  for (std::int64_t u = 0; u < units; ++u) {
    RandomSequence random(options.seed, Stream::kInitialisation, 0, static_cast<std::uint32_t>(u));
    for (float& value : result.hidden.in.row(u)) {
      value = static_cast<float>(deviation * random.normal());
    }
  }
  return result;
}

/// The loss's gradient by the hidden units before relu, from that by the mapped rows.
Matrix hidden_gradient(const Readout& readout, const Matrix& hidden, const Matrix& gradient) {
  const Matrix& out = readout.hidden.out;
  Matrix result = zero_matrix(hidden.rows, hidden.cols);
  in_blocks(hidden.rows, kSimilarityRows, [&](std::int64_t first, std::int64_t count) {
    const std::int64_t size = count * out.cols;
    sgemm('N', 'N', count, out.cols, out.rows, gradient.row(first).data(), out.rows,
          out.values.data(), out.cols, result.row(first).data(), out.cols);
    Array(result.row(first).data(), size) *=
        (ConstArray(hidden.row(first).data(), size) > 0).cast<float>();
  });
  return result;
}

double rate_at(int step, const NeighbourhoodOptions& options) {
  const double done = step / static_cast<double>(options.steps);
  const double rise = std::min(1.0, (step + 1) / std::max(1.0, kWarmUp * options.steps));
  return options.learning_rate * rise * (1 + std::cos(std::numbers::pi * done)) / 2;
}

}  // namespace

NeighbourhoodLoss neighbourhood_loss(const Matrix& vectors, std::span<const std::int32_t> groups,
                                     double temperature) {
  const std::int64_t rows = vectors.rows, width = vectors.cols;
  BARCODEMAE_CHECK(rows > 1 && groups.size() == index(rows) && temperature > 0,
                   "{} rows, {} groups, temperature {}", rows, groups.size(), temperature);
  Matrix unit = vectors;
  std::vector<float> norms(index(rows));
  for (std::int64_t r = 0; r < rows; ++r) {
    Array row(unit.row(r).data(), width);
    norms[index(r)] = std::max(row.matrix().norm(), 1e-12f);
    row /= norms[index(r)];
  }
  // Row i: the derivatives of the loss of row i by its cosines.
  Matrix slopes{rows, rows, std::vector<float>(index(rows * rows))};
  std::vector<double> losses(index(rows));
  const auto scale = static_cast<float>(1 / temperature);
  in_blocks(rows, kSimilarityRows, [&](std::int64_t first, std::int64_t count) {
    sgemm('N', 'T', count, rows, width, unit.row(first).data(), width, unit.values.data(), width,
          slopes.row(first).data(), rows);
    for (std::int64_t i = first; i < first + count; ++i) {
      Array slope(slopes.row(i).data(), rows);
      slope[i] = -2;  // no cosine: the row itself is left out
      // Of its own, where Eigen aligns it: how many of its exponentials are vectors' is then fixed.
      Eigen::ArrayXf p = ((slope - slope.maxCoeff()) * scale).exp();
      p[i] = 0;
      double all = 0, same = 0;
      for (std::int64_t j = 0; j < rows; ++j) {
        all += p[j];
        if (groups[index(j)] == groups[index(i)]) same += p[j];
      }
      same = std::max(same, 1e-30 * all);
      losses[index(i)] = std::log(all / same);
      const double share = 1 / (temperature * static_cast<double>(rows));
      const auto of_all = static_cast<float>(share / all);
      const auto of_same = static_cast<float>(share / same);
      for (std::int64_t j = 0; j < rows; ++j) {
        slope[j] = p[j] * (groups[index(j)] == groups[index(i)] ? of_all - of_same : of_all);
      }
    }
  });
  NeighbourhoodLoss result{
      std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(rows),
      {rows, width, std::vector<float>(index(rows * width))}};
  in_blocks(rows, kSimilarityRows, [&](std::int64_t first, std::int64_t count) {
    // A cosine belongs to both of its rows.
    std::vector<float> both(index(count * rows));
    for (std::int64_t j = 0; j < rows; ++j) {
      for (std::int64_t i = 0; i < count; ++i) {
        both[index(i * rows + j)] =
            slopes.row(first + i)[index(j)] + slopes.row(j)[index(first + i)];
      }
    }
    sgemm('N', 'N', count, width, rows, both.data(), rows, unit.values.data(), width,
          result.gradient.row(first).data(), width);
    for (std::int64_t r = first; r < first + count; ++r) {
      Array gradient(result.gradient.row(r).data(), width);
      const ConstArray direction(unit.row(r).data(), width);
      gradient = (gradient - (gradient * direction).sum() * direction) / norms[index(r)];
    }
  });
  return result;
}

void require_neighbours(std::span<const std::int32_t> classes,
                        std::span<const std::int32_t> groups) {
  groups_of(classes, groups);
}

Readout refine_by_neighbours(const Readout& start, const Matrix& vectors,
                             std::span<const std::int32_t> classes,
                             std::span<const std::int32_t> groups,
                             const NeighbourhoodOptions& options) {
  BARCODEMAE_CHECK(vectors.cols == start.inputs() && start.hidden_units() == 0 &&
                       classes.size() == index(vectors.rows) && groups.size() == classes.size() &&
                       options.steps > 0 && options.groups > 1 && options.members > 1,
                   "{} rows of {} numbers, {} classes, {} groups", vectors.rows, vectors.cols,
                   classes.size(), groups.size());
  const std::vector<Group> usable = groups_of(classes, groups);
  const std::int64_t inputs = vectors.cols;
  const ConstArray mean(start.mean.data(), inputs);
  const std::vector<float> scales = scales_of(vectors, start.mean, options.kinds);
  const ConstArray scale(scales.data(), inputs);
  Readout refined = begin_with(start, scales, options);
  Weights matrix(refined.matrix), in(refined.hidden.in), out(refined.hidden.out);
  AdamW optimiser{.beta2 = 0.98f};
  Progress progress("refining", "steps", options.steps);
  double smoothed = 0;
  for (int step = 0; step < options.steps; ++step) {
    const Batch batch = draw_batch(usable, options, step);
    const auto rows = static_cast<std::int64_t>(batch.rows.size());
    Matrix x = zero_matrix(rows, inputs);
    in_blocks(rows, kSimilarityRows, [&](std::int64_t first, std::int64_t count) {
      for (std::int64_t r = first; r < first + count; ++r) {
        Array(x.row(r).data(), inputs) =
            (ConstArray(vectors.row(batch.rows[index(r)]).data(), inputs) - mean) * scale;
        hide_sites(x.row(r), options,
                   RandomSequence(options.seed, Stream::kMask, static_cast<std::uint32_t>(step),
                                  static_cast<std::uint32_t>(r)));
      }
    });
    const ReadoutActivations now = forward(refined, x);
    const NeighbourhoodLoss loss =
        neighbourhood_loss(now.mapped, batch.groups, options.temperature);
    optimiser.rate = static_cast<float>(rate_at(step, options));
    matrix.move(optimiser, step, loss.gradient, x);
    if (options.hidden_units > 0) {
      in.move(optimiser, step, hidden_gradient(refined, now.hidden, loss.gradient), x);
      out.move(optimiser, step, loss.gradient, now.hidden);
    }
    smoothed = step == 0 ? loss.loss : 0.95 * smoothed + 0.05 * loss.loss;
    progress.update(step + 1, fmt::format("loss {:.3f}", smoothed));
  }
  for (Matrix* scaled : {&refined.matrix, &refined.hidden.in}) {
    for (std::int64_t r = 0; r < scaled->rows; ++r) Array(scaled->row(r).data(), inputs) *= scale;
  }
  return refined;
}

}  // namespace barcodemae
