#include "formats.h"

#define MASK(word, name)                                                                                               \
  static void name(void *dst, const void *src, const uint8_t *mask, size_t count) {                                    \
    word *out = dst;                                                                                                   \
    const word *in = src;                                                                                              \
    MK_INDEPENDENT                                                                                                     \
    for (size_t i = 0; i < count; ++i) out[i] = in[i] & (word) - (word)(mask[i] != 0);                                 \
  }

MASK(uint8_t, mask_8)
MASK(mk_u16, mask_16)
MASK(mk_u32, mask_32)
MASK(mk_u64, mask_64)

static void mask_scalar(void *dst, const void *src, const uint8_t *mask, size_t count, size_t size) {
  switch (size) {
  case 1: mask_8(dst, src, mask, count); break;
  case 2: mask_16(dst, src, mask, count); break;
  case 4: mask_32(dst, src, mask, count); break;
  case 8: mask_64(dst, src, mask, count); break;
  }
}

#if MK_X86
// The lanes of `size` bytes whose mask byte is zero.
MK_INLINE MK_TARGET_AVX2 __m256i cleared(const uint8_t *mask, size_t size) {
  const __m256i none = _mm256_setzero_si256();
  uint32_t few;
  switch (size) {
  case 1: return _mm256_cmpeq_epi8(_mm256_loadu_si256((const void *)mask), none);
  case 2: return _mm256_cmpeq_epi16(_mm256_cvtepu8_epi16(_mm_loadu_si128((const void *)mask)), none);
  case 4: return _mm256_cmpeq_epi32(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)mask)), none);
  default:
    memcpy(&few, mask, sizeof few);
    return _mm256_cmpeq_epi64(_mm256_cvtepu8_epi64(_mm_cvtsi32_si128((int)few)), none);
  }
}

MK_INLINE MK_TARGET_AVX2 size_t mask_vectors(
  char *dst, const char *src, const uint8_t *mask, size_t count, size_t size) {
  size_t done = 0;
  for (const size_t step = 32 / size; done + step <= count; done += step) {
    __m256i value = _mm256_loadu_si256((const void *)(src + done * size));
    _mm256_storeu_si256((void *)(dst + done * size), _mm256_andnot_si256(cleared(mask + done, size), value));
  }
  return done;
}

MK_TARGET_AVX2 static size_t mask_avx2(void *dst, const void *src, const uint8_t *mask, size_t count, size_t size) {
  switch (size) {
  case 1: return mask_vectors(dst, src, mask, count, 1);
  case 2: return mask_vectors(dst, src, mask, count, 2);
  case 4: return mask_vectors(dst, src, mask, count, 4);
  case 8: return mask_vectors(dst, src, mask, count, 8);
  default: return 0;
  }
}
#endif

void mk_apply_mask(void *dst, const void *src, const uint8_t *mask, size_t count, mk_float type) {
  size_t size = mk_size(type), done = 0;
#if MK_X86
  if (mk_current_level() != MK_SCALAR) done = mask_avx2(dst, src, mask, count, size);
#endif
  mask_scalar((char *)dst + done * size, (const char *)src + done * size, mask + done, count - done, size);
}
