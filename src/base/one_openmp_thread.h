// SPDX-License-Identifier: MIT
#pragma once

#include <omp.h>

namespace barcodemae {

/// oneDNN plans and runs for as many threads as OpenMP would start. While this lives, that is one:
/// parallelism is ours (base/threads.h), inside and outside of our parallel regions.
class OneOpenMpThread {
 public:
  OneOpenMpThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneOpenMpThread() { omp_set_num_threads(before_); }
  OneOpenMpThread(const OneOpenMpThread&) = delete;
  OneOpenMpThread& operator=(const OneOpenMpThread&) = delete;

 private:
  int before_;
};

}  // namespace barcodemae
