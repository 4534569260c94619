// torch's normal numbers in blocks of 16: the first eight uniforms give the radii, the others the angles.

#include "normal.h"
#include "twister.h"

#include <math.h>

#pragma STDC FP_CONTRACT OFF

enum { PAIRS = MK_NORMAL_BLOCK / 2, BUFFER = 64 * MK_NORMAL_BLOCK };

// The logarithm, sine and cosine of the Cephes library in single precision, with those multiplications and additions
// fused that torch's compiler fuses: for each of the 2^24 uniform numbers, as radius and as angle, the bits are
// torch's.

MK_INLINE float logarithm(float x) {
  uint32_t bits = mk_bits(x);
  float e = (float)((int32_t)(bits >> 23) - 126);
  x = mk_as_float((bits & 0x7fffff) | 0x3f000000);
  float is_low = x < 0.707106781186547524f ? 1.0f : 0.0f;
  float again = x < 0.707106781186547524f ? x : 0.0f;
  e -= is_low;
  x = (x - 1.0f) + again;
  float z = x * x;
  float y = 7.0376836292e-2f;
  y = __builtin_fmaf(y, x, -1.1514610310e-1f);
  y = __builtin_fmaf(y, x, 1.1676998740e-1f);
  y = __builtin_fmaf(y, x, -1.2420140846e-1f);
  y = __builtin_fmaf(y, x, 1.4249322787e-1f);
  y = __builtin_fmaf(y, x, -1.6668057665e-1f);
  y = __builtin_fmaf(y, x, 2.0000714765e-1f);
  y = __builtin_fmaf(y, x, -2.4999993993e-1f);
  y = __builtin_fmaf(y, x, 3.3333331174e-1f);
  y = y * x;
  y = __builtin_fmaf(y, z, e * -2.12194440e-4f);
  y = __builtin_fmaf(z, -0.5f, y);
  return __builtin_fmaf(e, 0.693359375f, x + y);
}

typedef struct sine_cosine {
  float sine, cosine;
} sine_cosine;

// Of an angle that is not negative.
MK_INLINE sine_cosine sines(float x) {
  int32_t octant = ((int32_t)(x * 1.27323954473516f) + 1) & ~1;
  float y = (float)octant;
  x = __builtin_fmaf(y, -0.78515625f, x);
  x = __builtin_fmaf(y, -2.4187564849853515625e-4f, x);
  x = __builtin_fmaf(y, -3.77489497744594108e-8f, x);
  float z = x * x;
  float even = 2.443315711809948e-5f;
  even = __builtin_fmaf(even, z, -1.388731625493765e-3f);
  even = __builtin_fmaf(even, z, 4.166664568298827e-2f);
  even = even * z;
  even = __builtin_fmaf(even, z, z * -0.5f) + 1.0f;
  float odd = -1.9515295891e-4f;
  odd = __builtin_fmaf(odd, z, 8.3321608736e-3f);
  odd = __builtin_fmaf(odd, z, -1.6666654611e-1f);
  odd = odd * z;
  odd = __builtin_fmaf(odd, x, x);
  bool swapped = octant & 2;
  uint32_t sine_sign = (uint32_t)(octant & 4) << 29, cosine_sign = (uint32_t)(octant + 2 & 4) << 29;
  sine_cosine result;
  result.sine = mk_as_float(mk_bits(swapped ? even : odd) ^ sine_sign);
  result.cosine = mk_as_float(mk_bits(swapped ? odd : even) ^ cosine_sign);
  return result;
}

static void normal_scalar(float *data, size_t count, float mean, float deviation) {
  for (size_t block = 0; block < count; block += MK_NORMAL_BLOCK)
    for (float *radius = data + block, *angle = radius + PAIRS; radius < data + block + PAIRS; ++radius, ++angle) {
      float r = __builtin_sqrtf(-2.0f * logarithm(1.0f - *radius));
      sine_cosine of = sines(6.283185307179586f * *angle);
      *radius = __builtin_fmaf(r * of.cosine, deviation, mean);
      *angle = __builtin_fmaf(r * of.sine, deviation, mean);
    }
}

static void normal_floats(float *data, size_t count, float mean, float deviation) {
#if MK_X86
  if (mk_has_fma()) return mk_normal_floats_fma(data, count, mean, deviation);
#endif
  normal_scalar(data, count, mean, deviation);
}

static void normal_doubles(double *data, size_t count, double mean, double deviation) {
  for (size_t block = 0; block < count; block += MK_NORMAL_BLOCK)
    for (double *radius = data + block, *angle = radius + PAIRS; radius < data + block + PAIRS; ++radius, ++angle) {
      double r = sqrt(-2 * log(1 - *radius)), theta = 6.283185307179586 * *angle;
      *radius = fma(r * cos(theta), deviation, mean);
      *angle = fma(r * sin(theta), deviation, mean);
    }
}

static void fill(mk_twister *twister, void *dst, size_t count, mk_float type, double mean, double deviation) {
  float floats[BUFFER];
  double doubles[BUFFER];
  for (size_t done = 0; done < count; done += BUFFER) {
    size_t length = count - done < BUFFER ? count - done : BUFFER;
    void *out = (char *)dst + done * mk_size(type);
    if (type == MK_FLOAT64) {
      mk_torch_uniform(twister, doubles, length, type, 0, 1);
      normal_doubles(doubles, length, mean, deviation);
      memcpy(out, doubles, length * sizeof *doubles);
    } else {
      mk_torch_uniform(twister, floats, length, MK_FLOAT32, 0, 1);
      normal_floats(floats, length, (float)mean, (float)deviation);
      mk_store_floats(mk_current_level(), out, floats, length, type);
    }
  }
}

void mk_torch_normal(mk_twister *twister, void *dst, size_t count, mk_float type, double mean, double deviation) {
  size_t whole = count / MK_NORMAL_BLOCK * MK_NORMAL_BLOCK, size = mk_size(type);
  fill(twister, dst, whole, type, mean, deviation);
  if (whole == count) return;
  // The uniforms of the incomplete block are drawn before they are thrown away, but for the half formats.
  if (size > 2) {
    uint32_t unused[2 * MK_NORMAL_BLOCK];
    mk_twister_draw(twister, unused, (count - whole) * (size / 4));
  }
  fill(twister, (char *)dst + (count - MK_NORMAL_BLOCK) * size, MK_NORMAL_BLOCK, type, mean, deviation);
}
