// SPDX-License-Identifier: MIT
// A few eigenvectors of a large symmetric operator.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "formats/npy.h"

namespace barcodemae {

/// A symmetric matrix [size × size] with eigenvalues within [−1, 1], known by what it does to a few
/// columns at a time: y = S x, both [size × columns] row-major.
struct SymmetricOperator {
  std::int64_t size = 0;
  std::function<void(std::span<const float> x, std::span<float> y, std::int64_t columns)> apply;
};

/// The eigenvectors of the `count` largest eigenvalues, largest first: [size × count], of length 1.
/// By subspace iteration with a Chebyshev filter (Zhou, Saad, Tiago and Chelikowsky,
/// "Self-consistent field calculations using Chebyshev-filtered subspace iteration", 2006), until
/// the eigenvalues stand still or after a fixed number of rounds: as exact as a layout's beginning
/// needs. Starts from random numbers of `seed`.
Matrix leading_eigenvectors(const SymmetricOperator& operation, std::int64_t count,
                            std::uint64_t seed);

/// Bytes that it needs.
double leading_eigenvectors_memory_bytes(std::int64_t size, std::int64_t count);

}  // namespace barcodemae
