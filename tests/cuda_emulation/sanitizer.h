// SPDX-License-Identifier: MIT
// What AddressSanitizer must be told: switches of stacks, and memory that is not to be touched.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define BARCODEMAE_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BARCODEMAE_ADDRESS_SANITIZER 1
#endif
#endif

#ifdef BARCODEMAE_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace barcodemae::cuda_emulation {

#ifdef BARCODEMAE_ADDRESS_SANITIZER
constexpr bool kAddressSanitizer = true;
inline void start_switch(void** fake_stack, const void* bottom, std::size_t bytes) {
  __sanitizer_start_switch_fiber(fake_stack, bottom, bytes);
}
inline void finish_switch(void* fake_stack, const void** bottom, std::size_t* bytes) {
  __sanitizer_finish_switch_fiber(fake_stack, bottom, bytes);
}
inline void poison(const void* memory, std::size_t bytes) {
  __asan_poison_memory_region(memory, bytes);
}
inline void unpoison(const void* memory, std::size_t bytes) {
  __asan_unpoison_memory_region(memory, bytes);
}
#else
constexpr bool kAddressSanitizer = false;
inline void start_switch(void**, const void*, std::size_t) {}
inline void finish_switch(void*, const void**, std::size_t*) {}
inline void poison(const void*, std::size_t) {}
inline void unpoison(const void*, std::size_t) {}
#endif

}  // namespace barcodemae::cuda_emulation
