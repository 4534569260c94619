#include "formats.h"

#include <math.h>

#pragma STDC FP_CONTRACT OFF

// The averages of two tensors, each rounded as PyTorch rounds it: separate products and sums where it has separate operations, a fused
// multiply-add where its lerp has one. float64 is computed in double, everything else in float32 and rounded once.

typedef enum method { MIX, LERP, RUNNING } method;

#define AVERAGE(number, fused, name)                                                                                   \
  MK_INLINE void name(                                                                                                 \
    number *average, const number *model, size_t count, method what, number keep, number weight) {                     \
    if (what == MIX) {                                                                                                 \
      MK_INDEPENDENT                                                                                                   \
      for (size_t i = 0; i < count; ++i) average[i] = average[i] * keep + weight * model[i];                           \
    } else if (what == RUNNING) {                                                                                      \
      MK_INDEPENDENT                                                                                                   \
      for (size_t i = 0; i < count; ++i) average[i] = average[i] + (model[i] - average[i]) / weight;                   \
    } else if (weight < (number)0.5) {                                                                                 \
      MK_INDEPENDENT                                                                                                   \
      for (size_t i = 0; i < count; ++i) average[i] = fused(weight, model[i] - average[i], average[i]);                \
    } else {                                                                                                           \
      number rest = 1 - weight;                                                                                        \
      MK_INDEPENDENT                                                                                                   \
      for (size_t i = 0; i < count; ++i) average[i] = fused(-(model[i] - average[i]), rest, model[i]);                 \
    }                                                                                                                  \
  }

AVERAGE(mk_f32, __builtin_fmaf, average_floats)
AVERAGE(mk_f64, __builtin_fma, average_doubles)

MK_INLINE void average_any(
  mk_level level, void *average, mk_float type, const void *model, mk_float model_type, size_t count, method what,
  double keep, double weight) {
  if (type == MK_FLOAT32 && model_type == MK_FLOAT32) {
    average_floats(average, model, count, what, (float)keep, (float)weight);
    return;
  }
  if (type == MK_FLOAT64 && model_type == MK_FLOAT64) {
    average_doubles(average, model, count, what, keep, weight);
    return;
  }
  float first[MK_BLOCK], second[MK_BLOCK];
  double wide[MK_BLOCK];
  for (size_t done = 0; done < count; done += MK_BLOCK) {
    size_t length = count - done < MK_BLOCK ? count - done : MK_BLOCK;
    char *a = (char *)average + done * mk_size(type);
    const char *m = (const char *)model + done * mk_size(model_type);
    mk_load_floats(level, second, m, length, model_type);
    if (type == MK_FLOAT64) {
      for (size_t i = 0; i < length; ++i) wide[i] = (double)second[i];
      average_doubles((mk_f64 *)a, wide, length, what, keep, weight);
    } else {
      mk_load_floats(level, first, a, length, type);
      average_floats(first, second, length, what, (float)keep, (float)weight);
      mk_store_floats(level, a, first, length, type);
    }
  }
}

static void average_scalar(
  void *average, mk_float type, const void *model, mk_float model_type, size_t count, method what, double keep,
  double weight) {
  average_any(MK_SCALAR, average, type, model, model_type, count, what, keep, weight);
}

#if MK_X86
// One copy of the loops per method.
MK_TARGET_FMA static void average_avx2(
  void *average, mk_float type, const void *model, mk_float model_type, size_t count, method what, double keep,
  double weight) {
  switch (what) {
  case MIX: average_any(MK_AVX2, average, type, model, model_type, count, MIX, keep, weight); break;
  case LERP: average_any(MK_AVX2, average, type, model, model_type, count, LERP, keep, weight); break;
  case RUNNING: average_any(MK_AVX2, average, type, model, model_type, count, RUNNING, keep, weight); break;
  }
}
#endif

static void averaged(
  void *average, mk_float type, const void *model, mk_float model_type, size_t count, method what, double keep,
  double weight) {
#if MK_X86
  if (mk_has_fma()) {
    average_avx2(average, type, model, model_type, count, what, keep, weight);
    return;
  }
#endif
  average_scalar(average, type, model, model_type, count, what, keep, weight);
}

void mk_average_mix(
  void *average, mk_float type, const void *model, mk_float model_type, size_t count, double keep, double weight) {
  averaged(average, type, model, model_type, count, MIX, keep, weight);
}

void mk_average_lerp(
  void *average, mk_float type, const void *model, mk_float model_type, size_t count, double weight) {
  averaged(average, type, model, model_type, count, LERP, 0, weight);
}

void mk_average_running(
  void *average, mk_float type, const void *model, mk_float model_type, size_t count, double divisor) {
  averaged(average, type, model, model_type, count, RUNNING, 0, divisor);
}
