#include "threshold.h"

#define ZERO_SCALAR(word, name)                                                                                        \
  static void name(void *dst, const void *src, size_t count, mk_bounds bounds, size_t *ties) {                        \
    word *out = dst;                                                                                                   \
    const word *in = src;                                                                                              \
    size_t left = *ties;                                                                                               \
    for (size_t i = 0; i < count; ++i) {                                                                               \
      word value = in[i], key = value & (word)((word)~(word)0 >> 1);                                                   \
      bool tie = key >= bounds.bound && key < bounds.end && left  > 0;                                                \
      left -= tie;                                                                                                     \
      out[i] = key < bounds.bound || tie ? 0 : value;                                                                  \
    }                                                                                                                  \
    *ties = left;                                                                                                      \
  }

ZERO_SCALAR(uint8_t, zero_scalar_8)
ZERO_SCALAR(mk_u16, zero_scalar_16)
ZERO_SCALAR(mk_u32, zero_scalar_32)
ZERO_SCALAR(mk_u64, zero_scalar_64)

static void zero_scalar(void *dst, const void *src, size_t count, size_t size, mk_bounds bounds, size_t *ties) {
  switch (size) {
  case 1: zero_scalar_8(dst, src, count, bounds, ties); break;
  case 2: zero_scalar_16(dst, src, count, bounds, ties); break;
  case 4: zero_scalar_32(dst, src, count, bounds, ties); break;
  case 8: zero_scalar_64(dst, src, count, bounds, ties); break;
  }
}

void mk_zero_smallest(void *dst, const void *src, size_t count, mk_float type, mk_threshold *threshold) {
  mk_bounds bounds = mk_bounds_of(threshold->magnitude, type);
  zero_scalar(dst, src, count, mk_size(type), bounds, &threshold->ties);
}
