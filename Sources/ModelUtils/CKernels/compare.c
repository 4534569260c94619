#include "formats.h"

#include <float.h>

#pragma STDC FP_CONTRACT OFF

// Sums run in 8 lanes, element i in lane i mod 8, and the lanes are added in order: the same at every level.
enum { LANES = 8 };

typedef struct lanes {
  double different[LANES], nonfinite[LANES], absolute[LANES], far[LANES], relative[LANES];
  double product[LANES], first[LANES], second[LANES];
} lanes;

MK_INLINE double greater_of(double a, double b) {
  double x = __builtin_fabs(a), y = __builtin_fabs(b);
  return x > y ? x : y;
}

// A quotient above `relative` has a dividend of at least the rounded product: most blocks need no division.
MK_INLINE void measure_one(lanes *sums, size_t lane, double a, double b, double relative) {
  double distance = __builtin_fabs(a - b);
  int same = (a == b) | ((a != a) & (b != b));
  int finite = distance <= DBL_MAX;
  distance = finite ? distance : 0;
  sums->different[lane] += same ? 0 : 1;
  sums->nonfinite[lane] += (same | finite) ? 0 : 1;
  sums->absolute[lane] = distance > sums->absolute[lane] ? distance : sums->absolute[lane];
  sums->far[lane] += distance >= relative * greater_of(a, b) ? 1 : 0;
}

MK_INLINE void relate_one(lanes *sums, size_t lane, double a, double b) {
  double distance = __builtin_fabs(a - b);
  double relative = distance > 0 && distance <= DBL_MAX ? distance / greater_of(a, b) : 0;
  sums->relative[lane] = relative > sums->relative[lane] ? relative : sums->relative[lane];
}

MK_INLINE double greatest(const double *lanes) {
  double result = 0;
  for (size_t l = 0; l < LANES; ++l) result = lanes[l] > result ? lanes[l] : result;
  return result;
}

MK_INLINE void multiply_one(lanes *sums, size_t lane, double a, double b) {
  int finite = __builtin_fabs(a - b) <= DBL_MAX;
  sums->product[lane] += finite ? a * b : 0;
  sums->first[lane] += finite ? a * a : 0;
  sums->second[lane] += finite ? b * b : 0;
}

// Loops over a block that is in the nearest cache, each with as many sums as there are registers for; sums of their own,
// since those behind the pointer would be written at every step.
#define COMPARE(number, name)                                                                                          \
  MK_INLINE void name(lanes *total, const number *a, const number *b, size_t count) {                                  \
    lanes sums = *total;                                                                                               \
    size_t length;                                                                                                     \
    for (; count > 0; a += length, b += length, count -= length) {                                                     \
      length = count < MK_BLOCK ? count : MK_BLOCK;                                                                    \
      size_t i = 0, j = 0, k = 0;                                                                                      \
      double relative = greatest(sums.relative);                                                                       \
      for (size_t l = 0; l < LANES; ++l) sums.far[l] = 0;                                                              \
      for (; i + LANES <= length; i += LANES)                                                                          \
        for (size_t l = 0; l < LANES; ++l) measure_one(&sums, l, (double)a[i + l], (double)b[i + l], relative);        \
      for (size_t l = 0; i + l < length; ++l) measure_one(&sums, l, (double)a[i + l], (double)b[i + l], relative);     \
      if (greatest(sums.far) > 0) {                                                                                    \
        for (; k + LANES <= length; k += LANES)                                                                        \
          for (size_t l = 0; l < LANES; ++l) relate_one(&sums, l, (double)a[k + l], (double)b[k + l]);                 \
        for (size_t l = 0; k + l < length; ++l) relate_one(&sums, l, (double)a[k + l], (double)b[k + l]);              \
      }                                                                                                                \
      for (; j + LANES <= length; j += LANES)                                                                          \
        for (size_t l = 0; l < LANES; ++l) multiply_one(&sums, l, (double)a[j + l], (double)b[j + l]);                 \
      for (size_t l = 0; j + l < length; ++l) multiply_one(&sums, l, (double)a[j + l], (double)b[j + l]);              \
    }                                                                                                                  \
    *total = sums;                                                                                                     \
  }

COMPARE(mk_f32, compare_floats)
COMPARE(mk_f64, compare_doubles)

MK_INLINE void load_doubles(mk_level level, mk_f64 *dst, const char *src, size_t count, mk_float type) {
  float block[MK_BLOCK];
  if (type == MK_FLOAT64) {
    memcpy(dst, src, count * sizeof(double));
    return;
  }
  mk_load_floats(level, block, src, count, type);
  for (size_t i = 0; i < count; ++i) dst[i] = (double)block[i];
}

MK_INLINE void compare_any(
  mk_level level, lanes *sums, const void *a, mk_float a_type, const void *b, mk_float b_type, size_t count) {
  if (a_type == MK_FLOAT32 && b_type == MK_FLOAT32) {
    compare_floats(sums, a, b, count);
  } else if (a_type == MK_FLOAT64 && b_type == MK_FLOAT64) {
    compare_doubles(sums, a, b, count);
  } else {
    double first[MK_BLOCK], second[MK_BLOCK];
    for (size_t done = 0; done < count; done += MK_BLOCK) {
      size_t length = count - done < MK_BLOCK ? count - done : MK_BLOCK;
      load_doubles(level, first, (const char *)a + done * mk_size(a_type), length, a_type);
      load_doubles(level, second, (const char *)b + done * mk_size(b_type), length, b_type);
      compare_doubles(sums, first, second, length);
    }
  }
}

static void compare_scalar(
  lanes *sums, const void *a, mk_float a_type, const void *b, mk_float b_type, size_t count) {
  compare_any(MK_SCALAR, sums, a, a_type, b, b_type, count);
}

#if MK_X86
MK_TARGET_AVX2 static void compare_avx2(
  lanes *sums, const void *a, mk_float a_type, const void *b, mk_float b_type, size_t count) {
  compare_any(MK_AVX2, sums, a, a_type, b, b_type, count);
}

MK_TARGET_AVX512 static void compare_avx512(
  lanes *sums, const void *a, mk_float a_type, const void *b, mk_float b_type, size_t count) {
  compare_any(MK_AVX2, sums, a, a_type, b, b_type, count);
}
#endif

void mk_compare(
  mk_comparison *result, const void *a, mk_float a_type, const void *b, mk_float b_type, size_t count) {
  lanes sums = {0};
#if MK_X86
  switch (mk_current_level()) {
  case MK_SCALAR: compare_scalar(&sums, a, a_type, b, b_type, count); break;
  case MK_AVX2: compare_avx2(&sums, a, a_type, b, b_type, count); break;
  case MK_AVX512: compare_avx512(&sums, a, a_type, b, b_type, count); break;
  }
#else
  compare_scalar(&sums, a, a_type, b, b_type, count);
#endif
  *result = (mk_comparison){0};
  for (size_t l = 0; l < LANES; ++l) {
    result->different += (size_t)sums.different[l];
    result->nonfinite += (size_t)sums.nonfinite[l];
    if (sums.absolute[l] > result->max_absolute) result->max_absolute = sums.absolute[l];
    if (sums.relative[l] > result->max_relative) result->max_relative = sums.relative[l];
    result->product += sums.product[l];
    result->first_squares += sums.first[l];
    result->second_squares += sums.second[l];
  }
}
