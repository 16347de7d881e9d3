// SPDX-License-Identifier: MIT
#include "analysis/readout_ensemble.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <cstddef>

#include "base/threads.h"
#include "random_vectors.h"
#include "readouts.h"

namespace barcodemae {
namespace {

/// Three of the same mean, each with numbers of its own.
std::vector<Readout> three_readouts(int inputs, int dimensions, int hidden_units) {
  std::vector<Readout> members;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    Readout member = *some_readout(inputs, dimensions, hidden_units);
    member.matrix = random_matrix(dimensions, inputs, seed);
    if (hidden_units > 0) {
      member.hidden = {random_matrix(hidden_units, inputs, 10 + seed),
                       random_matrix(dimensions, hidden_units, 20 + seed)};
    }
    members.push_back(member);
  }
  return members;
}

TEST(ReadOut, IsTheDefinition) {
  const Matrix vectors = random_matrix(150, 9, 4);
  for (const int hidden_units : {0, 7}) {
    const auto readout = some_readout(9, 5, hidden_units);
    const Matrix mapped = read_out(*readout, vectors);
    for (std::int64_t r = 0; r < mapped.rows; ++r) {
      const auto expected = read_out(*readout, vectors.row(r));
      for (std::size_t i = 0; i < 5; ++i) EXPECT_NEAR(mapped.row(r)[i], expected[i], 1e-4);
    }
  }
}

TEST(CombineReadouts, HasTheCosinesOfTheMembersTogether) {
  const Matrix vectors = random_matrix(200, 8, 50);
  for (const int hidden_units : {0, 6}) {
    const auto members = three_readouts(8, 4, hidden_units);
    const Readout combined = combine_readouts(members, vectors, 12);
    EXPECT_EQ(combined.dimensions(), 12);
    EXPECT_EQ(combined.hidden_units(), 3 * hidden_units);
    std::vector<std::vector<float>> beside(3);
    for (const Readout& member : members) {
      const Matrix all = read_out(member, vectors);
      double squares = 0;
      for (const float value : all.values) squares += double{value} * value;
      const double scale = std::sqrt(200 / squares);
      for (std::size_t i = 0; i < 3; ++i) {
        for (const float value : all.row(static_cast<std::int64_t>(i))) {
          beside[i].push_back(static_cast<float>(scale * value));
        }
      }
    }
    for (std::size_t i = 0; i < 3; ++i) {
      const auto one = read_out(combined, vectors.row(static_cast<std::int64_t>(i)));
      const auto other = read_out(combined, vectors.row(static_cast<std::int64_t>((i + 1) % 3)));
      EXPECT_NEAR(cosine(one, other), cosine(beside[i], beside[(i + 1) % 3]), 1e-5);
    }
  }
}

TEST(CombineReadouts, KeepsTheDirectionsThatAreLargest) {
  // Two members that say the same: half of the directions hold nothing.
  const Matrix vectors = random_matrix(100, 6, 6);
  const Readout one = *some_readout(6, 3, 5);
  const Readout combined = combine_readouts({one, one}, vectors, 3);
  for (std::int64_t r = 1; r < 100; ++r) {
    EXPECT_NEAR(cosine(read_out(combined, vectors.row(0)), read_out(combined, vectors.row(r))),
                cosine(read_out(one, vectors.row(0)), read_out(one, vectors.row(r))), 1e-5);
  }
}

TEST(CombineReadouts, GivesTheSameBitsForAnyNumberOfThreads) {
  // More than one block of rows, and of the second moments.
  const Matrix vectors = random_matrix(1200, 40, 7);
  const auto members = three_readouts(40, 90, 70);
  const auto combined = [&](int threads) {
    set_thread_count(threads);
    omp_set_num_threads(threads);
    return combine_readouts(members, vectors, 50);
  };
  const int before = thread_count(), openmp_before = omp_get_max_threads();
  const Readout one = combined(1), three = combined(3);
  set_thread_count(before);
  omp_set_num_threads(openmp_before);
  EXPECT_EQ(one.matrix.values, three.matrix.values);
  EXPECT_EQ(one.hidden.out.values, three.hidden.out.values);
}

}  // namespace
}  // namespace barcodemae
