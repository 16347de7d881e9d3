// SPDX-License-Identifier: MIT
// SIGTERM and SIGINT as a question that long work asks now and then.
#pragma once

namespace barcodemae {

/// While one of these lives, the first SIGTERM or SIGINT is only noted; a second one ends the
/// process as usual.
class InterruptionGuard {
 public:
  InterruptionGuard();
  ~InterruptionGuard();
  InterruptionGuard(const InterruptionGuard&) = delete;
  InterruptionGuard& operator=(const InterruptionGuard&) = delete;

  /// The signal that came, or 0.
  static int received();
};

}  // namespace barcodemae
