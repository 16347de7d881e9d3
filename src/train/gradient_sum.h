// SPDX-License-Identifier: MIT
// The gradients of all processes, added up while the backward pass still runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "communication/communicator.h"
#include "tensor/parameters.h"

namespace barcodemae {

/// Cuts the flat gradient into buckets of whole parameters, last declared first, which is about the
/// order in which a backward pass finishes them. A bucket's sum over all processes starts in the
/// background as soon as its last gradient is final and all buckets before it were started: the
/// same order in all processes, also in one that has nothing to compute. Final is what the backend
/// was told to compute: a communicator of a device's memory waits for it there.
class GradientSum {
 public:
  /// Large enough that a message's fixed costs do not matter, small enough that what follows the
  /// last gradient is short.
  static constexpr std::int64_t kBucketElements = std::int64_t{1} << 20;  // 4 MiB

  /// `parameters` are declared; both must outlive this object.
  GradientSum(const Parameters& parameters, Communicator& communicator,
              std::int64_t bucket_elements = kBucketElements);

  /// Whether there is anybody to add up with.
  bool needed() const { return communicator_.size() > 1; }
  /// Nothing is final yet: before the last backward pass of a step.
  void begin();
  /// What Tape::when_final reports.
  void note_final(int parameter);
  /// Starts what is left and waits: the gradient is now that of the whole batch.
  void finish();

  std::size_t buckets() const { return buckets_.size(); }

 private:
  struct Bucket {
    std::int64_t begin = 0, end = 0;  ///< elements of the flat gradient, padding included
    int parameters = 0;
    int missing = 0;  ///< of them not yet final
  };
  void start(const Bucket& bucket);

  const Parameters& parameters_;
  Communicator& communicator_;
  std::vector<Bucket> buckets_;      // in the order in which they are started
  std::vector<std::size_t> bucket_;  // of each parameter
  std::size_t started_ = 0;
};

}  // namespace barcodemae
