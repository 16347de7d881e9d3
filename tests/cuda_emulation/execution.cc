// SPDX-License-Identifier: MIT
// Blocks, warps and fibers. A fiber is made once and then runs one thread of each block that is
// large enough; it switches straight to the fiber that comes next.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <boost/context/fiber.hpp>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>

#include "cuda_runtime.h"
#include "emulation.h"
#include "sanitizer.h"

uint3 threadIdx{};
uint3 blockIdx{};
dim3 blockDim;
dim3 gridDim;

namespace barcodemae::cuda {

// What kernels declare as `extern __shared__ … dynamic_shared[]`.
alignas(128) std::byte dynamic_shared[cuda_emulation::kSharedBytes];

}  // namespace barcodemae::cuda

namespace barcodemae::cuda_emulation {
namespace {

using boost::context::fiber;

constexpr int kHost = kMaxThreads;  // the fiber that launches
constexpr int kMaxWarps = kMaxThreads / kWarp;

struct Stack {
  std::byte* bottom = nullptr;
  std::size_t bytes = 0;
};

struct Warp {
  std::uint32_t live = 0;        // lanes that have not returned
  std::uint32_t waiting = 0;     // lanes in an operation of the warp
  std::uint32_t in_barrier = 0;  // lanes in __syncthreads
  Site site{};                   // of that operation
  // Of the operation on its way and of the one before, whose values slower lanes still read.
  unsigned operation = 0;
  std::array<std::array<std::uint64_t, kWarp>, 2> values{};
  std::array<Tiles, 2> tiles{};
};

struct Machine {
  std::array<fiber, kMaxThreads + 1> fibers;
  std::array<Stack, kMaxThreads + 1> stacks;
  std::array<void*, kMaxThreads + 1> fake_stacks{};  // AddressSanitizer's
  int made = 0;                                      // fibers
  int current = kHost;
  int previous = kHost;  // the fiber that switched to this one

  void (*thread)(const void*) = nullptr;
  const void* context = nullptr;
  int threads = 0;
  std::array<uint3, kMaxThreads> coordinates{};

  std::array<Warp, kMaxWarps> warps;
  std::uint32_t ready = 0;  // warps with lanes to run before the next barrier
  bool any_in_barrier = false;
  Site barrier{};

  // The turn of a warp: its lanes run in this order, each up to its next operation.
  int warp = 0;
  int position = kWarp;
  const std::uint8_t* order = nullptr;
  int flip = 0;
  bool to_the_end = false;  // each warp runs up to the barrier before another one starts

  std::array<std::array<std::uint8_t, kWarp>, 64> orders;
  std::uint64_t random = 0;
  std::uint64_t seed = 0;
  std::uint64_t launches = 0;
  std::uint64_t switches = 0;

