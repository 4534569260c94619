// Sixteen floats at a time: written once, compiled per level. Contracted, unlike what operations.h has: a fused
// multiplication is a good part of what such kernels take.

#ifndef CKERNELS_LANES_H
#define CKERNELS_LANES_H

#include "operations.h"

// Everything here is inlined into functions of one level, so how such vectors would be passed does not matter.
#pragma clang diagnostic ignored "-Wpsabi"

#pragma STDC FP_CONTRACT ON

enum { MK_LANES = 16 };

typedef float mk_lanes __attribute__((vector_size(64)));
typedef int32_t mk_lane_bits __attribute__((vector_size(64)));

MK_INLINE mk_lanes mk_load(const float *src) {
  mk_lanes x;
  memcpy(&x, src, sizeof x);
  return x;
}

MK_INLINE void mk_store(float *dst, mk_lanes x) { memcpy(dst, &x, sizeof x); }

// The first `count` of them; the rest are 0.
MK_INLINE mk_lanes mk_load_some(const float *src, size_t count) {
  mk_lanes x = {0};
  memcpy(&x, src, count * sizeof(float));
  return x;
}

// As many as there are left.
MK_INLINE mk_lanes mk_load_up_to(const float *src, size_t left) {
  return left >= MK_LANES ? mk_load(src) : mk_load_some(src, left);
}

MK_INLINE void mk_store_some(float *dst, mk_lanes x, size_t count) { memcpy(dst, &x, count * sizeof(float)); }

MK_INLINE void mk_store_up_to(float *dst, mk_lanes x, size_t left) {
  if (left >= MK_LANES) mk_store(dst, x);
  else mk_store_some(dst, x, left);
}

MK_INLINE mk_lanes mk_all(float x) { return (mk_lanes){0} + x; }

// a where the mask's bits are set, else b.
MK_INLINE mk_lanes mk_either(mk_lane_bits mask, mk_lanes a, mk_lanes b) {
  return (mk_lanes)(((mk_lane_bits)a & mask) | ((mk_lane_bits)b & ~mask));
}

// As activate.c's of one float, from which the compiler makes a loop that is a tenth faster than one of these.
MK_INLINE mk_lanes mk_lanes_exp(mk_lanes x) {
  x = mk_either(x < -87.0f, mk_all(-87.0f), x);
  x = mk_either(x > 87.0f, mk_all(87.0f), x);
  const float rounding = 0x1.8p23f;
  mk_lanes shifted = x * 0x1.715476p0f + rounding;
  mk_lanes whole = shifted - rounding;
  // ln 2 in two parts, the first with few bits.
  mk_lanes rest = x - whole * 0x1.62e4p-1f - whole * 0x1.7f7d1cp-20f;
  mk_lanes sum = mk_all(1.0f / 720);
  sum = sum * rest + 1.0f / 120;
  sum = sum * rest + 1.0f / 24;
  sum = sum * rest + 1.0f / 6;
  sum = sum * rest + 0.5f;
  sum = sum * rest + 1.0f;
  sum = sum * rest + 1.0f;
  return (mk_lanes)((mk_lane_bits)sum + ((mk_lane_bits)shifted << 23));
}

MK_INLINE mk_lanes mk_lanes_silu(mk_lanes x) { return x / (1.0f + mk_lanes_exp(-x)); }

// As MK_PER_LEVEL, with fused multiplications beside AVX2 where the processor has them.
#if MK_X86
#define MK_PER_FUSED_LEVEL(name, parameters, arguments)                                                                \
  static void name##_scalar parameters { name##_any arguments; }                                                       \
  MK_TARGET_FMA static void name##_avx2 parameters { name##_any arguments; }                                           \
  MK_TARGET_AVX512 static void name##_avx512 parameters { name##_any arguments; }                                      \
  void name parameters {                                                                                               \
    if (mk_current_level() == MK_AVX512) return name##_avx512 arguments;                                               \
    if (mk_has_fma()) return name##_avx2 arguments;                                                                    \
    name##_scalar arguments;                                                                                           \
  }
#else
#define MK_PER_FUSED_LEVEL(name, parameters, arguments)                                                                \
  void name parameters { name##_any arguments; }
#endif

#endif
