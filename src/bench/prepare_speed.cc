// SPDX-License-Identifier: MIT
#include "bench/prepare_speed.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <span>
#include <vector>

#include "base/median.h"
#include "bench/scratch_file.h"
#include "train/batch_source.h"
#include "train/training_data.h"

namespace barcodemae {
namespace {

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace

PrepareSpeed measure_preparing(const PrepareRequest& request) {
  using Clock = std::chrono::steady_clock;
  remove_temporaries_on_signals();
  const ScratchFile file("csv");
  write_simulated(file.path(), request.records);
  PretrainOptions options = resolve_pretrain_options({{"preset", request.preset}});
  const TrainingData data = load_training_data(file.path(), options);
  const std::span<const std::int64_t> records = data.records.training;
  options.batch = options.micro_batch =
      std::min(request.batch, static_cast<std::int64_t>(records.size()));
  const auto batch = static_cast<std::size_t>(options.batch);
  std::vector<double> times;
  double processor = 0;
  const auto start = Clock::now();
  for (std::uint32_t step = 0;
       times.size() < 3 ||
       std::chrono::duration<double>(Clock::now() - start).count() < request.seconds;
       ++step) {
    const std::size_t first = step * batch % (records.size() - batch + 1);
    const double processor_before = thread_seconds();
    const auto before = Clock::now();
    make_step(data, options, options.masking_rules(), records.subspan(first, batch),
              FrameOffsets{true, options.seed, step}, step);
    times.push_back(std::chrono::duration<double>(Clock::now() - before).count());
    processor += thread_seconds() - processor_before;
  }
  const double all = static_cast<double>(batch) * static_cast<double>(times.size());
  return {static_cast<double>(batch) / median(times), all / processor};
}

}  // namespace barcodemae