  Machine();
};

// Never destroyed: that would unwind the fibers.
Machine& machine = *std::make_unique<Machine>().release();

std::uint64_t next_random() {
  machine.random ^= machine.random << 13;
  machine.random ^= machine.random >> 7;
  machine.random ^= machine.random << 17;
  return machine.random * 0x2545F4914F6CDD1D >> 32;
}

std::uint64_t mixed(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15;
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9;
  x = (x ^ x >> 27) * 0x94D049BB133111EB;
  return x ^ x >> 31;
}

Machine::Machine() {
  if (const char* text = std::getenv("BARCODEMAE_CUDA_EMULATION_SEED")) {
    seed = std::strtoull(text, nullptr, 10);
  }
  std::uint64_t state = seed;
  for (auto& lanes : orders) {
    std::iota(lanes.begin(), lanes.end(), std::uint8_t{0});
    for (std::size_t i = kWarp - 1; i > 0; --i) {
      state = mixed(state);
      std::swap(lanes[i], lanes[state % (i + 1)]);
    }
  }
}

// ---- Messages

// "threads 32-47 wait in __syncthreads at norm.cu:40".
void describe_lanes(int warp, std::uint32_t lanes, const char* state, const Site* site) {
  while (lanes != 0) {
    const int first = std::countr_zero(lanes);
    const int count = std::countr_one(lanes >> first);
    lanes &= ~(count == kWarp ? ~0U : ((1U << count) - 1) << first);
    std::fprintf(stderr, "  threads %d-%d %s", warp * kWarp + first,
                 warp * kWarp + first + count - 1, state);
    if (site != nullptr) {
      std::fprintf(stderr, " %s at %s:%d", site->operation, site->file, site->line);
    }
    std::fputc('\n', stderr);
  }
}

// Ends the program with what the warp's lanes do; `own` is where the current thread is if not
// there.
[[noreturn]] void fail_in_warp(int index, const char* message, const Site* own) {
  const Warp& warp = machine.warps[static_cast<std::size_t>(index)];
  std::fprintf(stderr, "CUDA emulation: block (%u, %u, %u), warp %d: %s\n", blockIdx.x, blockIdx.y,
               blockIdx.z, index, message);
  if (own != nullptr) {
    std::fprintf(stderr, "  thread %d (%u, %u, %u) is in %s at %s:%d\n", machine.current,
                 threadIdx.x, threadIdx.y, threadIdx.z, own->operation, own->file, own->line);
  }
  describe_lanes(index, warp.waiting, "wait in", &warp.site);
  describe_lanes(index, warp.in_barrier, "wait in", &machine.barrier);
  const int lanes = std::min(kWarp, machine.threads - index * kWarp);
  const std::uint32_t all = lanes == kWarp ? ~0U : (1U << lanes) - 1;
  describe_lanes(index, all & ~warp.live, "have returned", nullptr);
  describe_lanes(index, ~all, "do not exist", nullptr);
  std::abort();
}

// ---- Scheduling

void begin_turn(int warp) {
  const std::uint64_t random = next_random();
  machine.warp = warp;
  machine.position = 0;
  machine.order = machine.orders[random & 63].data();
  machine.flip = static_cast<int>(random >> 6 & 31);
}

// After its last lane either all lanes wait in one operation, or all that live in the barrier.
// Whether the warp can go on.
bool end_turn() {
  Warp& warp = machine.warps[static_cast<std::size_t>(machine.warp)];
  if (warp.waiting == ~0U) {
    warp.waiting = 0;
    ++warp.operation;
    return true;
  }
  if (warp.waiting != 0) {
    fail_in_warp(machine.warp, "only some lanes take part in an operation of the warp", nullptr);
  }
  machine.ready &= ~(1U << machine.warp);
  return false;
}

void release_barrier() {
  machine.any_in_barrier = false;
  const auto warps = static_cast<std::size_t>((machine.threads + kWarp - 1) / kWarp);
  for (std::size_t i = 0; i < warps; ++i) {
    machine.warps[i].in_barrier = 0;
    if (machine.warps[i].live != 0) machine.ready |= 1U << i;
  }
  machine.to_the_end = (next_random() & 1) != 0;
}

int any_ready_warp() {
  std::uint32_t left = machine.ready;
  auto skipped = static_cast<int>(next_random() % static_cast<std::uint64_t>(std::popcount(left)));
  for (; skipped > 0; --skipped) left &= left - 1;
  return std::countr_zero(left);
}

// The thread to run next; the host when all have returned.
int next_thread() {
  for (;;) {
    const std::uint32_t live = machine.warps[static_cast<std::size_t>(machine.warp)].live;
    while (machine.position < kWarp) {
      const int lane = machine.order[machine.position++] ^ machine.flip;
      if ((live >> lane & 1) != 0) return machine.warp * kWarp + lane;
    }
    const bool stay = end_turn() && machine.to_the_end;
    if (machine.ready == 0) {
      if (!machine.any_in_barrier) return kHost;
      release_barrier();
    }
    begin_turn(stay ? machine.warp : any_ready_warp());
  }
}

// ---- Fibers

// On the fiber that was switched to. The one left behind waits to be resumed.
void arrive(fiber&& from, void* fake_stack) {
  const void* bottom = nullptr;
  std::size_t bytes = 0;
  finish_switch(fake_stack, &bottom, &bytes);
  const auto previous = static_cast<std::size_t>(machine.previous);
  if (machine.previous == kHost) {
    machine.stacks[previous] = {static_cast<std::byte*>(const_cast<void*>(bottom)), bytes};
  }
  machine.fibers[previous] = std::move(from);
}

void switch_to(int next) {
  const int self = machine.current;
  if (next == self) return;
  if (next != kHost) threadIdx = machine.coordinates[static_cast<std::size_t>(next)];
  machine.previous = self;
  machine.current = next;
  ++machine.switches;
  const auto to = static_cast<std::size_t>(next);
  void*& fake_stack = machine.fake_stacks[static_cast<std::size_t>(self)];
  start_switch(&fake_stack, machine.stacks[to].bottom, machine.stacks[to].bytes);
  fiber from = std::move(machine.fibers[to]).resume();
  arrive(std::move(from), fake_stack);
}

fiber run_threads(fiber&& from) {
  arrive(std::move(from), nullptr);
  for (;;) {
    machine.thread(machine.context);
    machine.warps[static_cast<std::size_t>(machine.current / kWarp)].live &=
        ~(1U << machine.current % kWarp);
    switch_to(next_thread());
  }
}

// Stacks begin at different places of their pages: else they would fight for the same cache lines.
struct StackAllocator {
  int index;

