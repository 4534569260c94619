#include "simd.h"

#include <stdatomic.h>

static atomic_int limit = MK_AVX512;

#if MK_X86
static mk_level detect(void) {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("f16c") || !__builtin_cpu_supports("bmi") ||
      !__builtin_cpu_supports("bmi2") || !__builtin_cpu_supports("popcnt"))
    return MK_SCALAR;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi2"))
    return MK_AVX512;
  return MK_AVX2;
}

mk_level mk_current_level(void) {
  static atomic_int known = -1;
  int most = atomic_load_explicit(&limit, memory_order_relaxed);
  if (most == MK_SCALAR) return MK_SCALAR;
  int level = atomic_load_explicit(&known, memory_order_relaxed);
  if (level < 0) {
    level = detect();
    atomic_store_explicit(&known, level, memory_order_relaxed);
  }
  return (mk_level)(level < most ? level : most);
}
#else
mk_level mk_current_level(void) { return MK_SCALAR; }
#endif

bool mk_has_fma(void) {
#if MK_X86
  return mk_current_level() != MK_SCALAR && __builtin_cpu_supports("fma");
#else
  return false;
#endif
}

const char *mk_simd_level(void) {
  switch (mk_current_level()) {
  case MK_AVX512: return "avx512";
  case MK_AVX2: return "avx2";
  case MK_SCALAR: break;
  }
#if defined(__aarch64__)
  // There the plain C is vectorised by the compiler, for NEON, which every such processor has.
  if (atomic_load_explicit(&limit, memory_order_relaxed) != MK_SCALAR) return "neon";
#endif
  return "scalar";
}

void mk_limit_simd(mk_simd most) { atomic_store_explicit(&limit, (int)most, memory_order_relaxed); }
