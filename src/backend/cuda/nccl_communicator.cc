// SPDX-License-Identifier: MIT
#include "backend/cuda/nccl_communicator.h"

#include "base/error.h"

#if __has_include(<nccl.h>)
#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <nccl.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <span>
#include <type_traits>
#include <vector>

#include "backend/cuda/check.h"
#include "communication/collectives.h"

namespace barcodemae::cuda {
namespace {

/// The functions of NCCL that we call, from the library that is found at run time.
struct Nccl {
  decltype(&ncclGetVersion) get_version = nullptr;
  decltype(&ncclGetErrorString) get_error_string = nullptr;
  decltype(&ncclGetLastError) get_last_error = nullptr;
  decltype(&ncclGetUniqueId) get_unique_id = nullptr;
  decltype(&ncclCommInitRank) comm_init_rank = nullptr;
  decltype(&ncclAllReduce) all_reduce = nullptr;
  decltype(&ncclCommGetAsyncError) comm_get_async_error = nullptr;
  decltype(&ncclCommDestroy) comm_destroy = nullptr;
  decltype(&ncclCommAbort) comm_abort = nullptr;

  /// Throws UserError with what NCCL says of a failure.
  void check(ncclResult_t status) const {
    if (status == ncclSuccess) return;
    std::string text = get_error_string(status);
    if (const char* last = get_last_error(nullptr); last != nullptr && *last != '\0') {
      const std::string_view details = last;
      text += fmt::format(" ({})", details.substr(0, details.find('\n')));
    }
    throw UserError(
        "the GPUs of this job do not reach each other by NCCL: {}\n"
        "With NCCL_DEBUG=WARN in the environment it says why.",
        text);
  }

  std::string version() const {
    int code = 0;
    check(get_version(&code));
    return fmt::format("{}.{}.{}", code / 10000, code / 100 % 100, code % 100);
  }
};

Nccl load_nccl(int processes) {
  const char* chosen = std::getenv("BARCODEMAE_NCCL_LIBRARY");
  const char* name = chosen != nullptr && *chosen != '\0' ? chosen : "libnccl.so.2";
  void* library = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);  // for good, as plugins are
  if (library == nullptr) {
    throw UserError(
        "{} processes with a GPU each need NCCL, which cannot be loaded: {}\n"
        "Install it (libnccl2), put its folder into LD_LIBRARY_PATH, or start one process.",
        processes, ::dlerror());
  }
  Nccl nccl;
  const auto find = [&](auto& function, const char* symbol) {
    function =
        reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(library, symbol));
    if (function == nullptr) {
      throw UserError("{} has no {}: it is too old, or not NCCL\nInstall NCCL {}.{} or newer.",
                      name, symbol, NCCL_MAJOR, NCCL_MINOR);
    }
  };
  find(nccl.get_version, "ncclGetVersion");
  find(nccl.get_error_string, "ncclGetErrorString");
  find(nccl.get_last_error, "ncclGetLastError");
  find(nccl.get_unique_id, "ncclGetUniqueId");
  find(nccl.comm_init_rank, "ncclCommInitRank");
  find(nccl.all_reduce, "ncclAllReduce");
  find(nccl.comm_get_async_error, "ncclCommGetAsyncError");
  find(nccl.comm_destroy, "ncclCommDestroy");
  find(nccl.comm_abort, "ncclCommAbort");
  return nccl;
}

/// NCCL's own words for this are of no use to anybody.
void require_own_gpus(Communicator& job) {
  int device = 0;
  check(cudaGetDevice(&device));
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, device));
  struct Identity {
    char bytes[sizeof properties.uuid.bytes];
    auto operator<=>(const Identity&) const = default;
  };
  Identity own{};
  std::copy(std::begin(properties.uuid.bytes), std::end(properties.uuid.bytes), own.bytes);
  const std::vector<Identity> all = concatenate(job, std::span<const Identity>(&own, 1));
  for (auto one = all.begin(); one != all.end(); ++one) {
    const auto other = std::find(std::next(one), all.end(), *one);
    if (other == all.end()) continue;
    throw UserError(
        "the processes number {} and {} of this job have the same GPU, but a training needs one "
        "for each\n"
        "Start as many on a machine as it has GPUs, with --device cuda and not cuda:N.",
        one - all.begin() + 1, other - all.begin() + 1);
  }
}

ncclUniqueId unique_id(const Nccl& nccl, Communicator& job) {
  ncclUniqueId id{};
  if (job.rank() == 0) nccl.check(nccl.get_unique_id(&id));
  return from_root(job, id);
}

struct DestroyEvent {
  void operator()(cudaEvent_t event) const { cudaEventDestroy(event); }
};
using Event = std::unique_ptr<std::remove_pointer_t<cudaEvent_t>, DestroyEvent>;

Event make_event(unsigned flags = cudaEventDefault) {
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, flags));
  return Event(event);
}

double seconds_between(const Event& began, const Event& ended) {
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, began.get(), ended.get()));
  return 1e-3 * static_cast<double>(milliseconds);
}

