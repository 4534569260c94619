// The floating formats: sizes, bits, and one element's exact conversion to and from float32.

#ifndef CKERNELS_FORMATS_H
#define CKERNELS_FORMATS_H

#include "simd.h"

#include <string.h>

MK_INLINE size_t mk_size(mk_float type) {
  switch (type) {
  case MK_FLOAT64: return 8;
  case MK_FLOAT32: return 4;
  case MK_FLOAT16:
  case MK_BFLOAT16: return 2;
  case MK_FLOAT8_E4M3FN:
  case MK_FLOAT8_E5M2: return 1;
  }
  return 0;
}

// A magnitude's bits without the sign are its *key*: keys order as magnitudes do. This is the lowest key of a NaN;
// the keys above it are NaNs too and count as equal to it.
MK_INLINE uint64_t mk_nan_key(mk_float type) {
  switch (type) {
  case MK_FLOAT64: return 0x7ff0000000000001;
  case MK_FLOAT32: return 0x7f800001;
  case MK_FLOAT16: return 0x7c01;
  case MK_BFLOAT16: return 0x7f81;
  case MK_FLOAT8_E4M3FN: return 0x7f;
  case MK_FLOAT8_E5M2: return 0x7d;
  }
  return 0;
}

// The lowest key that is infinite or NaN. float8_e4m3fn has no infinity.
MK_INLINE uint64_t mk_nonfinite_key(mk_float type) { return mk_nan_key(type) - (type != MK_FLOAT8_E4M3FN); }

MK_INLINE float mk_as_float(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

MK_INLINE uint32_t mk_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

// To float32. NaNs keep their sign and the upper bits of their payload, and become quiet as the hardware makes them.

MK_INLINE float mk_from_float16(uint16_t half) {
  uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 0x3ff;
  if (exponent == 31) return mk_as_float(sign | (fraction ? 0x7fc00000 | fraction << 13 : 0x7f800000));
  if (exponent == 0) return mk_as_float(sign | mk_bits((float)fraction * 0x1p-24f));
  return mk_as_float(sign | (exponent + 112) << 23 | fraction << 13);
}

MK_INLINE float mk_from_bfloat16(uint16_t bits) { return mk_as_float((uint32_t)bits << 16); }

MK_INLINE float mk_from_e4m3fn(uint8_t bits) {
  uint32_t sign = (uint32_t)(bits & 0x80) << 24, exponent = bits >> 3 & 15, fraction = bits & 7;
  if ((bits & 0x7f) == 0x7f) return mk_as_float(sign | 0x7ff00000);
  if (exponent == 0) return mk_as_float(sign | mk_bits((float)fraction * 0x1p-9f));
  return mk_as_float(sign | (exponent + 120) << 23 | fraction << 20);
}

MK_INLINE float mk_from_e5m2(uint8_t bits) { return mk_from_float16((uint16_t)(bits << 8)); }

// From float32, to nearest even. A result below the format's normals is rounded by adding the power of two whose last
// bit weighs as much as the format's.

MK_INLINE uint16_t mk_to_float16(float value) {
  uint32_t bits = mk_bits(value), key = bits & 0x7fffffff, sign = bits >> 16 & 0x8000;
  if (key > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (key >> 13 & 0x3ff));
  if (key >= 0x47800000) return (uint16_t)(sign | 0x7c00);
  if (key < 0x38800000) return (uint16_t)(sign | (mk_bits(mk_as_float(key) + 0.5f) - 0x3f000000));
  return (uint16_t)(sign | (key - (112u << 23) + 0xfff + (key >> 13 & 1)) >> 13);
}

// A NaN becomes 0x7fc0, as in PyTorch's own scalar code; its vector code writes 0xffff.
MK_INLINE uint16_t mk_to_bfloat16(float value) {
  uint32_t bits = mk_bits(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fc0;
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// What overflows, infinities too, becomes the greatest number: PyTorch before 2.13 made it NaN.
MK_INLINE uint8_t mk_to_e4m3fn(float value) {
  uint32_t bits = mk_bits(value), key = bits & 0x7fffffff, sign = bits >> 24 & 0x80;
  if (key > 0x7f800000) return (uint8_t)(sign | 0x7f);
  if (key >= 0x43e00000) return (uint8_t)(sign | 0x7e);
  if (key < 0x3c800000) return (uint8_t)(sign | (mk_bits(mk_as_float(key) + 0x1p14f) - 0x46800000));
  return (uint8_t)(sign | (key - (120u << 23) + 0x7ffff + (key >> 20 & 1)) >> 20);
}

MK_INLINE uint8_t mk_to_e5m2(float value) {
  uint32_t bits = mk_bits(value), key = bits & 0x7fffffff, sign = bits >> 24 & 0x80;
  if (key > 0x7f800000) return (uint8_t)(sign | 0x7f);
  if (key >= 0x47800000) return (uint8_t)(sign | 0x7c);
  if (key < 0x38800000) return (uint8_t)(sign | (mk_bits(mk_as_float(key) + 0x1p7f) - 0x43000000));
  return (uint8_t)(sign | (key - (112u << 23) + 0xfffff + (key >> 21 & 1)) >> 21);
}

// One element's bits without the sign.
MK_INLINE uint64_t mk_key(const void *data, size_t index, mk_float type) {
  switch (mk_size(type)) {
  case 8: return ((const mk_u64 *)data)[index] & INT64_MAX;
  case 4: return ((const mk_u32 *)data)[index] & INT32_MAX;
  case 2: return ((const mk_u16 *)data)[index] & INT16_MAX;
  default: return ((const uint8_t *)data)[index] & INT8_MAX;
  }
}

// The magnitude that a key stands for.
MK_INLINE double mk_key_value(uint64_t key, mk_float type) {
  double value = 0;
  switch (type) {
  case MK_FLOAT64: memcpy(&value, &key, sizeof value); return value;
  case MK_FLOAT32: return mk_as_float((uint32_t)key);
  case MK_FLOAT16: return mk_from_float16((uint16_t)key);
  case MK_BFLOAT16: return mk_from_bfloat16((uint16_t)key);
  case MK_FLOAT8_E4M3FN: return mk_from_e4m3fn((uint8_t)key);
  case MK_FLOAT8_E5M2: return mk_from_e5m2((uint8_t)key);
  }
  return value;
}

// The key of a magnitude that the format holds exactly.
MK_INLINE uint64_t mk_value_key(double value, mk_float type) {
  uint64_t key;
  switch (type) {
  case MK_FLOAT64: memcpy(&key, &value, sizeof key); return key & INT64_MAX;
  case MK_FLOAT32: return mk_bits((float)value) & INT32_MAX;
  case MK_FLOAT16: return mk_to_float16((float)value) & INT16_MAX;
  case MK_BFLOAT16: return mk_to_bfloat16((float)value) & INT16_MAX;
  case MK_FLOAT8_E4M3FN: return mk_to_e4m3fn((float)value) & INT8_MAX;
  case MK_FLOAT8_E5M2: return mk_to_e5m2((float)value) & INT8_MAX;
  }
  return 0;
}

// Blocks to and from float32, at a given level. float64 is rounded, as every conversion from it begins with that.
void mk_load_floats(mk_level level, mk_f32 *dst, const void *src, size_t count, mk_float type);
void mk_store_floats(mk_level level, void *dst, const mk_f32 *src, size_t count, mk_float type);

#endif
