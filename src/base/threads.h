// SPDX-License-Identifier: MIT
// Parallel loops over fixed pieces of work: the pieces, never the threads, decide the result.
#pragma once

#include <cstdint>
#include <functional>

namespace barcodemae {

/// Number of threads that parallel_for uses; at first the cores this process may use.
int thread_count();
void set_thread_count(int threads);

/// Calls body(index, thread) for index = 0 … count − 1, each once, in any order, thread = 0 …
/// thread_count() − 1. Nested calls run serially. The first exception is rethrown after the loop;
/// indices not yet begun are then skipped.
void parallel_for(std::int64_t count,
                  const std::function<void(std::int64_t index, int thread)>& body);

}  // namespace barcodemae
