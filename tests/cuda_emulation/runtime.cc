// SPDX-License-Identifier: MIT
// The host functions of the runtime.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <utility>

#include "cuda_runtime_api.h"
#include "emulation.h"
#include "sanitizer.h"

struct CUstream_st {};

struct CUevent_st {
  bool timed = true;
  bool recorded = false;
  std::chrono::steady_clock::time_point time;
};

namespace barcodemae::cuda_emulation {
namespace {

// Device memory is poisoned while there is no more of it than this: it costs time at each launch.
constexpr std::size_t kPoisonedBytes = std::size_t{64} << 20;

struct Runtime {
  std::recursive_mutex mutex;
  std::size_t used = 0;
  std::map<const std::byte*, std::size_t> allocations;
  std::map<const void*, std::size_t> pinned;
  std::map<const void*, std::size_t> shared_limits;
  std::set<cudaStream_t> streams;
  std::set<cudaEvent_t> events;
  int accesses = 0;
  bool poisoned = false;
};

// Never destroyed: memory may be freed as the program ends.
Runtime& runtime = *std::make_unique<Runtime>().release();
thread_local cudaError_t last_error = cudaSuccess;
thread_local int current_device = 0;

// A number of the environment: what the emulated machine is.
std::size_t setting(const char* name, std::size_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : static_cast<std::size_t>(std::strtoull(text, nullptr, 10));
}

int driver_version() {
  return static_cast<int>(setting("BARCODEMAE_CUDA_EMULATION_DRIVER", CUDART_VERSION));
}
int device_count() { return static_cast<int>(setting("BARCODEMAE_CUDA_EMULATION_DEVICES", 1)); }
int capability() { return static_cast<int>(setting("BARCODEMAE_CUDA_EMULATION_CAPABILITY", 90)); }
std::size_t memory_bytes() {
  return setting("BARCODEMAE_CUDA_EMULATION_MEMORY", std::size_t{8} << 30);
}

// What keeps every call from working.
cudaError_t machine_error() {
  if (driver_version() / 1000 < CUDART_VERSION / 1000) return cudaErrorInsufficientDriver;
  return device_count() == 0 ? cudaErrorNoDevice : cudaSuccess;
}

using Lock = std::lock_guard<std::recursive_mutex>;

std::byte* allocate(std::size_t bytes) {
  void* memory = nullptr;
  // Not rounded up, so that AddressSanitizer sees the very next byte.
  if (posix_memalign(&memory, 256, bytes) != 0) return nullptr;
  std::memset(memory, 0xFF, bytes);
  return static_cast<std::byte*>(memory);
}

// Whether the two ranges share a byte with any allocation of the device.
bool touches_device_memory(const void* memory, std::size_t bytes) {
  const auto* const begin = static_cast<const std::byte*>(memory);
  const Lock lock(runtime.mutex);
  auto after = runtime.allocations.lower_bound(begin + bytes);
  if (after == runtime.allocations.begin()) return false;
  --after;
  return after->first + after->second > begin;
}

bool known(cudaStream_t stream) {
  const Lock lock(runtime.mutex);
  return stream == nullptr || runtime.streams.contains(stream);
}

bool known(cudaEvent_t event) {
  const Lock lock(runtime.mutex);
  return runtime.events.contains(event);
}

cudaError_t device_error(int device) {
  if (machine_error() != cudaSuccess) return machine_error();
  return device < 0 || device >= device_count() ? cudaErrorInvalidDevice : cudaSuccess;
}

}  // namespace

cudaError_t raise(cudaError_t error) {
  if (error != cudaSuccess && error != cudaErrorNotReady) last_error = error;
  return error;
}

bool in_device_memory(const void* memory, std::size_t bytes) {
  const auto* const begin = static_cast<const std::byte*>(memory);
  const Lock lock(runtime.mutex);
  auto after = runtime.allocations.upper_bound(begin);
  if (after == runtime.allocations.begin()) return false;
  --after;
  return begin + bytes <= after->first + after->second;
}

DeviceAccess::DeviceAccess() {
  runtime.mutex.lock();
  if (runtime.accesses++ > 0 || !runtime.poisoned) return;
  for (const auto& [memory, bytes] : runtime.allocations) unpoison(memory, bytes);
  runtime.poisoned = false;
}

DeviceAccess::~DeviceAccess() {
  if (--runtime.accesses == 0 && kAddressSanitizer && runtime.used <= kPoisonedBytes) {
    for (const auto& [memory, bytes] : runtime.allocations) poison(memory, bytes);
    runtime.poisoned = true;
  }
  runtime.mutex.unlock();
}

std::size_t shared_limit(const void* kernel) {
  const Lock lock(runtime.mutex);
  const auto found = runtime.shared_limits.find(kernel);
  return found == runtime.shared_limits.end() ? kDefaultSharedBytes : found->second;
}

}  // namespace barcodemae::cuda_emulation

