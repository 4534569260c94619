#include "convert.h"

#if MK_X86

enum { VECTOR = 8, BATCH = 32 };

// Eight elements to float32.

MK_INLINE MK_TARGET_AVX2 __m256 load_float64(const double *src) {
  __m128 low = _mm256_cvtpd_ps(_mm256_loadu_pd(src)), high = _mm256_cvtpd_ps(_mm256_loadu_pd(src + 4));
  return _mm256_set_m128(high, low);
}

MK_INLINE MK_TARGET_AVX2 __m256 load_float16(const void *src) { return _mm256_cvtph_ps(_mm_loadu_si128(src)); }

MK_INLINE MK_TARGET_AVX2 __m256 load_bfloat16(const void *src) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(src)), 16));
}

// float8_e5m2 is the upper half of a float16.
MK_INLINE MK_TARGET_AVX2 __m256 load_e5m2(const void *src) {
  return _mm256_cvtph_ps(_mm_unpacklo_epi8(_mm_setzero_si128(), _mm_loadl_epi64(src)));
}

// float8_e4m3fn's exponent and fraction, put where float16 has them, read 2^8 times too small.
MK_INLINE MK_TARGET_AVX2 __m256 load_e4m3fn(const void *src) {
  __m128i bytes = _mm_unpacklo_epi8(_mm_setzero_si128(), _mm_loadl_epi64(src));
  __m128i key = _mm_and_si128(bytes, _mm_set1_epi16(0x7f00));
  __m128i half = _mm_or_si128(_mm_srli_epi16(key, 1), _mm_and_si128(bytes, _mm_set1_epi16(INT16_MIN)));
  __m256i nan = _mm256_cvtepi16_epi32(_mm_cmpeq_epi16(key, _mm_set1_epi16(0x7f00)));
  __m256 value = _mm256_mul_ps(_mm256_cvtph_ps(half), _mm256_set1_ps(256));
  nan = _mm256_and_si256(nan, _mm256_set1_epi32(0x7ff00000));
  return _mm256_or_ps(value, _mm256_castsi256_ps(nan));
}

#define LOAD(step, load)                                                                                               \
  for (; done + VECTOR <= count; done += VECTOR) _mm256_storeu_ps(out + done, load((const void *)(in + done * step)))

MK_TARGET_AVX2 size_t mk_load_floats_avx2(mk_f32 *dst, const void *src, size_t count, mk_float type) {
  float *out = (void *)dst;
  const char *in = src;
  size_t done = 0;
  switch (type) {
  case MK_FLOAT64: LOAD(8, load_float64); break;
  case MK_FLOAT32: break;
  case MK_FLOAT16: LOAD(2, load_float16); break;
  case MK_BFLOAT16: LOAD(2, load_bfloat16); break;
  case MK_FLOAT8_E4M3FN: LOAD(1, load_e4m3fn); break;
  case MK_FLOAT8_E5M2: LOAD(1, load_e5m2); break;
  }
  return done;
}

// Eight elements from float32; for what they do see the plain functions in formats.h.

MK_INLINE MK_TARGET_AVX2 __m256i choose(__m256i otherwise, __m256i chosen, __m256i where) {
  return _mm256_blendv_epi8(otherwise, chosen, where);
}

MK_INLINE MK_TARGET_AVX2 __m256i store_bfloat16(const float *src) {
  __m256 value = _mm256_loadu_ps(src);
  __m256i bits = _mm256_castps_si256(value);
  __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
  __m256 nan = _mm256_cmp_ps(value, value, _CMP_UNORD_Q);
  return choose(_mm256_srli_epi32(rounded, 16), _mm256_set1_epi32(0x7fc0), _mm256_castps_si256(nan));
}

typedef struct float8 {
  int fraction_bits, bias, overflow, infinity, smallest_normal, denormal_magic;
} float8;

static const float8 e4m3fn = {3, 120, 0x43e00000, 0x7e, 0x3c800000, 0x46800000};
static const float8 e5m2 = {2, 112, 0x47800000, 0x7c, 0x38800000, 0x43000000};

