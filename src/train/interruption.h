// SPDX-License-Identifier: MIT
// SIGTERM, SIGINT and SIGUSR1 (which mpirun hands on, and schedulers can send before they end a
// job) as a question that long work asks now and then.
#pragma once

namespace barcodemae {

/// While one of these lives, the first of these signals is only noted; a second one, of either
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
