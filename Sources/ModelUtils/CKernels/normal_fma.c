#include "normal.h"

#pragma STDC FP_CONTRACT OFF

#if MK_X86

// Eight at a time; for what they do see the plain functions in normal.c.

MK_INLINE MK_TARGET_FMA __m256 all(float value) { return _mm256_set1_ps(value); }

MK_INLINE MK_TARGET_FMA __m256 fused(__m256 a, __m256 b, float c) { return _mm256_fmadd_ps(a, b, all(c)); }

MK_INLINE MK_TARGET_FMA __m256 logarithm(__m256 x) {
  __m256i bits = _mm256_castps_si256(x);
  __m256 e = _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_srli_epi32(bits, 23), _mm256_set1_epi32(126)));
  bits = _mm256_or_si256(_mm256_and_si256(bits, _mm256_set1_epi32(0x7fffff)), _mm256_set1_epi32(0x3f000000));
  x = _mm256_castsi256_ps(bits);
  __m256 is_low = _mm256_cmp_ps(x, all(0.707106781186547524f), _CMP_LT_OS);
  __m256 again = _mm256_and_ps(x, is_low);
  e = _mm256_sub_ps(e, _mm256_and_ps(all(1), is_low));
  x = _mm256_add_ps(_mm256_sub_ps(x, all(1)), again);
  __m256 z = _mm256_mul_ps(x, x);
  __m256 y = fused(all(7.0376836292e-2f), x, -1.1514610310e-1f);
  y = fused(y, x, 1.1676998740e-1f);
  y = fused(y, x, -1.2420140846e-1f);
  y = fused(y, x, 1.4249322787e-1f);
  y = fused(y, x, -1.6668057665e-1f);
  y = fused(y, x, 2.0000714765e-1f);
  y = fused(y, x, -2.4999993993e-1f);
  y = fused(y, x, 3.3333331174e-1f);
  y = _mm256_mul_ps(y, x);
  y = _mm256_fmadd_ps(y, z, _mm256_mul_ps(e, all(-2.12194440e-4f)));
  y = _mm256_fmadd_ps(z, all(-0.5f), y);
  return _mm256_fmadd_ps(e, all(0.693359375f), _mm256_add_ps(x, y));
}

typedef struct sine_cosine {
  __m256 sine, cosine;
} sine_cosine;

MK_INLINE MK_TARGET_FMA __m256 with_sign(__m256 value, __m256i octant) {
  __m256i sign = _mm256_slli_epi32(_mm256_and_si256(octant, _mm256_set1_epi32(4)), 29);
  return _mm256_xor_ps(value, _mm256_castsi256_ps(sign));
}

MK_INLINE MK_TARGET_FMA sine_cosine sines(__m256 x) {
  __m256i octant = _mm256_cvttps_epi32(_mm256_mul_ps(x, all(1.27323954473516f)));
  octant = _mm256_and_si256(_mm256_add_epi32(octant, _mm256_set1_epi32(1)), _mm256_set1_epi32(~1));
  __m256 y = _mm256_cvtepi32_ps(octant);
  x = _mm256_fmadd_ps(y, all(-0.78515625f), x);
  x = _mm256_fmadd_ps(y, all(-2.4187564849853515625e-4f), x);
  x = _mm256_fmadd_ps(y, all(-3.77489497744594108e-8f), x);
  __m256 z = _mm256_mul_ps(x, x);
  __m256 even = fused(all(2.443315711809948e-5f), z, -1.388731625493765e-3f);
  even = _mm256_mul_ps(fused(even, z, 4.166664568298827e-2f), z);
  even = _mm256_add_ps(_mm256_fmadd_ps(even, z, _mm256_mul_ps(z, all(-0.5f))), all(1));
  __m256 odd = fused(all(-1.9515295891e-4f), z, 8.3321608736e-3f);
  odd = _mm256_mul_ps(fused(odd, z, -1.6666654611e-1f), z);
  odd = _mm256_fmadd_ps(odd, x, x);
  // The blend looks at the sign bit alone.
  __m256 swapped = _mm256_castsi256_ps(_mm256_slli_epi32(octant, 30));
  sine_cosine result;
  result.sine = with_sign(_mm256_blendv_ps(odd, even, swapped), octant);
  result.cosine =
    with_sign(_mm256_blendv_ps(even, odd, swapped), _mm256_add_epi32(octant, _mm256_set1_epi32(2)));
  return result;
}

MK_TARGET_FMA void mk_normal_floats_fma(float *data, size_t count, float mean, float deviation) {
  for (float *block = data; block < data + count; block += MK_NORMAL_BLOCK) {
    __m256 uniform = _mm256_sub_ps(all(1), _mm256_loadu_ps(block));
    __m256 radius = _mm256_sqrt_ps(_mm256_mul_ps(all(-2), logarithm(uniform)));
    sine_cosine of = sines(_mm256_mul_ps(all(6.283185307179586f), _mm256_loadu_ps(block + 8)));
    _mm256_storeu_ps(block, _mm256_fmadd_ps(_mm256_mul_ps(radius, of.cosine), all(deviation), all(mean)));
    _mm256_storeu_ps(block + 8, _mm256_fmadd_ps(_mm256_mul_ps(radius, of.sine), all(deviation), all(mean)));
  }
}

#endif
