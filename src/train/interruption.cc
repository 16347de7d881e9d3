// SPDX-License-Identifier: MIT
#include "train/interruption.h"

#include <atomic>
#include <csignal>
#include <cstddef>
#include <iterator>

namespace barcodemae {
namespace {

std::atomic<int> received_signal{0};
static_assert(std::atomic<int>::is_always_lock_free, "used in a signal handler");

constexpr int kSignals[] = {SIGTERM, SIGINT, SIGUSR1};
struct sigaction previous[std::size(kSignals)];

void restore_previous() {
  for (std::size_t i = 0; i < std::size(kSignals); ++i)
    sigaction(kSignals[i], &previous[i], nullptr);
}

extern "C" void note_signal(int signal) {
  received_signal = signal;
  restore_previous();  // for both: a second one of either kind is not to be noted
}

}  // namespace

InterruptionGuard::InterruptionGuard() {
  received_signal = 0;
  struct sigaction action {};
  action.sa_handler = note_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (const int signal : kSignals) sigaddset(&action.sa_mask, signal);
  // All are known before the first handler can run.
  for (std::size_t i = 0; i < std::size(kSignals); ++i)
    sigaction(kSignals[i], nullptr, &previous[i]);
  for (std::size_t i = 0; i < std::size(kSignals); ++i) {
    const bool ignored = previous[i].sa_handler == SIG_IGN;  // by a shell's `&`, say: it stays so
    if (!ignored) sigaction(kSignals[i], &action, nullptr);
  }
}

InterruptionGuard::~InterruptionGuard() { restore_previous(); }

int InterruptionGuard::received() { return received_signal; }

}  // namespace barcodemae
