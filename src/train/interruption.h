// SPDX-License-Identifier: MIT
// SIGTERM and SIGINT as a question that long work asks now and then.
#pragma once

namespace barcodemae {

/// While one of these lives, the first SIGTERM or SIGINT is only noted; a second one, of either
/// kind, does what it did before. Signals that were ignored stay ignored. One at a time.
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
