// SPDX-License-Identifier: MIT
#include "base/threads.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/machine.h"

namespace barcodemae {
namespace {

using Body = std::function<void(std::int64_t, int)>;

std::atomic<int> requested_threads{0};  // 0: not said, all cores
thread_local bool inside_parallel_for = false;

/// One call of parallel_for. Whoever takes an index runs it, and it is over when all indices are
/// done, whether or not every thread got round to joining: on a busy machine the calling thread
/// does more by itself instead of waiting for one that is not scheduled.
class Loop {
 public:
  Loop(std::int64_t count, const Body& body) : count_(count), body_(body) {}

  /// Takes indices until there are none.
  void work(int thread) {
    inside_parallel_for = true;
    for (std::int64_t index; (index = next_.fetch_add(1)) < count_;) {
      if (!failed_.load(std::memory_order_relaxed)) run_one(index, thread);
      if (done_.fetch_add(1) + 1 == count_) done_.notify_all();
    }
    inside_parallel_for = false;
  }

  void wait_until_done() {
    for (std::int64_t done; (done = done_.load()) < count_;) done_.wait(done);
    if (first_error_) std::rethrow_exception(first_error_);
  }

 private:
  void run_one(std::int64_t index, int thread) {
    try {
      body_(index, thread);
    } catch (...) {
      const std::lock_guard lock(error_mutex_);
      if (!first_error_) first_error_ = std::current_exception();
      failed_ = true;
    }
  }

  const std::int64_t count_;
  const Body& body_;  // lives while there are indices to take
  std::atomic<std::int64_t> next_{0}, done_{0};
  std::atomic<bool> failed_{false};
  std::mutex error_mutex_;
  std::exception_ptr first_error_;
};

/// Threads that sleep between loops. (OpenMP's spin, which on a busy machine costs most of its
/// time.)
class Workers {
 public:
  ~Workers() { stop(); }

  /// Runs a loop on `threads` threads, the calling one among them. Returns false, with nothing
  /// done, while another thread's loop is running.
  bool run(const std::shared_ptr<Loop>& loop, int threads) {
    const std::unique_lock alone(one_loop_, std::try_to_lock);
    if (!alone.owns_lock()) return false;
    if (static_cast<int>(threads_.size()) != threads - 1) {
      stop();
      start(threads - 1);
    }
    announce(loop);
    loop->work(0);
    loop->wait_until_done();
    return true;
  }

 private:
  void start(int count) {
    stopping_ = false;
    try {
      for (int thread = 1; thread <= count; ++thread) {
        threads_.emplace_back([this, thread, seen = number_.load()] { serve(thread, seen); });
      }
    } catch (const std::system_error& error) {  // those that were started are joined in the end
      throw UserError("{} threads cannot be started ({})\nGive fewer: --threads N.", count + 1,
                      error.code().message());
    }
  }

  void stop() {
    stopping_ = true;
    announce(nullptr);
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  void announce(std::shared_ptr<Loop> loop) {
    {
      const std::lock_guard lock(mutex_);
      loop_ = std::move(loop);
      ++number_;
    }
    wake_.notify_all();
  }

  void serve(int thread, std::uint64_t seen) {
    for (;;) {
      // Loops often follow each other closely: a look around before going to sleep.
      constexpr int kLooks = 2000;
      for (int look = 0; look < kLooks && number_.load(std::memory_order_relaxed) == seen; ++look) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
      }
      std::shared_ptr<Loop> loop;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return number_ != seen; });
        seen = number_;
        loop = loop_;
      }
      if (stopping_) return;
      loop->work(thread);
    }
  }

  std::mutex one_loop_;  // held while a loop runs
  std::vector<std::thread> threads_;
  std::atomic<bool> stopping_{false};

  std::mutex mutex_;  // guards loop_ and the change of number_
  std::condition_variable wake_;
  std::shared_ptr<Loop> loop_;
  std::atomic<std::uint64_t> number_{0};  // of loops announced
};

}  // namespace

int thread_count() {
  const int requested = requested_threads.load(std::memory_order_relaxed);
  return requested > 0 ? requested : machine().cores;
}

void set_thread_count(int threads) {
  BARCODEMAE_CHECK(threads > 0, "{} threads", threads);
  requested_threads = threads;
}

void parallel_for(std::int64_t count, const Body& body) {
  const int threads = static_cast<int>(std::min<std::int64_t>(thread_count(), count));
  if (threads > 1 && !inside_parallel_for) {
    static Workers workers;
    if (workers.run(std::make_shared<Loop>(count, body), thread_count())) return;
  }
  for (std::int64_t index = 0; index < count; ++index) body(index, 0);
}

}  // namespace barcodemae
