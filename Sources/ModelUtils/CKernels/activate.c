#include "simd.h"

#include <string.h>

#pragma STDC FP_CONTRACT ON

// e to a power between -87 and 87 in float32: 2 to the nearest whole number, by adding to the exponent's bits, times
// Taylor's polynomial of the rest, which is at most ln 2 / 2. Within 2 units in the last place.
MK_INLINE float exponential(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 87.0f ? 87.0f : x;
  const float rounding = 0x1.8p23f;
  float shifted = x * 0x1.715476p0f + rounding;
  float whole = shifted - rounding;
  // ln 2 in two parts, the first with few bits.
  float rest = x - whole * 0x1.62e4p-1f - whole * 0x1.7f7d1cp-20f;
  float sum = 1.0f / 720;
  sum = sum * rest + 1.0f / 120;
  sum = sum * rest + 1.0f / 24;
  sum = sum * rest + 1.0f / 6;
  sum = sum * rest + 0.5f;
  sum = sum * rest + 1.0f;
  sum = sum * rest + 1.0f;
  int32_t power, bits;
  memcpy(&power, &shifted, 4);
  memcpy(&bits, &sum, 4);
  bits += (int32_t)((uint32_t)power << 23);
  memcpy(&sum, &bits, 4);
  return sum;
}

MK_INLINE float silu(float x) { return x / (1 + exponential(-x)); }

MK_INLINE void silu_floats(float *dst, const float *src, const float *addend, size_t count) {
  if (addend) {
    MK_INDEPENDENT
    for (size_t i = 0; i < count; ++i) dst[i] = silu(src[i]) + addend[i];
  } else {
    MK_INDEPENDENT
    for (size_t i = 0; i < count; ++i) dst[i] = silu(src[i]);
  }
}

MK_INLINE float widened(uint16_t half) {
  uint32_t bits = (uint32_t)half << 16;
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

// To nearest even; a NaN keeps its quiet bit.
MK_INLINE uint16_t narrowed(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  return (uint16_t)(value == value ? rounded : 0x7fc0);
}

MK_INLINE void silu_halves(uint16_t *dst, const uint16_t *src, const uint16_t *addend, size_t count) {
  if (addend) {
    MK_INDEPENDENT
    for (size_t i = 0; i < count; ++i) dst[i] = narrowed(silu(widened(src[i])) + widened(addend[i]));
  } else {
    MK_INDEPENDENT
    for (size_t i = 0; i < count; ++i) dst[i] = narrowed(silu(widened(src[i])));
  }
}

MK_INLINE void silu_all(void *dst, const void *src, const void *addend, size_t count, mk_float type) {
  if (type == MK_BFLOAT16) return silu_halves(dst, src, addend, count);
  silu_floats(dst, src, addend, count);
}

static void silu_scalar(void *dst, const void *src, const void *addend, size_t count, mk_float type) {
  silu_all(dst, src, addend, count, type);
}

#if MK_X86
MK_TARGET_FMA static void silu_avx2(void *dst, const void *src, const void *addend, size_t count, mk_float type) {
  silu_all(dst, src, addend, count, type);
}

MK_TARGET_AVX512 static void silu_avx512(void *dst, const void *src, const void *addend, size_t count, mk_float type) {
  silu_all(dst, src, addend, count, type);
}
#endif

void mk_silu(void *dst, const void *src, const void *addend, size_t count, mk_float type) {
#if MK_X86
  if (mk_current_level() == MK_AVX512) return silu_avx512(dst, src, addend, count, type);
  if (mk_has_fma()) return silu_avx2(dst, src, addend, count, type);
#endif
  silu_scalar(dst, src, addend, count, type);
}