using namespace barcodemae::cuda_emulation;

// ---- Errors

#define BARCODEMAE_ERRORS(X)                                                                     \
  X(cudaSuccess, "no error")                                                                     \
  X(cudaErrorInvalidValue, "invalid argument")                                                   \
  X(cudaErrorMemoryAllocation, "out of memory")                                                  \
  X(cudaErrorInitializationError, "initialization error")                                        \
  X(cudaErrorInvalidConfiguration, "invalid configuration argument")                             \
  X(cudaErrorInvalidMemcpyDirection, "invalid copy direction for memcpy")                        \
  X(cudaErrorInsufficientDriver, "CUDA driver version is insufficient for CUDA runtime version") \
  X(cudaErrorCallRequiresNewerDriver, "API call is not supported in the installed CUDA driver")  \
  X(cudaErrorDevicesUnavailable, "CUDA-capable device(s) is/are busy or unavailable")            \
  X(cudaErrorInvalidDeviceFunction, "invalid device function")                                   \
  X(cudaErrorNoDevice, "no CUDA-capable device is detected")                                     \
  X(cudaErrorInvalidDevice, "invalid device ordinal")                                            \
  X(cudaErrorInvalidKernelImage, "device kernel image is invalid")                               \
  X(cudaErrorNoKernelImageForDevice, "no kernel image is available for execution on the device") \
  X(cudaErrorECCUncorrectable, "uncorrectable ECC error encountered")                            \
  X(cudaErrorUnsupportedPtxVersion,                                                              \
    "the provided PTX was compiled with an unsupported toolchain.")                              \
  X(cudaErrorInvalidResourceHandle, "invalid resource handle")                                   \
  X(cudaErrorNotReady, "device not ready")                                                       \
  X(cudaErrorIllegalAddress, "an illegal memory access was encountered")                         \
  X(cudaErrorLaunchOutOfResources, "too many resources requested for launch")                    \
  X(cudaErrorLaunchTimeout, "the launch timed out and was terminated")                           \
  X(cudaErrorMisalignedAddress, "misaligned address")                                            \
  X(cudaErrorLaunchFailure, "unspecified launch failure")                                        \
  X(cudaErrorNotPermitted, "operation not permitted")                                            \
  X(cudaErrorNotSupported, "operation not supported")                                            \
  X(cudaErrorSystemNotReady, "system not yet initialized")                                       \
  X(cudaErrorSystemDriverMismatch,                                                               \
    "system has unsupported display driver / cuda driver combination")                           \
  X(cudaErrorUnknown, "unknown error")

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
#define BARCODEMAE_CASE(name, text) \
  case name:                        \
    return text;
    BARCODEMAE_ERRORS(BARCODEMAE_CASE)
#undef BARCODEMAE_CASE
  }
  return "unrecognized error code";
}

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
#define BARCODEMAE_CASE(name, text) \
  case name:                        \
    return #name;
    BARCODEMAE_ERRORS(BARCODEMAE_CASE)
#undef BARCODEMAE_CASE
  }
  return "unrecognized error code";
}

cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return last_error; }

// ---- Devices

cudaError_t cudaDriverGetVersion(int* version) {
  *version = driver_version();
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = machine_error() == cudaSuccess ? device_count() : 0;
  return raise(machine_error());
}

cudaError_t cudaSetDevice(int device) {
  const cudaError_t error = device_error(device);
  if (error == cudaSuccess) current_device = device;
  return raise(error);
}

