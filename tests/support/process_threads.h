// SPDX-License-Identifier: MIT
// A job whose processes are threads of the test.
#pragma once

#include <algorithm>
#include <barrier>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "communication/communicator.h"

namespace barcodemae {

class ProcessThreads {
 public:
  explicit ProcessThreads(int size) : barrier(size), pointers(static_cast<std::size_t>(size)) {}
  std::barrier<> barrier;
  std::vector<const void*> pointers;  ///< of each rank, during a call
  std::vector<std::size_t> sizes = std::vector<std::size_t>(pointers.size());
};

class ProcessThread final : public Communicator {
 public:
  ProcessThread(ProcessThreads& job, int rank) : job_(job), rank_(rank) {}
  std::string library() const override { return "threads"; }
  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(job_.pointers.size()); }
  int processes_on_machine() const override { return size(); }
  int processes_on_cores() const override { return size(); }

  void sum(std::span<double> values) override { add_up(values.data(), values.size()); }
  void broadcast(void* data, std::size_t bytes) override {
    show(data, bytes);
    if (rank_ != 0) {
      if (job_.sizes[0] != bytes) throw std::logic_error("broadcast of different sizes");
      if (bytes > 0) std::memcpy(data, job_.pointers[0], bytes);
    }
    job_.barrier.arrive_and_wait();
  }
  std::vector<std::vector<std::byte>> gather(std::span<const std::byte> part) override {
    show(part.data(), part.size());
    std::vector<std::vector<std::byte>> parts;
    for (std::size_t rank = 0; rank_ == 0 && rank < job_.pointers.size(); ++rank) {
      const auto* bytes = static_cast<const std::byte*>(job_.pointers[rank]);
      parts.emplace_back(bytes, bytes + job_.sizes[rank]);
    }
    job_.barrier.arrive_and_wait();
    return parts;
  }
  void start_sum(float* values, std::size_t count) override { started.emplace_back(values, count); }
  void finish_sums() override {
    for (; finished < started.size(); ++finished) {
      add_up(started[finished].first, started[finished].second);
    }
  }
  double seconds_in_sums() const override { return 0; }
  double seconds_waited() const override { return 0; }
  [[noreturn]] void abort(int exit_code) noexcept override { std::_Exit(exit_code); }

  std::vector<std::pair<float*, std::size_t>> started;  ///< all calls of start_sum
  std::size_t finished = 0;

 private:
  void show(const void* data, std::size_t count) {
    job_.pointers[static_cast<std::size_t>(rank_)] = data;
    job_.sizes[static_cast<std::size_t>(rank_)] = count;
    job_.barrier.arrive_and_wait();
  }
  template <typename Number>
  void add_up(Number* values, std::size_t count) {
    show(values, count);
    std::vector<Number> sums(count, 0);
    for (const void* other : job_.pointers) {
      for (std::size_t i = 0; i < count; ++i) sums[i] += static_cast<const Number*>(other)[i];
    }
    job_.barrier.arrive_and_wait();
    std::copy(sums.begin(), sums.end(), values);
    job_.barrier.arrive_and_wait();
  }

  ProcessThreads& job_;
  int rank_;
};

/// Runs body on `size` threads at once, each with its rank. What it throws must be thrown by all:
/// the first rank's is rethrown.
inline void run_processes(int size, const std::function<void(ProcessThread&)>& body) {
  ProcessThreads job(size);
  std::exception_ptr error;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      ProcessThread process(job, rank);
      try {
        body(process);
      } catch (...) {
        if (rank == 0) error = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (error) std::rethrow_exception(error);
}

}  // namespace barcodemae
