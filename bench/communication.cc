// SPDX-License-Identifier: MIT
// How long a job's processes take to add up a gradient, alone and beside nothing else:
//   mpirun -n N bench_communication [MILLIONS OF PARAMETERS]...
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "base/error.h"
#include "base/median.h"
#include "base/stopwatch.h"
#include "communication/collectives.h"
#include "communication/launch.h"
#include "train/gradient_sum.h"

namespace barcodemae {
namespace {

// Median of some repeats of body(), by rank 0's clock.
template <typename Body>
double median_seconds(Communicator& communicator, const Body& body) {
  constexpr int kRepeats = 11;
  std::vector<double> times;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    any(communicator, false);  // all begin together
    const auto began = std::chrono::steady_clock::now();
    body();
    times.push_back(seconds_since(began));
  }
  return median(times);
}

void run(int argc, char** argv) {
  const auto communicator = join_job(read_launch(), mpi_plugin_places());
  const bool first = communicator->rank() == 0;
  const double agreeing = median_seconds(*communicator, [&] {
    constexpr int kCalls = 100;
    for (int call = 0; call < kCalls; ++call) any(*communicator, false);
  });
  if (first) {
    std::printf("%d processes, %s; a sum of one number: %.1f us\n", communicator->size(),
                communicator->library().c_str(), 1e6 * agreeing / 100);
  }
  for (int argument = 1; argument < argc; ++argument) {
    const auto count = static_cast<std::size_t>(1e6 * std::atof(argv[argument]));
    std::vector<float> gradient(count);
    const auto bucket = static_cast<std::size_t>(GradientSum::kBucketElements);
    const double seconds = median_seconds(*communicator, [&] {
      for (std::size_t begin = 0; begin < count; begin += bucket) {
        communicator->start_sum(gradient.data() + begin, std::min(bucket, count - begin));
      }
      communicator->finish_sums();
    });
    if (!first) continue;
    std::printf("%8.1f million parameters: %8.2f ms, %6.2f GB/s of gradient\n",
                1e-6 * static_cast<double>(count), 1e3 * seconds,
                1e-9 * static_cast<double>(count * sizeof(float)) / seconds);
  }
}

}  // namespace
}  // namespace barcodemae

int main(int argc, char** argv) {
  try {
    barcodemae::run(argc, argv);
  } catch (const barcodemae::UserError& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 2;
  }
  return 0;
}
