#include "formats.h"

#include <math.h>

#pragma STDC FP_CONTRACT OFF

// Sums run in 16 lanes, element i in lane i mod 16, and the lanes are added in halves: the same order at every level.
enum { LANES = 16 };

typedef enum measure { COUNT, SUM, SQUARES, POWER, MAXIMUM, MINIMUM, DEVIATION } measure;

MK_INLINE double magnitude(double value) { return __builtin_fabs(value); }

MK_INLINE double measured(double value, measure what, double parameter) {
  switch (what) {
  case COUNT: return value != 0 ? 1 : 0;
  case SUM: return parameter != 0 ? magnitude(value) : value;
  case SQUARES: return value * value;
  case POWER: return pow(magnitude(value), parameter);
  case MAXIMUM:
  case MINIMUM: return magnitude(value);
  case DEVIATION: return (value - parameter) * (value - parameter);
  }
  return 0;
}

MK_INLINE double combined(double a, double b, measure what) {
  // A comparison with NaN is false, so the form of these two makes a NaN on either side stay.
  if (what == MAXIMUM) return b <= a || a != a ? a : b;
  if (what == MINIMUM) return b >= a || a != a ? a : b;
  return a + b;
}

#define ACCUMULATE(number, name)                                                                                       \
  MK_INLINE void name(double *restrict lanes, const number *values, size_t count, measure what, double parameter) {    \
    size_t i = 0;                                                                                                      \
    for (; i + LANES <= count; i += LANES)                                                                             \
      for (size_t l = 0; l < LANES; ++l)                                                                               \
        lanes[l] = combined(lanes[l], measured((double)values[i + l], what, parameter), what);                         \
    for (size_t l = 0; i + l < count; ++l)                                                                             \
      lanes[l] = combined(lanes[l], measured((double)values[i + l], what, parameter), what);                           \
  }

ACCUMULATE(mk_f32, accumulate_floats)
ACCUMULATE(mk_f64, accumulate_doubles)

MK_INLINE double accumulate(
  mk_level level, const void *data, size_t count, mk_float type, measure what, double parameter) {
  double lanes[LANES];
  for (size_t l = 0; l < LANES; ++l) lanes[l] = what == MINIMUM ? (double)INFINITY : 0;
  if (type == MK_FLOAT64) {
    accumulate_doubles(lanes, data, count, what, parameter);
  } else if (type == MK_FLOAT32) {
    accumulate_floats(lanes, data, count, what, parameter);
  } else {
    float block[MK_BLOCK];
    for (size_t done = 0; done < count; done += MK_BLOCK) {
      size_t length = count - done < MK_BLOCK ? count - done : MK_BLOCK;
      mk_load_floats(level, block, (const char *)data + done * mk_size(type), length, type);
      accumulate_floats(lanes, block, length, what, parameter);
    }
  }
  for (size_t half = LANES / 2; half; half /= 2)
    for (size_t l = 0; l < half; ++l) lanes[l] = combined(lanes[l], lanes[l + half], what);
  return lanes[0];
}

// One copy of the loop per measure.
MK_INLINE double accumulate_any(
  mk_level level, const void *data, size_t count, mk_float type, measure what, double parameter) {
  switch (what) {
  case COUNT: return accumulate(level, data, count, type, COUNT, 0);
  case SUM:
    if (parameter != 0) return accumulate(level, data, count, type, SUM, 1);
    return accumulate(level, data, count, type, SUM, 0);
  case SQUARES: return accumulate(level, data, count, type, SQUARES, 0);
  case POWER: return accumulate(level, data, count, type, POWER, parameter);
  case MAXIMUM: return accumulate(level, data, count, type, MAXIMUM, 0);
  case MINIMUM: return accumulate(level, data, count, type, MINIMUM, 0);
  case DEVIATION: return accumulate(level, data, count, type, DEVIATION, parameter);
  }
  return 0;
}

static double total_scalar(const void *data, size_t count, mk_float type, measure what, double parameter) {
  return accumulate_any(MK_SCALAR, data, count, type, what, parameter);
}

#if MK_X86
MK_TARGET_AVX2 static double total_avx2(
  const void *data, size_t count, mk_float type, measure what, double parameter) {
  return accumulate_any(MK_AVX2, data, count, type, what, parameter);
}
#endif

static double total(const void *data, size_t count, mk_float type, measure what, double parameter) {
  double (*sum)(const void *, size_t, mk_float, measure, double) = total_scalar;
#if MK_X86
  if (mk_current_level() != MK_SCALAR) sum = total_avx2;
#endif
  double result = sum(data, count, type, what, parameter);
  // Which of two NaNs a sum keeps is the compiler's choice.
  return result != result ? (double)NAN : result;
}

double mk_power_sum(const void *data, size_t count, mk_float type, double power) {
  if (power == 0) return total(data, count, type, COUNT, 0);
  if (power == 1) return total(data, count, type, SUM, 1);
  if (power == 2) return total(data, count, type, SQUARES, 0);
  if (power == (double)INFINITY) return total(data, count, type, MAXIMUM, 0);
  if (power == (double)-INFINITY) return total(data, count, type, MINIMUM, 0);
  return total(data, count, type, POWER, power);
}

void mk_moments(const void *data, size_t count, mk_float type, double *mean, double *squares) {
  *mean = *squares = 0;
  if (count == 0) return;
  *mean = total(data, count, type, SUM, 0) / (double)count;
  *squares = total(data, count, type, DEVIATION, *mean);
}

// Non-finite elements

#define NONFINITE(word, name)                                                                                          \
  MK_INLINE bool name(const void *data, size_t count, uint64_t first) {                                                \
    const word *words = data;                                                                                          \
    for (size_t done = 0; done < count;) {                                                                             \
      size_t end = count - done < MK_BLOCK ? count : done + MK_BLOCK;                                                  \
      word found = 0;                                                                                                  \
      for (; done < end; ++done) found |= (words[done] & (word)((word)~(word)0 >> 1)) >= (word)first;                  \
      if (found) return true;                                                                                          \
    }                                                                                                                  \
    return false;                                                                                                      \
  }

NONFINITE(uint8_t, nonfinite_8)
NONFINITE(mk_u16, nonfinite_16)
NONFINITE(mk_u32, nonfinite_32)
NONFINITE(mk_u64, nonfinite_64)

MK_INLINE bool nonfinite_any(const void *data, size_t count, mk_float type) {
  uint64_t first = mk_nonfinite_key(type);
  switch (mk_size(type)) {
  case 1: return nonfinite_8(data, count, first);
  case 2: return nonfinite_16(data, count, first);
  case 4: return nonfinite_32(data, count, first);
  default: return nonfinite_64(data, count, first);
  }
}

static bool nonfinite_scalar(const void *data, size_t count, mk_float type) { return nonfinite_any(data, count, type); }

#if MK_X86
MK_TARGET_AVX2 static bool nonfinite_avx2(const void *data, size_t count, mk_float type) {
  return nonfinite_any(data, count, type);
}
#endif

bool mk_has_nonfinite(const void *data, size_t count, mk_float type) {
#if MK_X86
  if (mk_current_level() != MK_SCALAR) return nonfinite_avx2(data, count, type);
#endif
  return nonfinite_scalar(data, count, type);
}
