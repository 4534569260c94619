#include "formats.h"

#include <math.h>

#pragma STDC FP_CONTRACT OFF

// The averages of two tensors, each rounded as PyTorch rounds it: separate products and sums where it has separate
// operations, a fused multiply-add where its lerp has one. float64 is computed in double, everything else in float32
// and rounded once.

typedef enum method { MIX, LERP, RUNNING } method;

// All bits of an exponent set is NaN or infinite: one more in its last place carries into the sign.
#define HEED(word, number, one)                                                                                        \
  MK_INLINE word heed_##number(mk_##number value) {                                                                    \
    word bits;                                                                                                         \
    memcpy(&bits, &value, sizeof bits);                                                                                \
    return (bits & ((word)-1 >> 1)) + one;                                                                             \
  }

HEED(uint32_t, f32, 0x00800000u)
HEED(uint64_t, f64, 0x0010000000000000u)

#define EACH(word, number, result)                                                                                     \
  MK_INDEPENDENT                                                                                                       \
  for (size_t i = 0; i < count; ++i) {                                                                                 \
    mk_##number a = average[i], m = model[i];                                                                          \
    seen |= heed_##number(m);                                                                                          \
    average[i] = result;                                                                                               \
  }

// Whether any element of the model is not finite: found on the way, for the memory is what takes the time.
#define AVERAGE(word, number, fused, name)                                                                             \
  MK_INLINE bool name(                                                                                                 \
    mk_##number *average, const mk_##number *model, size_t count, method what, mk_##number keep,                       \
    mk_##number weight) {                                                                                              \
    word seen = 0;                                                                                                     \
    mk_##number rest = 1 - weight;                                                                                     \
    if (what == MIX) {                                                                                                 \
      EACH(word, number, a * keep + weight * m)                                                                        \
    } else if (what == RUNNING) {                                                                                      \
      EACH(word, number, a + (m - a) / weight)                                                                         \
    } else if (weight < (mk_##number)0.5) {                                                                            \
      EACH(word, number, fused(weight, m - a, a))                                                                      \
    } else {                                                                                                           \
      EACH(word, number, fused(-(m - a), rest, m))                                                                     \
    }                                                                                                                  \
    return seen >> (8 * sizeof seen - 1);                                                                              \
  }

AVERAGE(uint32_t, f32, __builtin_fmaf, average_floats)
AVERAGE(uint64_t, f64, __builtin_fma, average_doubles)

MK_INLINE bool average_any(
  mk_level level, void *average, mk_float type, const void *model, mk_float model_type, size_t count, method what,
  double keep, double weight) {
  if (type == MK_FLOAT32 && model_type == MK_FLOAT32) {
    return average_floats(average, model, count, what, (float)keep, (float)weight);
  }
  if (type == MK_FLOAT64 && model_type == MK_FLOAT64) {
    return average_doubles(average, model, count, what, keep, weight);
  }
  float first[MK_BLOCK], second[MK_BLOCK];
  double wide[MK_BLOCK];
  bool found = false;
  for (size_t done = 0; done < count; done += MK_BLOCK) {
    size_t length = count - done < MK_BLOCK ? count - done : MK_BLOCK;
    char *a = (char *)average + done * mk_size(type);
    const char *m = (const char *)model + done * mk_size(model_type);
    mk_load_floats(level, second, m, length, model_type);
    if (type == MK_FLOAT64) {
      for (size_t i = 0; i < length; ++i) wide[i] = (double)second[i];
      found |= average_doubles((mk_f64 *)a, wide, length, what, keep, weight);
    } else {
      mk_load_floats(level, first, a, length, type);
      found |= average_floats(first, second, length, what, (float)keep, (float)weight);
      mk_store_floats(level, a, first, length, type);
    }
  }
  return found;
}

static bool average_scalar(
  void *average, mk_float type, const void *model, mk_float model_type, size_t count, method what, double keep,
  double weight) {
  return average_any(MK_SCALAR, average, type, model, model_type, count, what, keep, weight);
}

#if MK_X86
// One copy of the loops per method.
MK_TARGET_FMA static bool average_avx2(
  void *average, mk_float type, const void *model, mk_float model_type, size_t count, method what, double keep,
  double weight) {
  switch (what) {
  case MIX: return average_any(MK_AVX2, average, type, model, model_type, count, MIX, keep, weight);
  case LERP: return average_any(MK_AVX2, average, type, model, model_type, count, LERP, keep, weight);
  case RUNNING: return average_any(MK_AVX2, average, type, model, model_type, count, RUNNING, keep, weight);
  }
  return false;
}
#endif

static bool averaged(
  void *average, mk_float type, const void *model, mk_float model_type, size_t count, method what, double keep,
  double weight) {
#if MK_X86
  if (mk_has_fma()) {
    return average_avx2(average, type, model, model_type, count, what, keep, weight);
  }
#endif
  return average_scalar(average, type, model, model_type, count, what, keep, weight);
}

bool mk_average_mix(
  void *average, mk_float type, const void *model, mk_float model_type, size_t count, double keep, double weight) {
  return averaged(average, type, model, model_type, count, MIX, keep, weight);
}

bool mk_average_lerp(
  void *average, mk_float type, const void *model, mk_float model_type, size_t count, double weight) {
  return averaged(average, type, model, model_type, count, LERP, 0, weight);
}

bool mk_average_running(
  void *average, mk_float type, const void *model, mk_float model_type, size_t count, double divisor) {
  return averaged(average, type, model, model_type, count, RUNNING, 0, divisor);
}
