// SPDX-License-Identifier: MIT
#include "base/threads.h"

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>

#include "base/error.h"
#include "base/machine.h"

namespace barcodemae {
namespace {

std::atomic<int> requested_threads{0};  // 0: not said, all cores

}  // namespace

int thread_count() {
  const int requested = requested_threads.load(std::memory_order_relaxed);
  return requested > 0 ? requested : machine().cores;
}

void set_thread_count(int threads) {
  BARCODEMAE_CHECK(threads > 0, "{} threads", threads);
  requested_threads = threads;
}

void parallel_for(std::int64_t count,
                  const std::function<void(std::int64_t index, int thread)>& body) {
  const int threads = static_cast<int>(std::min<std::int64_t>(thread_count(), count));
  if (threads <= 1 || omp_in_parallel()) {
    for (std::int64_t index = 0; index < count; ++index) body(index, 0);
    return;
  }
  std::exception_ptr first_error;
  std::mutex error_mutex;
  std::atomic<bool> failed{false};
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
  for (std::int64_t index = 0; index < count; ++index) {
    if (failed.load(std::memory_order_relaxed)) continue;
    try {
      body(index, omp_get_thread_num());
    } catch (...) {
      const std::lock_guard lock(error_mutex);
      if (!first_error) first_error = std::current_exception();
      failed = true;
    }
  }
  if (first_error) std::rethrow_exception(first_error);
}

}  // namespace barcodemae
