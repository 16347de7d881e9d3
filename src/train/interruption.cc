// SPDX-License-Identifier: MIT
#include "train/interruption.h"

#include <atomic>
#include <csignal>

namespace barcodemae {
namespace {

std::atomic<int> received_signal{0};
static_assert(std::atomic<int>::is_always_lock_free, "used in a signal handler");

extern "C" void note_signal(int signal) { received_signal = signal; }

void on_both(void (*handler)(int), int flags) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigemptyset(&action.sa_mask);
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
}

}  // namespace

InterruptionGuard::InterruptionGuard() {
  received_signal = 0;
  on_both(note_signal, SA_RESTART | static_cast<int>(SA_RESETHAND));
}

InterruptionGuard::~InterruptionGuard() { on_both(SIG_DFL, 0); }

int InterruptionGuard::received() { return received_signal; }

}  // namespace barcodemae
