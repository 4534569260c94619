// Sixteen floats at a time, for kernels whose channels lie side by side: written once, compiled per level.

#ifndef CKERNELS_LANES_H
#define CKERNELS_LANES_H

#include "operations.h"

// Everything here is inlined into functions of one level, so how such vectors would be passed does not matter.
#pragma clang diagnostic ignored "-Wpsabi"

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

#endif
