// SPDX-License-Identifier: MIT
// CUDA's vector types, with CUDA's alignments, and its qualifiers, which mean nothing to a CPU.
#pragma once

#define BARCODEMAE_CUDA_EMULATION 1

#define __host__
#define __device__
#define __global__
#define __forceinline__ inline __attribute__((always_inline))
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __launch_bounds__(...)
#define __grid_constant__
// Good for `extern __shared__ …[]`. A variable of a kernel's own cannot carry it: GCC warns, where
// an empty macro would silently give each thread a variable of its own.
#define __shared__ __attribute__((visibility("default")))

#define BARCODEMAE_VECTOR_TYPES(name, type)                                      \
  struct alignas(2 * sizeof(type)) name##2 {                                     \
    type x, y;                                                                   \
  };                                                                             \
  struct name##3 {                                                               \
    type x, y, z;                                                                \
  };                                                                             \
  struct alignas(sizeof(type) < 4 ? 4 * sizeof(type) : 16) name##4 {             \
    type x, y, z, w;                                                             \
  };                                                                             \
  constexpr name##2 make_##name##2(type x, type y) { return {x, y}; }            \
  constexpr name##3 make_##name##3(type x, type y, type z) { return {x, y, z}; } \
  constexpr name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }

BARCODEMAE_VECTOR_TYPES(char, signed char)
BARCODEMAE_VECTOR_TYPES(uchar, unsigned char)
BARCODEMAE_VECTOR_TYPES(short, short)
BARCODEMAE_VECTOR_TYPES(ushort, unsigned short)
BARCODEMAE_VECTOR_TYPES(int, int)
BARCODEMAE_VECTOR_TYPES(uint, unsigned int)
BARCODEMAE_VECTOR_TYPES(float, float)
BARCODEMAE_VECTOR_TYPES(longlong, long long)
BARCODEMAE_VECTOR_TYPES(ulonglong, unsigned long long)
BARCODEMAE_VECTOR_TYPES(double, double)
#undef BARCODEMAE_VECTOR_TYPES

struct dim3 {
  unsigned int x, y, z;
  constexpr dim3(unsigned int x_ = 1, unsigned int y_ = 1, unsigned int z_ = 1)
      : x(x_), y(y_), z(z_) {}
};