class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(CudaBackend& backend, Communicator& job)
      : backend_(backend), job_(job), nccl_(load_nccl(job.size())) {
    require_own_gpus(job);
    // Sums in the switches (NVLink SHARP) are added up in another order each time.
    ::setenv("NCCL_NVLS_ENABLE", "0", /*overwrite=*/0);
    const ncclUniqueId id = unique_id(nccl_, job);
    nccl_.check(nccl_.comm_init_rank(&gpus_, job.size(), id, job.rank()));
    try {
      check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
      final_ = make_event(cudaEventDisableTiming);
      computed_ = make_event();
      resumed_ = make_event();
    } catch (...) {
      nccl_.comm_abort(gpus_);
      if (stream_ != nullptr) cudaStreamDestroy(stream_);
      throw;
    }
  }

  ~NcclCommunicator() override {
    // Where an error ends this process, sums may be under way that no other will ever join.
    if (std::uncaught_exceptions() > exceptions_) {
      nccl_.comm_abort(gpus_);
    } else {
      cudaStreamSynchronize(stream_);
      nccl_.comm_destroy(gpus_);
    }
    cudaStreamDestroy(stream_);
  }

  std::string library() const override {
    return fmt::format("{} and NCCL {}", job_.library(), nccl_.version());
  }
  int rank() const override { return job_.rank(); }
  int size() const override { return job_.size(); }
  int processes_on_machine() const override { return job_.processes_on_machine(); }
  int processes_on_cores() const override { return job_.processes_on_cores(); }
  void sum(std::span<double> values) override { job_.sum(values); }
  void broadcast(void* data, std::size_t bytes) override { job_.broadcast(data, bytes); }
  std::vector<std::vector<std::byte>> gather(std::span<const std::byte> part) override {
    return job_.gather(part);
  }
  [[noreturn]] void abort(int exit_code) noexcept override {
    job_.abort(exit_code);
    std::_Exit(exit_code);  // not reached, which the compiler does not believe
  }

  void start_sum(float* values, std::size_t count) override {
    if (finished_) {
      // Long over: the host has read the gradients' norm since. So nothing waits here.
      const Times times = times_of_round();
      past_.in_sums += times.in_sums;
      past_.waited += times.waited;
      started_ = 0;
      finished_ = false;
    }
    if (started_ == sums_.size()) sums_.push_back({make_event(), make_event()});
    const Sum& sum = sums_[started_];
    check(cudaEventRecord(final_.get(), backend_.stream()));
    check(cudaStreamWaitEvent(stream_, final_.get(), 0));
    check(cudaEventRecord(sum.began.get(), stream_));
    nccl_.check(nccl_.all_reduce(values, values, count, ncclFloat32, ncclSum, gpus_, stream_));
    check(cudaEventRecord(sum.ended.get(), stream_));
    ++started_;
  }

  void finish_sums() override {
    if (started_ == 0 || finished_) return;
    check(cudaEventRecord(computed_.get(), backend_.stream()));
    check(cudaStreamWaitEvent(backend_.stream(), sums_[started_ - 1].ended.get(), 0));
    check(cudaEventRecord(resumed_.get(), backend_.stream()));
    finished_ = true;
    ncclResult_t status = ncclSuccess;
    nccl_.check(nccl_.comm_get_async_error(gpus_, &status));
    nccl_.check(status);
  }

  double seconds_in_sums() const override { return past_.in_sums + times_of_round().in_sums; }
  double seconds_waited() const override { return past_.waited + times_of_round().waited; }

 private:
  struct Sum {
    Event began, ended;  ///< on stream_
  };
  struct Times {
    double in_sums = 0, waited = 0;  ///< seconds
  };

  /// Of the sums that finish_sums() finished last; nothing while others are under way.
  Times times_of_round() const {
    Times times;
    if (!finished_) return times;
    check(cudaEventSynchronize(resumed_.get()));
    times.waited = seconds_between(computed_, resumed_);
    for (std::size_t i = 0; i < started_; ++i) {
      times.in_sums += seconds_between(sums_[i].began, sums_[i].ended);
    }
    return times;
  }

  CudaBackend& backend_;
  Communicator& job_;
  const Nccl nccl_;
  const int exceptions_ = std::uncaught_exceptions();
  ncclComm_t gpus_ = nullptr;
  cudaStream_t stream_ = nullptr;  ///< of the sums alone: they overlap with the backend's work
  Event final_;                    ///< what is summed next is computed
  Event computed_, resumed_;       ///< around the backend's wait in finish_sums()
  std::vector<Sum> sums_;          ///< those of a step; the first step makes the events
  std::size_t started_ = 0;
  bool finished_ = false;  ///< finish_sums() was called after the last start_sum()
  Times past_;             ///< of the rounds before
};

}  // namespace

std::unique_ptr<Communicator> make_nccl_communicator(CudaBackend& backend, Communicator& job) {
  return std::make_unique<NcclCommunicator>(backend, job);
}

}  // namespace barcodemae::cuda
#else

namespace barcodemae::cuda {

std::unique_ptr<Communicator> make_nccl_communicator(CudaBackend&, Communicator& job) {
  throw UserError(
      "{} processes with a GPU each need NCCL, but barcodemae's CUDA was built without it\n"
      "Install its header (libnccl-dev) and build again, or start one process.",
      job.size());
}

}  // namespace barcodemae::cuda
#endif
