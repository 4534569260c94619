// Functions of one float32 that the compiler can vectorise: no calls, no branches. Each is written once and compiled
// per level; nothing is contracted or reordered, so that every level gives the same answer.

#ifndef CKERNELS_OPERATIONS_H
#define CKERNELS_OPERATIONS_H

#include "formats.h"

#include <math.h>

#pragma STDC FP_CONTRACT OFF

// A function `name` with its body `name_any`, compiled for each level.
#if MK_X86
#define MK_PER_LEVEL(name, parameters, arguments)                                                                      \
  static void name##_scalar parameters { name##_any arguments; }                                                       \
  MK_TARGET_AVX2 static void name##_avx2 parameters { name##_any arguments; }                                          \
  MK_TARGET_AVX512 static void name##_avx512 parameters { name##_any arguments; }                                      \
  void name parameters {                                                                                               \
    switch (mk_current_level()) {                                                                                      \
    case MK_AVX512: return name##_avx512 arguments;                                                                    \
    case MK_AVX2: return name##_avx2 arguments;                                                                        \
    case MK_SCALAR: return name##_scalar arguments;                                                                    \
    }                                                                                                                  \
  }
#else
#define MK_PER_LEVEL(name, parameters, arguments)                                                                      \
  void name parameters { name##_any arguments; }
#endif

MK_INLINE float mk_power_of_two(int32_t n) { return mk_as_float((uint32_t)(n + 127) << 23); }

// x as n · ln 2 + r with |r| <= ln 2 / 2: n, and exp(r) - 1 to a rounding error.
MK_INLINE float mk_reduced_exponential(float x, int32_t *n) {
  // Adding 1.5 · 2^23 rounds to a whole number, which then stands in the lowest bits.
  const float shift = 12582912.0f;
  float shifted = x * 1.44269504f + shift;
  float whole = shifted - shift;
  *n = (int32_t)(mk_bits(shifted) - mk_bits(shift));
  float r = x - whole * 0.693359375f - whole * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  return p * (r * r) + r;
}

MK_INLINE float mk_exp(float x) {
  // Also true of NaN, which stays.
  float inside = x > 89.0f ? 89.0f : x;
  inside = inside < -104.0f ? -104.0f : inside;
  int32_t n;
  float p = mk_reduced_exponential(inside, &n) + 1.0f;
  // In two steps, as 2^n alone may be no number.
  int32_t half = n >> 1;
  half = half > 64 ? 64 : half < -76 ? -76 : half;
  int32_t rest = n - half;
  rest = rest > 65 ? 65 : rest < -76 ? -76 : rest;
  return p * mk_power_of_two(half) * mk_power_of_two(rest);
}

// exp(x) - 1 for x <= 0.
MK_INLINE float mk_expm1(float x) {
  float inside = x < -80.0f ? -80.0f : x;
  int32_t n;
  float p = mk_reduced_exponential(inside, &n);
  float power = mk_power_of_two(n < -126 ? -126 : n > 126 ? 126 : n);
  return power * p + (power - 1.0f);
}

// log(1 + x) for 0 <= x <= 1.
MK_INLINE float mk_log1p(float x) {
  // 1 + x as it is, or halved; both less 1 without a rounding error.
  bool is_halved = x > 0.41421356f;
  float y = is_halved ? (x - 1.0f) * 0.5f : x;
  float p = 7.0376836292e-2f;
  p = p * y - 1.1514610310e-1f;
  p = p * y + 1.1676998740e-1f;
  p = p * y - 1.2420140846e-1f;
  p = p * y + 1.4249322787e-1f;
  p = p * y - 1.6668057665e-1f;
  p = p * y + 2.0000714765e-1f;
  p = p * y - 2.4999993993e-1f;
  p = p * y + 3.3333331174e-1f;
  float square = y * y;
  float log = y + (p * square * y - 0.5f * square);
  return is_halved ? log + 0.693147181f : log;
}

MK_INLINE float mk_abs(float x) { return mk_as_float(mk_bits(x) & 0x7fffffff); }

MK_INLINE float mk_sigmoid(float x) { return 1.0f / (1.0f + mk_exp(-x)); }

MK_INLINE float mk_tanh(float x) {
  float t = mk_expm1(-2.0f * mk_abs(x));
  float magnitude = -t / (2.0f + t);
  return mk_as_float(mk_bits(magnitude) | (mk_bits(x) & 0x80000000));
}

// log(1 + exp(x)).
MK_INLINE float mk_softplus(float x) { return (x > 0 ? x : x != x ? x : 0) + mk_log1p(mk_exp(-mk_abs(x))); }

#endif