  boost::context::stack_context allocate() {
    constexpr std::size_t kBytes = kAddressSanitizer ? 512 * 1024 : 256 * 1024;
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    void* memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, page, PROT_NONE) != 0) {
      fail("no memory for the stacks of threads");
    }
    auto* const bottom = static_cast<std::byte*>(memory) + page;
    const std::size_t bytes = kBytes - page - static_cast<std::size_t>(index) * 5 * 64 % 4096;
    machine.stacks[static_cast<std::size_t>(index)] = {bottom, bytes};
    boost::context::stack_context stack;
    stack.sp = bottom + bytes;
    stack.size = bytes;
    return stack;
  }
  void deallocate(boost::context::stack_context&) noexcept {}  // fibers do not end
};

void make_fibers(int count) {
  for (; machine.made < count; ++machine.made) {
    machine.fibers[static_cast<std::size_t>(machine.made)] =
        fiber(std::allocator_arg, StackAllocator{machine.made}, run_threads);
  }
}

// ---- Blocks

void check_shared_memory(std::size_t used) {
  const std::byte* const rest = cuda::dynamic_shared + used;
  const std::size_t bytes = kSharedBytes - used;
  if (bytes == 0 || kAddressSanitizer) return;  // which has seen it by now
  // Equal to itself one byte on: all bytes are the same.
  if (rest[0] == std::byte{0xFF} && std::memcmp(rest, rest + 1, bytes - 1) == 0) return;
  const auto written =
      std::find_if(rest, rest + bytes, [](std::byte b) { return b != std::byte{0xFF}; });
  fail("block (%u, %u, %u) wrote to byte %td of dynamic shared memory; its launch asked for %zu",
       blockIdx.x, blockIdx.y, blockIdx.z, written - cuda::dynamic_shared, used);
}

void run_block(std::uint64_t number, std::size_t shared_bytes) {
  std::memset(cuda::dynamic_shared, 0xFF, shared_bytes);
  machine.random = mixed(mixed(machine.seed + machine.launches) + number) | 1;
  machine.ready = 0;
  for (int first = 0; first < machine.threads; first += kWarp) {
    const int lanes = std::min(kWarp, machine.threads - first);
    Warp& warp = machine.warps[static_cast<std::size_t>(first / kWarp)];
    warp.live = lanes == kWarp ? ~0U : (1U << lanes) - 1;
    warp.waiting = 0;
    warp.in_barrier = 0;
    machine.ready |= 1U << first / kWarp;
  }
  machine.any_in_barrier = false;
  machine.to_the_end = (next_random() & 1) != 0;
  begin_turn(any_ready_warp());
  switch_to(next_thread());
}

}  // namespace

std::uint64_t launches() { return machine.launches; }
std::uint64_t switches() { return machine.switches; }

void fail(const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  std::fputs("CUDA emulation: ", stderr);
  std::vfprintf(stderr, format, arguments);
  std::fputc('\n', stderr);
  va_end(arguments);
  std::abort();
}