cudaError_t cudaGetDevice(int* device) {
  *device = current_device;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  const cudaError_t error = device_error(device);
  if (error != cudaSuccess) return raise(error);
  *properties = {};
  std::snprintf(properties->name, sizeof properties->name, "CUDA emulation");
  properties->uuid.bytes[0] = static_cast<char>(1 + device);  // the same one in all processes
  const auto attribute = [&](cudaDeviceAttr which) {
    int value = 0;
    cudaDeviceGetAttribute(&value, which, device);
    return value;
  };
  properties->totalGlobalMem = memory_bytes();
  properties->sharedMemPerBlock = kDefaultSharedBytes;
  properties->sharedMemPerBlockOptin = kSharedBytes;
  properties->sharedMemPerMultiprocessor =
      static_cast<std::size_t>(attribute(cudaDevAttrMaxSharedMemoryPerMultiprocessor));
  properties->warpSize = attribute(cudaDevAttrWarpSize);
  properties->maxThreadsPerBlock = attribute(cudaDevAttrMaxThreadsPerBlock);
  properties->maxThreadsPerMultiProcessor = attribute(cudaDevAttrMaxThreadsPerMultiProcessor);
  properties->major = attribute(cudaDevAttrComputeCapabilityMajor);
  properties->minor = attribute(cudaDevAttrComputeCapabilityMinor);
  properties->multiProcessorCount = attribute(cudaDevAttrMultiProcessorCount);
  properties->l2CacheSize = attribute(cudaDevAttrL2CacheSize);
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  const cudaError_t error = device_error(device);
  if (error != cudaSuccess) return raise(error);
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      *value = kMaxThreads;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = static_cast<int>(kDefaultSharedBytes);
      return cudaSuccess;
    case cudaDevAttrWarpSize:
      *value = kWarp;
      return cudaSuccess;
    case cudaDevAttrMultiProcessorCount:
      *value = 4;  // few, so that tests see what happens when there are more blocks than these
      return cudaSuccess;
    case cudaDevAttrL2CacheSize:
      *value = 4 << 20;
      return cudaSuccess;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      *value = 2048;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = capability() / 10;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = capability() % 10;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = static_cast<int>(kSharedBytes + 1024);
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(kSharedBytes);
      return cudaSuccess;
    case cudaDevAttrMemoryPoolsSupported:
      *value = 1;
      return cudaSuccess;
  }
  return raise(cudaErrorInvalidValue);
}

cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }

// ---- Streams and events

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned int flags) {
  if (flags > cudaStreamNonBlocking) return raise(cudaErrorInvalidValue);
  if (machine_error() != cudaSuccess) return raise(machine_error());
  const Lock lock(runtime.mutex);
  *stream = new CUstream_st;
  runtime.streams.insert(*stream);
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const Lock lock(runtime.mutex);
  if (runtime.streams.erase(stream) == 0) return raise(cudaErrorInvalidResourceHandle);
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return raise(known(stream) ? cudaSuccess : cudaErrorInvalidResourceHandle);
}

cudaError_t cudaStreamQuery(cudaStream_t stream) { return cudaStreamSynchronize(stream); }

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned int flags) {
  if (flags != 0) return raise(cudaErrorInvalidValue);
  return raise(known(stream) && known(event) ? cudaSuccess : cudaErrorInvalidResourceHandle);
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned int flags) {
  if ((flags & ~(cudaEventBlockingSync | cudaEventDisableTiming)) != 0) {
    return raise(cudaErrorInvalidValue);
  }
  if (machine_error() != cudaSuccess) return raise(machine_error());
  const Lock lock(runtime.mutex);
  *event = new CUevent_st;
  (*event)->timed = (flags & cudaEventDisableTiming) == 0;
  runtime.events.insert(*event);
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (!known(event) || !known(stream)) return raise(cudaErrorInvalidResourceHandle);
  event->recorded = true;
  event->time = std::chrono::steady_clock::now();
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return raise(known(event) ? cudaSuccess : cudaErrorInvalidResourceHandle);
}

cudaError_t cudaEventQuery(cudaEvent_t event) { return cudaEventSynchronize(event); }

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  if (!known(start) || !known(end) || !start->timed || !end->timed || !start->recorded ||
      !end->recorded) {
    return raise(cudaErrorInvalidResourceHandle);
  }
  *milliseconds = std::chrono::duration<float, std::milli>(end->time - start->time).count();
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const Lock lock(runtime.mutex);
  if (runtime.events.erase(event) == 0) return raise(cudaErrorInvalidResourceHandle);
  delete event;
  return cudaSuccess;
}

// ---- Memory

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  if (machine_error() != cudaSuccess) return raise(machine_error());
  const Lock lock(runtime.mutex);
  *total = memory_bytes();
  *free = *total - std::min(*total, runtime.used);
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
  *memory = nullptr;
  if (machine_error() != cudaSuccess) return raise(machine_error());
  if (bytes == 0) return cudaSuccess;
  const DeviceAccess access;
  if (bytes > memory_bytes() || runtime.used > memory_bytes() - bytes) {
    return raise(cudaErrorMemoryAllocation);
  }
  std::byte* const allocation = allocate(bytes);
  if (allocation == nullptr) return raise(cudaErrorMemoryAllocation);
  runtime.allocations.emplace(allocation, bytes);
  runtime.used += bytes;
  *memory = allocation;
  return cudaSuccess;
}

