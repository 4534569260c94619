// The instruction sets of this machine, and the words the kernels share.

#ifndef CKERNELS_SIMD_H
#define CKERNELS_SIMD_H

#include "CKernels.h"

typedef mk_simd mk_level;

// The level to use now. Kernels ask once per call.
mk_level mk_current_level(void);

#if defined(__x86_64__)
#define MK_X86 1
#include <immintrin.h>
#define MK_TARGET_AVX2 __attribute__((target("avx2,f16c,bmi,bmi2,popcnt")))
#define MK_TARGET_AVX512                                                                                               \
  __attribute__((target("avx2,f16c,bmi,bmi2,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi2")))
#define MK_TARGET_FMA __attribute__((target("avx2,fma,f16c,bmi,bmi2,popcnt")))
#else
#define MK_X86 0
#endif

// Whether what bears MK_TARGET_FMA may run now.
bool mk_has_fma(void);

// A loop written once and compiled per level, inside functions that bear a target attribute.
#define MK_INLINE static inline __attribute__((always_inline))

// Before a loop whose turns are independent of each other: without it the compiler's check for overlap sends
// dst == src, the usual case here, down the slow path.
#define MK_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")

// Words as they lie in a file: at any address, over any declared type.
typedef uint16_t mk_u16 __attribute__((aligned(1), may_alias));
typedef uint32_t mk_u32 __attribute__((aligned(1), may_alias));
typedef uint64_t mk_u64 __attribute__((aligned(1), may_alias));
typedef float mk_f32 __attribute__((aligned(1), may_alias));
typedef double mk_f64 __attribute__((aligned(1), may_alias));

// Elements that a kernel converts at a time, in a buffer on the stack.
enum { MK_BLOCK = 1024 };

#endif
