#include "formats.h"

#define COUNT_SCALAR(word, name)                                                                                       \
  static size_t name(const void *data, size_t count, uint64_t mask) {                                                  \
    const word *words = data;                                                                                          \
    size_t zeros = 0;                                                                                                  \
    for (size_t i = 0; i < count; ++i) zeros += (words[i] & (word)mask) == 0;                                          \
    return zeros;                                                                                                      \
  }

COUNT_SCALAR(uint8_t, count_scalar_8)
COUNT_SCALAR(mk_u16, count_scalar_16)
COUNT_SCALAR(mk_u32, count_scalar_32)
COUNT_SCALAR(mk_u64, count_scalar_64)

static size_t count_scalar(const void *data, size_t count, size_t size, uint64_t mask) {
  switch (size) {
  case 1: return count_scalar_8(data, count, mask);
  case 2: return count_scalar_16(data, count, mask);
  case 4: return count_scalar_32(data, count, mask);
  case 8: return count_scalar_64(data, count, mask);
  default: return 0;
  }
}

#if MK_X86
MK_INLINE MK_TARGET_AVX2 __m256i equal(__m256i a, __m256i b, size_t size) {
  switch (size) {
  case 1: return _mm256_cmpeq_epi8(a, b);
  case 2: return _mm256_cmpeq_epi16(a, b);
  case 4: return _mm256_cmpeq_epi32(a, b);
  default: return _mm256_cmpeq_epi64(a, b);
  }
}

// Counts the bytes of zero elements: a comparison's -1 bytes are subtracted from byte counters, which are emptied
// before they overflow.
MK_INLINE MK_TARGET_AVX2 size_t count_vectors(const void *data, size_t vectors, size_t size, uint64_t mask) {
  const __m256i none = _mm256_setzero_si256();
  const __m256i bits = size == 1   ? _mm256_set1_epi8((char)mask)
                       : size == 2 ? _mm256_set1_epi16((short)mask)
                       : size == 4 ? _mm256_set1_epi32((int)mask)
                                   : _mm256_set1_epi64x((long long)mask);
  enum { UNROLL = 4, TURNS = 255 };
  const char *bytes = data;
  __m256i sums = none;
  while (vectors > 0) {
    size_t turns = vectors / UNROLL < TURNS ? vectors / UNROLL : TURNS;
    __m256i counters[UNROLL] = {none, none, none, none};
    for (size_t turn = 0; turn < turns; ++turn, bytes += UNROLL * 32)
      for (size_t u = 0; u < UNROLL; ++u) {
        __m256i words = _mm256_and_si256(_mm256_loadu_si256((const void *)(bytes + u * 32)), bits);
        counters[u] = _mm256_sub_epi8(counters[u], equal(words, none, size));
      }
    vectors -= turns * UNROLL;
    if (turns == 0)
      for (; vectors > 0; --vectors, bytes += 32) {
        __m256i words = _mm256_and_si256(_mm256_loadu_si256((const void *)bytes), bits);
        counters[0] = _mm256_sub_epi8(counters[0], equal(words, none, size));
      }
    for (size_t u = 0; u < UNROLL; ++u) sums = _mm256_add_epi64(sums, _mm256_sad_epu8(counters[u], none));
  }
  uint64_t parts[4];
  _mm256_storeu_si256((void *)parts, sums);
  return (parts[0] + parts[1] + parts[2] + parts[3]) / size;
}

MK_TARGET_AVX2 static size_t count_avx2(const void *data, size_t vectors, size_t size, uint64_t mask) {
  switch (size) {
  case 1: return count_vectors(data, vectors, 1, mask);
  case 2: return count_vectors(data, vectors, 2, mask);
  case 4: return count_vectors(data, vectors, 4, mask);
  case 8: return count_vectors(data, vectors, 8, mask);
  default: return 0;
  }
}
#endif

static size_t count_masked(const void *data, size_t count, size_t size, uint64_t mask) {
  size_t zeros = 0, done = 0;
#if MK_X86
  if (mk_current_level() != MK_SCALAR) {
    size_t vectors = count * size / 32;
    done = vectors * (32 / size);
    zeros = count_avx2(data, vectors, size, mask);
  }
#endif
  return zeros + count_scalar((const char *)data + done * size, count - done, size, mask);
}

size_t mk_count_zeros(const void *data, size_t count, mk_float type) {
  size_t size = mk_size(type);
  return count_masked(data, count, size, UINT64_MAX >> (65 - 8 * size));
}

size_t mk_count_zero_words(const void *data, size_t count, size_t size) {
  return count_masked(data, count, size, UINT64_MAX);
}