cudaError_t cudaFree(void* memory) {
  if (memory == nullptr) return cudaSuccess;
  const DeviceAccess access;
  const auto found = runtime.allocations.find(static_cast<std::byte*>(memory));
  if (found == runtime.allocations.end()) return raise(cudaErrorInvalidValue);
  runtime.used -= found->second;
  runtime.allocations.erase(found);
  std::free(memory);
  return cudaSuccess;
}

cudaError_t cudaMallocAsync(void** memory, std::size_t bytes, cudaStream_t stream) {
  return known(stream) ? cudaMalloc(memory, bytes) : raise(cudaErrorInvalidResourceHandle);
}

cudaError_t cudaFreeAsync(void* memory, cudaStream_t stream) {
  return known(stream) ? cudaFree(memory) : raise(cudaErrorInvalidResourceHandle);
}

cudaError_t cudaMallocHost(void** memory, std::size_t bytes) {
  return cudaHostAlloc(memory, bytes, cudaHostAllocDefault);
}

cudaError_t cudaHostAlloc(void** memory, std::size_t bytes, unsigned int flags) {
  *memory = nullptr;
  if (flags > 7) return raise(cudaErrorInvalidValue);
  if (machine_error() != cudaSuccess) return raise(machine_error());
  if (bytes == 0) return cudaSuccess;
  std::byte* const allocation = allocate(bytes);
  if (allocation == nullptr) return raise(cudaErrorMemoryAllocation);
  const Lock lock(runtime.mutex);
  runtime.pinned.emplace(allocation, bytes);
  *memory = allocation;
  return cudaSuccess;
}

cudaError_t cudaFreeHost(void* memory) {
  if (memory == nullptr) return cudaSuccess;
  const Lock lock(runtime.mutex);
  if (runtime.pinned.erase(memory) == 0) return raise(cudaErrorInvalidValue);
  std::free(memory);
  return cudaSuccess;
}

cudaError_t cudaMemcpy(void* destination, const void* source, std::size_t bytes,
                       cudaMemcpyKind kind) {
  if (kind < cudaMemcpyHostToHost || kind > cudaMemcpyDefault) {
    return raise(cudaErrorInvalidMemcpyDirection);
  }
  if (bytes == 0) return cudaSuccess;
  const DeviceAccess access;
  const auto matches = [&](const void* memory, bool device) {
    return device ? in_device_memory(memory, bytes) : !touches_device_memory(memory, bytes);
  };
  if (kind != cudaMemcpyDefault &&
      (!matches(destination, kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice) ||
       !matches(source, kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice))) {
    return raise(cudaErrorInvalidValue);
  }
  std::memmove(destination, source, bytes);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* destination, const void* source, std::size_t bytes,
                            cudaMemcpyKind kind, cudaStream_t stream) {
  if (!known(stream)) return raise(cudaErrorInvalidResourceHandle);
  return cudaMemcpy(destination, source, bytes, kind);
}

cudaError_t cudaMemset(void* memory, int value, std::size_t bytes) {
  if (bytes == 0) return cudaSuccess;
  const DeviceAccess access;
  if (!in_device_memory(memory, bytes)) return raise(cudaErrorInvalidValue);
  std::memset(memory, value, bytes);
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t stream) {
  return known(stream) ? cudaMemset(memory, value, bytes) : raise(cudaErrorInvalidResourceHandle);
}

// ---- Kernels

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  if (kernel == nullptr) return raise(cudaErrorInvalidDeviceFunction);
  switch (attribute) {
    case cudaFuncAttributeMaxDynamicSharedMemorySize: {
      if (value < 0 || static_cast<std::size_t>(value) > kSharedBytes) {
        return raise(cudaErrorInvalidValue);
      }
      const Lock lock(runtime.mutex);
      runtime.shared_limits[kernel] =
          std::max(static_cast<std::size_t>(value), kDefaultSharedBytes);
      return cudaSuccess;
    }
    case cudaFuncAttributePreferredSharedMemoryCarveout:
      return raise(value < -1 || value > 100 ? cudaErrorInvalidValue : cudaSuccess);
  }
  return raise(cudaErrorInvalidValue);
}
