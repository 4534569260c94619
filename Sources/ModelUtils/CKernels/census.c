#include "formats.h"

enum { LANES = 8 };

typedef struct lanes {
  uint32_t nan[LANES], infinite[LANES], zero[LANES], overflowing[LANES], flushed[LANES];
} lanes;

// A block at a time, so that 32-bit counters suffice.
#define CENSUS(number, name)                                                                                           \
  MK_INLINE void name(mk_census *result, const number *values, size_t count, number overflow, number flush) {          \
    lanes sums = {0};                                                                                                  \
    size_t i = 0;                                                                                                      \
    const number infinity = (number)__builtin_inf();                                                                   \
    for (; i + LANES <= count; i += LANES)                                                                             \
      for (size_t l = 0; l < LANES; ++l) {                                                                             \
        number x = values[i + l], magnitude = x < 0 ? -x : x;                                                          \
        sums.nan[l] += x != x;                                                                                         \
        sums.infinite[l] += magnitude == infinity;                                                                     \
        sums.zero[l] += x == 0;                                                                                        \
        sums.overflowing[l] += (magnitude >= overflow) & (magnitude < infinity);                                       \
        sums.flushed[l] += (magnitude <= flush) & (x != 0);                                                            \
      }                                                                                                                \
    for (; i < count; ++i) {                                                                                           \
      number x = values[i], magnitude = x < 0 ? -x : x;                                                                \
      sums.nan[0] += x != x;                                                                                           \
      sums.infinite[0] += magnitude == infinity;                                                                       \
      sums.zero[0] += x == 0;                                                                                          \
      sums.overflowing[0] += (magnitude >= overflow) & (magnitude < infinity);                                         \
      sums.flushed[0] += (magnitude <= flush) & (x != 0);                                                              \
    }                                                                                                                  \
    for (size_t l = 0; l < LANES; ++l) {                                                                               \
      result->nan += sums.nan[l];                                                                                      \
      result->infinite += sums.infinite[l];                                                                            \
      result->zero += sums.zero[l];                                                                                    \
      result->overflowing += sums.overflowing[l];                                                                      \
      result->flushed += sums.flushed[l];                                                                              \
    }                                                                                                                  \
  }

CENSUS(mk_f32, census_floats)
CENSUS(mk_f64, census_doubles)

enum { LARGE_BLOCK = 1 << 20 };

MK_INLINE void census_any(
  mk_level level, mk_census *result, const void *data, size_t count, mk_float type, double overflow, double flush) {
  float block[MK_BLOCK];
  const char *bytes = data;
  size_t step = type == MK_FLOAT32 || type == MK_FLOAT64 ? LARGE_BLOCK : MK_BLOCK;
  for (size_t done = 0; done < count; done += step) {
    size_t length = count - done < step ? count - done : step;
    const void *start = bytes + done * mk_size(type);
    if (type == MK_FLOAT64) {
      census_doubles(result, start, length, overflow, flush);
    } else if (type == MK_FLOAT32) {
      census_floats(result, start, length, (float)overflow, (float)flush);
    } else {
      mk_load_floats(level, block, start, length, type);
      census_floats(result, block, length, (float)overflow, (float)flush);
    }
  }
}

static void census_scalar(
  mk_census *result, const void *data, size_t count, mk_float type, double overflow, double flush) {
  census_any(MK_SCALAR, result, data, count, type, overflow, flush);
}

#if MK_X86
MK_TARGET_AVX2 static void census_avx2(
  mk_census *result, const void *data, size_t count, mk_float type, double overflow, double flush) {
  census_any(MK_AVX2, result, data, count, type, overflow, flush);
}
#endif

mk_census mk_take_census(const void *data, size_t count, mk_float type, mk_float target) {
  // From the midpoint between the greatest number and the next power of two on, rounding gives infinity; up to the
  // midpoint between 0 and the least number it gives 0.
  double overflow = (double)__builtin_inf(), flush = 0;
  switch (target) {
  case MK_FLOAT64: break;
  case MK_FLOAT32: overflow = 0x1.ffffffp127, flush = 0x1p-150; break;
  case MK_FLOAT16: overflow = 65520, flush = 0x1p-25; break;
  case MK_BFLOAT16: overflow = 0x1.ffp127, flush = 0x1p-134; break;
  // The first saturates; both flush at half their least number.
  case MK_FLOAT8_E4M3FN: flush = 0x1p-10; break;
  case MK_FLOAT8_E5M2: overflow = 61440, flush = 0x1p-17; break;
  }
  // A float32 cannot overflow a float32.
  if (target == MK_FLOAT32 && type != MK_FLOAT64) overflow = (double)__builtin_inf(), flush = 0;
  mk_census result = {0};
#if MK_X86
  if (mk_current_level() != MK_SCALAR) {
    census_avx2(&result, data, count, type, overflow, flush);
    return result;
  }
#endif
  census_scalar(&result, data, count, type, overflow, flush);
  return result;
}
