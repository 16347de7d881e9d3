// SPDX-License-Identifier: MIT
// How the emulation runs kernels, for its own headers and sources, and what a test may ask and set.
//
// A launch runs its blocks one after the other. The threads of a block are fibers; a fiber runs
// until a barrier or an operation of its warp, where it waits for the others. Warps and lanes take
// turns in a shuffled order, another one after each such point, so that a missing barrier shows as
// a wrong result. The order follows from the number of the launch since the program began, the
// block and $BARCODEMAE_CUDA_EMULATION_SEED (a number, 0 if unset).
//
// The machine is what these say at the time of a call:
//   $BARCODEMAE_CUDA_EMULATION_DEVICES     how many devices there are: 1
//   $BARCODEMAE_CUDA_EMULATION_MEMORY      bytes of the one memory that they share: 8 GiB
//   $BARCODEMAE_CUDA_EMULATION_CAPABILITY  their compute capability times ten: 90
//   $BARCODEMAE_CUDA_EMULATION_DRIVER      the driver's version, 0 without one: CUDART_VERSION
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda_runtime_api.h"

namespace barcodemae::cuda_emulation {

constexpr std::size_t kSharedBytes = 227 * 1024;        ///< most a block can have
constexpr std::size_t kDefaultSharedBytes = 48 * 1024;  ///< most without cudaFuncSetAttribute
constexpr int kWarp = 32;
constexpr int kMaxThreads = 1024;  ///< of a block

// ---- What tests may ask

/// Kernels launched so far, and switches between fibers.
std::uint64_t launches();
std::uint64_t switches();

// ---- Host side

/// Ends the program with "CUDA emulation: <message>" on standard error.
[[noreturn]] void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

/// Whether [memory, memory + bytes) lies in one allocation of the device.
bool in_device_memory(const void* memory, std::size_t bytes);

/// One thread at a time touches the device's memory. Under AddressSanitizer that memory is poisoned
/// outside of such a scope, so that host code which reads or writes it is found.
class DeviceAccess {
 public:
  DeviceAccess();
  ~DeviceAccess();
  DeviceAccess(const DeviceAccess&) = delete;
  DeviceAccess& operator=(const DeviceAccess&) = delete;
};

/// Remembers an error for cudaGetLastError and returns it.
cudaError_t raise(cudaError_t error);

/// The dynamic shared memory that a kernel may ask for.
std::size_t shared_limit(const void* kernel);

/// Runs `thread(context)` as each thread of each block.
cudaError_t launch(const cudaLaunchConfig_t& config, const void* kernel,
                   void (*thread)(const void* context), const void* context);

// ---- Device side

/// A place in a kernel.
struct Site {
  const char* operation;
  const char* file;
  int line;
};

/// Waits for all threads of the block that have not returned.
void wait_for_block(Site site);
/// Ends the program unless the mask names all lanes.
void require_full_mask(unsigned mask, Site site);
/// Leaves a value and waits for all lanes of the warp, which must come from the same operation and
/// line. The values of all lanes, valid until this lane's next operation.
const std::uint64_t* exchange(std::uint64_t value, Site site);
int lane();

/// A warp's tiles on their way through one multiplication: row-major 16 x 16.
struct Tiles {
  float a[256], b[256];
  float product[256];
  bool done;
};
/// Where this lane leaves its elements before wait_for_product().
Tiles& tiles();
/// Waits for all lanes of the warp; tiles.product is then complete.
void wait_for_product(Tiles& tiles, Site site);

}  // namespace barcodemae::cuda_emulation
