// SPDX-License-Identifier: MIT
// The plugin libbarcodemae_mpi.so: the only code that includes and links MPI. It uses nothing of
// ours but the interface, so that no object of the program exists twice.
#include <mpi.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>

#include "communication/communicator.h"

namespace barcodemae {
namespace {

constexpr std::size_t kMostAtOnce = std::size_t{1} << 28;  // elements; MPI counts in int

/// Calls body(first, count) for pieces of 0 … total − 1 that an MPI call can count.
template <typename Body>
void in_pieces(std::size_t total, const Body& body) {
  for (std::size_t first = 0; first < total; first += kMostAtOnce) {
    body(first, static_cast<int>(std::min(kMostAtOnce, total - first)));
  }
}

/// Errors of MPI end the job with MPI's message: its default.
class MpiCommunicator final : public Communicator {
 public:
  MpiCommunicator() {
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
    MPI_Comm_dup(MPI_COMM_WORLD, &background_);
    look_at_this_machine();
    worker_ = std::thread([this] { serve(); });
  }

  ~MpiCommunicator() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    worker_.join();
    MPI_Comm_free(&background_);
    MPI_Finalize();
  }

  std::string library() const override {
    char text[MPI_MAX_LIBRARY_VERSION_STRING];
    int length = 0;
    MPI_Get_library_version(text, &length);
    const std::string whole(text, static_cast<std::size_t>(length));
    return whole.substr(0, whole.find_first_of(",\n"));
  }
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  int processes_on_machine() const override { return on_machine_; }
  int processes_on_cores() const override { return on_cores_; }

  void sum(std::span<double> values) override {
    in_pieces(values.size(), [&](std::size_t first, int count) {
      MPI_Allreduce(MPI_IN_PLACE, values.data() + first, count, MPI_DOUBLE, MPI_SUM,
                    MPI_COMM_WORLD);
    });
  }

  void broadcast(void* data, std::size_t bytes) override {
    in_pieces(bytes, [&](std::size_t first, int count) {
      MPI_Bcast(static_cast<std::byte*>(data) + first, count, MPI_BYTE, 0, MPI_COMM_WORLD);
    });
  }

  std::vector<std::vector<std::byte>> gather(std::span<const std::byte> part) override {
    const std::uint64_t own = part.size();
    std::vector<std::uint64_t> bytes(static_cast<std::size_t>(size_));
    MPI_Gather(&own, 1, MPI_UINT64_T, bytes.data(), 1, MPI_UINT64_T, 0, MPI_COMM_WORLD);
    if (rank_ != 0) {
      in_pieces(part.size(), [&](std::size_t first, int count) {
        MPI_Send(part.data() + first, count, MPI_BYTE, 0, kGatherTag, MPI_COMM_WORLD);
      });
      return {};
    }
    std::vector<std::vector<std::byte>> parts(static_cast<std::size_t>(size_));
    parts[0].assign(part.begin(), part.end());
    for (std::size_t rank = 1; rank < parts.size(); ++rank) {
      parts[rank].resize(bytes[rank]);
      in_pieces(parts[rank].size(), [&](std::size_t first, int count) {
        MPI_Recv(parts[rank].data() + first, count, MPI_BYTE, static_cast<int>(rank), kGatherTag,
                 MPI_COMM_WORLD, MPI_STATUS_IGNORE);
      });
    }
    return parts;
  }

  void start_sum(float* values, std::size_t count) override {
    {
      const std::lock_guard lock(mutex_);
      queue_.push_back({values, count});
    }
    wake_.notify_all();
  }

  void finish_sums() override {
    const auto began = Clock::now();
    std::unique_lock lock(mutex_);
    done_.wait(lock, [&] { return queue_.empty(); });
    seconds_waited_ += seconds_since(began);
  }

  double seconds_in_sums() const override { return seconds_; }
  double seconds_waited() const override { return seconds_waited_; }

  [[noreturn]] void abort(int exit_code) noexcept override {
    MPI_Abort(MPI_COMM_WORLD, exit_code);
    std::_Exit(exit_code);  // the launcher then ends the others
  }

 private:
  static constexpr int kGatherTag = 1;

  using Clock = std::chrono::steady_clock;
  static double seconds_since(Clock::time_point began) {
    return std::chrono::duration<double>(Clock::now() - began).count();
  }

  struct Sum {
    float* values;
    std::size_t count;
  };

  void look_at_this_machine() {
    MPI_Comm machine = MPI_COMM_NULL;
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &machine);
    MPI_Comm_size(machine, &on_machine_);
    cpu_set_t own;
    CPU_ZERO(&own);
    sched_getaffinity(0, sizeof(own), &own);
    std::vector<cpu_set_t> all(static_cast<std::size_t>(on_machine_));
    MPI_Allgather(&own, sizeof(own), MPI_BYTE, all.data(), sizeof(own), MPI_BYTE, machine);
    MPI_Comm_free(&machine);
    on_cores_ = static_cast<int>(std::count_if(all.begin(), all.end(), [&](cpu_set_t& other) {
      cpu_set_t both;
      CPU_AND(&both, &own, &other);
      return CPU_COUNT(&both) > 0;
    }));
    on_cores_ = std::max(on_cores_, 1);
  }

  /// The background thread: one blocking call after the other, which is what makes MPI progress.
  void serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      const Sum sum = queue_.front();
      lock.unlock();
      const auto began = Clock::now();
      in_pieces(sum.count, [&](std::size_t first, int count) {
        MPI_Allreduce(MPI_IN_PLACE, sum.values + first, count, MPI_FLOAT, MPI_SUM, background_);
      });
      seconds_ = seconds_ + seconds_since(began);
      lock.lock();
      queue_.pop_front();  // only now: finish_sums() looks at it
      if (queue_.empty()) done_.notify_all();
    }
  }

  int rank_ = 0, size_ = 1, on_machine_ = 1, on_cores_ = 1;
  MPI_Comm background_ = MPI_COMM_NULL;
  std::atomic<double> seconds_{0};
  double seconds_waited_ = 0;

  std::mutex mutex_;  // guards the rest
  std::condition_variable wake_, done_;
  std::deque<Sum> queue_;
  bool stopping_ = false;
  std::thread worker_;
};

}  // namespace
}  // namespace barcodemae

extern "C" [[gnu::visibility("default")]] barcodemae::Communicator* barcodemae_make_communicator(
    const char* interface, std::string& error) {
  const std::string own = std::string(barcodemae::kPluginInterface) + BARCODEMAE_PLUGIN_VERSION;
  if (own != interface) {
    error = "it was built as \"" + own + "\", not as \"" + interface + "\"\nBuild both together.";
    return nullptr;
  }
  // The main thread and the background thread take turns.
  int provided = MPI_THREAD_SINGLE;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided);
  if (provided < MPI_THREAD_SERIALIZED) {
    error = "this MPI was built without support of threads\nUse one with MPI_THREAD_SERIALIZED.";
    return nullptr;
  }
  return new barcodemae::MpiCommunicator;
}