MK_INLINE MK_TARGET_AVX2 __m256i store_float8(const float *src, float8 f) {
  __m256i bits = _mm256_castps_si256(_mm256_loadu_ps(src));
  __m256i key = _mm256_and_si256(bits, _mm256_set1_epi32(INT32_MAX));
  __m256i sign = _mm256_and_si256(_mm256_srli_epi32(bits, 24), _mm256_set1_epi32(0x80));
  int shift = 23 - f.fraction_bits;
  __m256i odd = _mm256_and_si256(_mm256_srli_epi32(key, shift), _mm256_set1_epi32(1));
  __m256i half = _mm256_set1_epi32((1 << (shift - 1)) - 1 - (f.bias << 23));
  __m256i result = _mm256_srli_epi32(_mm256_add_epi32(_mm256_add_epi32(key, half), odd), shift);
  __m256i magic = _mm256_set1_epi32(f.denormal_magic);
  __m256 sum = _mm256_add_ps(_mm256_castsi256_ps(key), _mm256_castsi256_ps(magic));
  __m256i denormal = _mm256_sub_epi32(_mm256_castps_si256(sum), magic);
  result = choose(result, denormal, _mm256_cmpgt_epi32(_mm256_set1_epi32(f.smallest_normal), key));
  __m256i over = _mm256_cmpgt_epi32(key, _mm256_set1_epi32(f.overflow - 1));
  result = choose(result, _mm256_set1_epi32(f.infinity), over);
  __m256i nan = _mm256_cmpgt_epi32(key, _mm256_set1_epi32(0x7f800000));
  return _mm256_or_si256(choose(result, _mm256_set1_epi32(0x7f), nan), sign);
}

// Packing works within halves of a vector: the permutations put the parts back in order.

MK_INLINE MK_TARGET_AVX2 __m256i pack_16(__m256i a, __m256i b) {
  return _mm256_permute4x64_epi64(_mm256_packus_epi32(a, b), 0xd8);
}

MK_INLINE MK_TARGET_AVX2 void store_float8_batch(void *dst, const float *src, float8 f) {
  __m256i a = _mm256_packus_epi32(store_float8(src, f), store_float8(src + 8, f));
  __m256i b = _mm256_packus_epi32(store_float8(src + 16, f), store_float8(src + 24, f));
  __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  _mm256_storeu_si256(dst, _mm256_permutevar8x32_epi32(_mm256_packus_epi16(a, b), order));
}

MK_TARGET_AVX2 size_t mk_store_floats_avx2(void *dst, const mk_f32 *src, size_t count, mk_float type) {
  char *out = dst;
  const float *in = (const void *)src;
  size_t done = 0;
  switch (type) {
  case MK_FLOAT64:
    for (; done + 4 <= count; done += 4)
      _mm256_storeu_pd((void *)(out + done * 8), _mm256_cvtps_pd(_mm_loadu_ps(in + done)));
    break;
  case MK_FLOAT32: break;
  case MK_FLOAT16:
    for (; done + VECTOR <= count; done += VECTOR) {
      __m128i half = _mm256_cvtps_ph(_mm256_loadu_ps(in + done), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
      _mm_storeu_si128((void *)(out + done * 2), half);
    }
    break;
  case MK_BFLOAT16:
    for (; done + 2 * VECTOR <= count; done += 2 * VECTOR) {
      __m256i pair = pack_16(store_bfloat16(in + done), store_bfloat16(in + done + VECTOR));
      _mm256_storeu_si256((void *)(out + done * 2), pair);
    }
    break;
  case MK_FLOAT8_E4M3FN:
    for (; done + BATCH <= count; done += BATCH) store_float8_batch(out + done, in + done, e4m3fn);
    break;
  case MK_FLOAT8_E5M2:
    for (; done + BATCH <= count; done += BATCH) store_float8_batch(out + done, in + done, e5m2);
    break;
  }
  return done;
}

#endif