cudaError_t launch(const cudaLaunchConfig_t& config, const void* kernel,
                   void (*thread)(const void* context), const void* context) {
  const dim3 grid = config.gridDim;
  const dim3 block = config.blockDim;
  if (kernel == nullptr) return raise(cudaErrorInvalidDeviceFunction);
  if (config.numAttrs != 0) fail("attributes of launches are not emulated");
  const std::uint64_t threads = std::uint64_t{block.x} * block.y * block.z;
  if (threads == 0 || block.x > 1024 || block.y > 1024 || block.z > 64 || threads > kMaxThreads ||
      grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7FFFFFFF || grid.y > 65535 ||
      grid.z > 65535) {
    return raise(cudaErrorInvalidConfiguration);
  }
  if (config.dynamicSmemBytes > shared_limit(kernel)) return raise(cudaErrorInvalidValue);

  const DeviceAccess access;
  if (machine.current != kHost) fail("a kernel was launched from a kernel");
  ++machine.launches;
  machine.thread = thread;
  machine.context = context;
  machine.threads = static_cast<int>(threads);
  blockDim = block;
  gridDim = grid;
  std::size_t index = 0;
  for (unsigned z = 0; z < block.z; ++z) {
    for (unsigned y = 0; y < block.y; ++y) {
      for (unsigned x = 0; x < block.x; ++x) machine.coordinates[index++] = {x, y, z};
    }
  }
  make_fibers(machine.threads);

  const std::size_t shared_bytes = config.dynamicSmemBytes;
  std::memset(cuda::dynamic_shared, 0xFF, kSharedBytes);
  // Readers too are found, and at once, where there is AddressSanitizer.
  poison(cuda::dynamic_shared + shared_bytes, kSharedBytes - shared_bytes);
  std::uint64_t number = 0;
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        blockIdx = {x, y, z};
        run_block(number++, shared_bytes);
        check_shared_memory(shared_bytes);
      }
    }
  }
  unpoison(cuda::dynamic_shared, kSharedBytes);
  return cudaSuccess;
}

// ---- What kernels call

int lane() { return machine.current % kWarp; }

void wait_for_block(Site site) {
  if (machine.current == kHost) fail("%s outside of a kernel", site.operation);
  const int index = machine.current / kWarp;
  if (!machine.any_in_barrier) {
    machine.any_in_barrier = true;
    machine.barrier = site;
  } else if (machine.barrier.line != site.line) {
    std::fprintf(stderr, "CUDA emulation: other threads of the block wait in %s at %s:%d\n",
                 machine.barrier.operation, machine.barrier.file, machine.barrier.line);
    fail_in_warp(index, "threads of a block wait in different barriers", &site);
  }
  machine.warps[static_cast<std::size_t>(index)].in_barrier |= 1U << machine.current % kWarp;
  switch_to(next_thread());
}

namespace {

void wait_for_warp(Site site) {
  const int index = machine.current / kWarp;
  Warp& warp = machine.warps[static_cast<std::size_t>(index)];
  if (warp.waiting == 0) {
    warp.site = site;
  } else if (warp.site.line != site.line ||
             (warp.site.operation != site.operation &&
              std::strcmp(warp.site.operation, site.operation) != 0)) {
    fail_in_warp(index, "lanes wait in different operations of the warp", &site);
  }
  warp.waiting |= 1U << machine.current % kWarp;
  switch_to(next_thread());
}

Warp& current_warp(Site site) {
  if (machine.current == kHost) fail("%s outside of a kernel", site.operation);
  return machine.warps[static_cast<std::size_t>(machine.current / kWarp)];
}

}  // namespace

void require_full_mask(unsigned mask, Site site) {
  if (mask != ~0U) {
    fail("%s:%d: %s with mask %#x: only full masks are emulated", site.file, site.line,
         site.operation, mask);
  }
}

const std::uint64_t* exchange(std::uint64_t value, Site site) {
  Warp& warp = current_warp(site);
  auto& values = warp.values[warp.operation & 1];
  values[static_cast<std::size_t>(machine.current % kWarp)] = value;
  wait_for_warp(site);
  return values.data();
}

Tiles& tiles() {
  Warp& warp = current_warp({"mma_sync", "", 0});
  Tiles& tiles = warp.tiles[warp.operation & 1];
  tiles.done = false;
  return tiles;
}

void wait_for_product(Tiles& tiles, Site site) {
  wait_for_warp(site);
  if (tiles.done) return;
  tiles.done = true;
  for (int row = 0; row < 16; ++row) {
    float sums[16] = {};
    for (int k = 0; k < 16; ++k) {
      const float a = tiles.a[row * 16 + k];
      for (int column = 0; column < 16; ++column) sums[column] += a * tiles.b[k * 16 + column];
    }
    std::copy_n(sums, 16, tiles.product + row * 16);
  }
}

}  // namespace barcodemae::cuda_emulation
