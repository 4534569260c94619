#include "formats.h"

#include <float.h>

#pragma STDC FP_CONTRACT OFF

// Sums run in 8 lanes, element i in lane i mod 8, and the lanes are added in order: the same at every level.
enum { LANES = 8 };

typedef struct lanes {
  double different[LANES], nonfinite[LANES], absolute[LANES], relative[LANES];
  double product[LANES], first[LANES], second[LANES];
  // Of a block: NaN where a difference is not finite; not below 0 where a greater relative one may be.
  double trouble[LANES], excess[LANES];
} lanes;

MK_INLINE double greater_of(double a, double b) {
  double x = __builtin_fabs(a), y = __builtin_fabs(b);
  return x > y ? x : y;
}

// A quotient above `relative` has a dividend of at least the rounded product: most blocks need no division.
MK_INLINE void measure_one(lanes *sums, size_t lane, double a, double b, double relative) {
  double distance = __builtin_fabs(a - b), excess = distance - relative * greater_of(a, b);
  sums->trouble[lane] += distance * 0;
  sums->different[lane] += distance > 0 ? 1.0 : 0.0;
  sums->absolute[lane] = distance > sums->absolute[lane] ? distance : sums->absolute[lane];
  sums->excess[lane] = excess > sums->excess[lane] ? excess : sums->excess[lane];
}

MK_INLINE void multiply_one(lanes *sums, size_t lane, double a, double b) {
  sums->product[lane] += a * b;
  sums->first[lane] += a * a;
  sums->second[lane] += b * b;
}

MK_INLINE void relate_one(lanes *sums, size_t lane, double a, double b) {
  double distance = __builtin_fabs(a - b), relative = distance > 0 ? distance / greater_of(a, b) : 0;
  sums->relative[lane] = relative > sums->relative[lane] ? relative : sums->relative[lane];
}

// All that the other three do, where differences may not be finite.
MK_INLINE void heed_one(lanes *sums, size_t lane, double a, double b) {
  if (__builtin_fabs(a - b) <= DBL_MAX) {
    measure_one(sums, lane, a, b, 0);
    multiply_one(sums, lane, a, b);
    relate_one(sums, lane, a, b);
  } else if (!((a == b) | ((a != a) & (b != b)))) {
    sums->different[lane] += 1;
    sums->nonfinite[lane] += 1;
  }
}

MK_INLINE double greatest(const double *lanes) {
  double result = lanes[0];
  for (size_t l = 1; l < LANES; ++l) result = lanes[l] > result ? lanes[l] : result;
  return result;
}

MK_INLINE bool is_finite(const double *lanes) {
  double sum = 0;
  for (size_t l = 0; l < LANES; ++l) sum += lanes[l];
  return sum == 0;
}

#define EACH(one, ...)                                                                                                 \
  {                                                                                                                    \
    size_t i = 0;                                                                                                      \
    for (; i + LANES <= length; i += LANES)                                                                            \
      for (size_t l = 0; l < LANES; ++l) one(&sums, l, (double)a[i + l], (double)b[i + l] __VA_OPT__(, ) __VA_ARGS__); \
    for (size_t l = 0; i + l < length; ++l)                                                                            \
      one(&sums, l, (double)a[i + l], (double)b[i + l] __VA_OPT__(, ) __VA_ARGS__);                                    \
  }

// Loops over a block that is in the nearest cache, each with as many sums as there are registers for; sums of their own,
// since those behind the pointer would be written at every step.
#define COMPARE(number, name)                                                                                          \
  MK_INLINE void name(lanes *total, const number *a, const number *b, size_t count) {                                  \
    size_t length;                                                                                                     \
    for (; count > 0; a += length, b += length, count -= length) {                                                     \
      length = count < MK_BLOCK ? count : MK_BLOCK;                                                                    \
      lanes sums = *total;                                                                                             \
      const double relative = greatest(sums.relative);                                                                 \
      for (size_t l = 0; l < LANES; ++l) sums.trouble[l] = 0, sums.excess[l] = -1;                                     \
      EACH(measure_one, relative)                                                                                      \
      if (is_finite(sums.trouble)) {                                                                                   \
        EACH(multiply_one)                                                                                             \
        if (greatest(sums.excess) >= 0) {                                                                              \
          EACH(relate_one)                                                                                             \
        }                                                                                                              \
      } else {                                                                                                         \
        sums = *total;                                                                                                 \
        for (size_t i = 0; i < length; ++i) heed_one(&sums, i % LANES, (double)a[i], (double)b[i]);                    \
      }                                                                                                                \
      *total = sums;                                                                                                   \
    }                                                                                                                  \
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
