#include "threshold.h"

#define ZERO_SCALAR(word, name)                                                                                        \
  static void name(void *dst, const void *src, size_t count, mk_bounds bounds, size_t *ties) {                        \
    word *out = dst;                                                                                                   \
    const word *in = src;                                                                                              \
    const word magnitude = (word)((word)~(word)0 >> 1), bound = (word)bounds.bound;                                    \
    size_t left = bounds.end > bounds.bound ? *ties : 0, i = 0;                                                        \
    for (; i < count && left > 0; ++i) {                                                                               \
      word key = in[i] & magnitude;                                                                                    \
      bool tie = key >= bound && key < bounds.end;                                                                     \
      left -= tie;                                                                                                     \
      out[i] = key < bound || tie ? 0 : in[i];                                                                         \
    }                                                                                                                  \
    if (bounds.end > bounds.bound) *ties = left;                                                                       \
    MK_INDEPENDENT                                                                                                     \
    for (size_t j = i; j < count; ++j) out[j] = in[j] & (word) - (word)((in[j] & magnitude) >= bound);                 \
  }

ZERO_SCALAR(uint8_t, zero_scalar_8)
ZERO_SCALAR(mk_u16, zero_scalar_16)
ZERO_SCALAR(mk_u32, zero_scalar_32)
ZERO_SCALAR(mk_u64, zero_scalar_64)

static void zero_scalar(void *dst, const void *src, size_t count, size_t size, mk_bounds bounds, size_t *ties) {
  switch (size) {
  case 1: zero_scalar_8(dst, src, count, bounds, ties); break;
  case 2: zero_scalar_16(dst, src, count, bounds, ties); break;
  case 4: zero_scalar_32(dst, src, count, bounds, ties); break;
  case 8: zero_scalar_64(dst, src, count, bounds, ties); break;
  }
}

#if MK_X86
// Comparisons are signed; keys have no sign, so that is the same.
#define ZERO_AVX2(bits, lane, set1, name)                                                                              \
  MK_TARGET_AVX2 static size_t name(void *dst, const void *src, size_t count, mk_bounds bounds, size_t *ties) {        \
    enum { STEP = 256 / bits };                                                                                        \
    const __m256i magnitude = set1((lane)(((uint64_t)1 << (bits - 1)) - 1));                                           \
    const __m256i bound = set1((lane)bounds.bound), last = set1((lane)(bounds.end - 1));                               \
    size_t done = 0, left = bounds.end > bounds.bound ? *ties : 0;                                                     \
    for (; left > 0 && done + STEP <= count; done += STEP) {                                                           \
      __m256i value = _mm256_loadu_si256((const void *)((const char *)src + done * (bits / 8)));                       \
      __m256i key = _mm256_and_si256(value, magnitude);                                                                \
      __m256i below = _mm256_cmpgt_epi##bits(bound, key);                                                              \
      __m256i taken = _mm256_xor_si256(_mm256_cmpgt_epi##bits(key, last), _mm256_set1_epi8(-1));                       \
      unsigned equal = (unsigned)_mm256_movemask_epi8(_mm256_andnot_si256(below, taken));                              \
      size_t found = (size_t)_mm_popcnt_u32(equal) / (bits / 8);                                                       \
      if (found > left) break;                                                                                         \
      left -= found;                                                                                                   \
      _mm256_storeu_si256((void *)((char *)dst + done * (bits / 8)), _mm256_andnot_si256(taken, value));               \
    }                                                                                                                  \
    if (bounds.end > bounds.bound) *ties = left;                                                                       \
    if (left > 0) return done;                                                                                         \
    for (; done + STEP <= count; done += STEP) {                                                                       \
      __m256i value = _mm256_loadu_si256((const void *)((const char *)src + done * (bits / 8)));                       \
      __m256i below = _mm256_cmpgt_epi##bits(bound, _mm256_and_si256(value, magnitude));                               \
      _mm256_storeu_si256((void *)((char *)dst + done * (bits / 8)), _mm256_andnot_si256(below, value));               \
    }                                                                                                                  \
    return done;                                                                                                       \
  }

ZERO_AVX2(8, char, _mm256_set1_epi8, zero_avx2_8)
ZERO_AVX2(16, short, _mm256_set1_epi16, zero_avx2_16)
ZERO_AVX2(32, int, _mm256_set1_epi32, zero_avx2_32)
ZERO_AVX2(64, long long, _mm256_set1_epi64x, zero_avx2_64)

// Returns how many elements it did: it stops at the vector in which the ties run out, and before an unfinished one.
static size_t zero_avx2(void *dst, const void *src, size_t count, size_t size, mk_bounds bounds, size_t *ties) {
  switch (size) {
  case 1: return zero_avx2_8(dst, src, count, bounds, ties);
  case 2: return zero_avx2_16(dst, src, count, bounds, ties);
  case 4: return zero_avx2_32(dst, src, count, bounds, ties);
  case 8: return zero_avx2_64(dst, src, count, bounds, ties);
  default: return 0;
  }
}
#endif

void mk_zero_smallest(void *dst, const void *src, size_t count, mk_float type, mk_threshold *threshold) {
  mk_bounds bounds = mk_bounds_of(threshold->magnitude, type);
  size_t size = mk_size(type), done = 0;
  char *out = dst;
  const char *in = src;
#if MK_X86
  if (mk_current_level() != MK_SCALAR)
    for (const size_t step = 32 / size;;) {
      done += zero_avx2(out + done * size, in + done * size, count - done, size, bounds, &threshold->ties);
      if (count - done < step) break;
      zero_scalar(out + done * size, in + done * size, step, size, bounds, &threshold->ties);
      done += step;
    }
#endif
  zero_scalar(out + done * size, in + done * size, count - done, size, bounds, &threshold->ties);
}
