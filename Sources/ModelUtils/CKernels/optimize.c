#include "simd.h"

#include <math.h>
#include <string.h>

#pragma STDC FP_CONTRACT OFF

#define NUMBER float
#define WORD mk_f32
#define FMA __builtin_fmaf
#define TYPE MK_FLOAT32
#define NAMED(name) name##_floats
#include "optimize_rules.h"
#undef NUMBER
#undef WORD
#undef FMA
#undef TYPE
#undef NAMED

#define NUMBER double
#define WORD mk_f64
#define FMA __builtin_fma
#define TYPE MK_FLOAT64
#define NAMED(name) name##_doubles
#include "optimize_rules.h"

MK_INLINE void optimize_any(
  void *parameter, void *gradient, void *const states[3], void *average, size_t count, mk_float type, const mk_optimizer *optimizer) {
  if (type == MK_FLOAT64) {
    mk_f64 *const words[3] = {states[0], states[1], states[2]};
    optimize_doubles(parameter, gradient, words, average, count, optimizer);
  } else {
    mk_f32 *const words[3] = {states[0], states[1], states[2]};
    optimize_floats(parameter, gradient, words, average, count, optimizer);
  }
}

static void optimize_scalar(
  void *parameter, void *gradient, void *const states[3], void *average, size_t count, mk_float type, const mk_optimizer *optimizer) {
  optimize_any(parameter, gradient, states, average, count, type, optimizer);
}

#if MK_X86
// The memory is what takes the time, and wider vectors do not make it faster.
MK_TARGET_FMA static void optimize_avx2(
  void *parameter, void *gradient, void *const states[3], void *average, size_t count, mk_float type, const mk_optimizer *optimizer) {
  optimize_any(parameter, gradient, states, average, count, type, optimizer);
}
#endif

void mk_optimize(
  void *parameter, void *gradient, void *const states[3], void *average, size_t count, mk_float type, const mk_optimizer *optimizer) {
#if MK_X86
  if (mk_has_fma()) return optimize_avx2(parameter, gradient, states, average, count, type, optimizer);
#endif
  optimize_scalar(parameter, gradient, states, average, count, type, optimizer);
}
