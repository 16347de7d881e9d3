// SPDX-License-Identifier: MIT
#pragma once

#include <csignal>
#include <cstdint>
#include <optional>
#include <utility>

#include "cli/command.h"
#include "train/interruption.h"

namespace barcodemae {

/// What `train(stop)` returns, an optional that is empty when it was stopped: by a signal to this
/// process or to another one of the job. Throws EndedBySignal then.
template <typename Train>
auto until_signal(const Train& train) {
  int signal = 0;
  {
    // Until the training asks for the first time there is nothing to save: signals end it at once.
    std::optional<InterruptionGuard> guard;
    const auto stop = [&](std::int64_t) {
      if (!guard) guard.emplace();
      return InterruptionGuard::received() != 0;
    };
    if (auto result = train(stop)) return *std::move(result);
    signal = InterruptionGuard::received();
  }
  throw EndedBySignal{signal != 0 ? signal : SIGTERM};
}

}  // namespace barcodemae
