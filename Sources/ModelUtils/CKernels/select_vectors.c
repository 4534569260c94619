#include "select.h"

#if MK_X86

// Comparisons are signed; keys have no sign, so that is the same. Counters hold a piece's count in each lane.

MK_INLINE MK_TARGET_AVX2 size_t sum_32(__m256i lanes) {
  uint32_t counts[8];
  size_t sum = 0;
  _mm256_storeu_si256((void *)counts, lanes);
  for (size_t l = 0; l < 8; ++l) sum += counts[l];
  return sum;
}

// Gathers those of 64 keys that are in a set. It is seldom more than eight: as many are written whether they are in it
// or not, without a branch to be guessed.
#define GATHER(words, set, magnitude, out)                                                                             \
  do {                                                                                                                 \
    uint64_t left = (set);                                                                                             \
    const size_t gathered = (size_t)_mm_popcnt_u64(left);                                                              \
    for (size_t next = 0; next < 8; ++next, left = _blsr_u64(left))                                                    \
      (out)[next] = (words)[_tzcnt_u64(left) & 63] & (magnitude);                                                      \
    for (size_t next = 8; next < gathered; ++next, left = _blsr_u64(left))                                             \
      (out)[next] = (words)[_tzcnt_u64(left)] & (magnitude);                                                           \
    (out) += gathered;                                                                                                 \
  } while (0)

MK_TARGET_AVX2 static size_t compare_avx2_16(
  const mk_u16 *words, size_t count, uint16_t last, uint16_t high, uint16_t *gathered, mk_bracket *bracket) {
  const __m256i lasts = _mm256_set1_epi16((short)last), highs = _mm256_set1_epi16((short)high);
  const __m256i magnitude = _mm256_set1_epi16(INT16_MAX);
  __m256i above = _mm256_setzero_si256();
  uint16_t *out = gathered + bracket->inside;
  size_t done = 0;
  for (; done + 64 <= count; done += 64) {
    __m256i inside[4];
    for (size_t v = 0; v < 4; ++v) {
      __m256i key = _mm256_and_si256(_mm256_loadu_si256((const void *)(words + done + 16 * v)), magnitude);
      __m256i past = _mm256_cmpgt_epi16(key, lasts);
      inside[v] = _mm256_and_si256(past, _mm256_cmpgt_epi16(highs, key));
      above = _mm256_sub_epi16(above, past);
    }
    uint64_t set = 0;
    for (size_t v = 0; v < 4; v += 2) {
      __m256i both = _mm256_permute4x64_epi64(_mm256_packs_epi16(inside[v], inside[v + 1]), 0xd8);
      set |= (uint64_t)(unsigned)_mm256_movemask_epi8(both) << 16 * v;
    }
    GATHER(words + done, set, INT16_MAX, out);
  }
  bracket->upto += done - sum_32(_mm256_madd_epi16(above, _mm256_set1_epi16(1)));
  bracket->inside = (size_t)(out - gathered);
  return done;
}

#define COMPARE_AVX2(bits, set1, sign_mask, name)                                                                      \
  MK_TARGET_AVX2 static size_t name(                                                                                   \
    const mk_u##bits *words, size_t count, uint##bits##_t last, uint##bits##_t high, uint##bits##_t *gathered,         \
    mk_bracket *bracket) {                                                                                             \
    enum { LANES = 256 / bits };                                                                                       \
    const __m256i lasts = set1((int##bits##_t)last), highs = set1((int##bits##_t)high);                                \
    const __m256i magnitude = set1(INT##bits##_MAX);                                                                   \
    __m256i above = _mm256_setzero_si256();                                                                            \
    uint##bits##_t *out = gathered + bracket->inside;                                                                  \
    size_t done = 0;                                                                                                   \
    for (; done + 64 <= count; done += 64) {                                                                           \
      uint64_t set = 0;                                                                                                \
      for (size_t v = 0; v < 64 / LANES; ++v) {                                                                        \
        __m256i key = _mm256_and_si256(_mm256_loadu_si256((const void *)(words + done + LANES * v)), magnitude);       \
        __m256i past = _mm256_cmpgt_epi##bits(key, lasts);                                                             \
        __m256i inside = _mm256_and_si256(past, _mm256_cmpgt_epi##bits(highs, key));                                   \
        above = _mm256_sub_epi##bits(above, past);                                                                     \
        set |= (uint64_t)(unsigned)sign_mask(inside) << LANES * v;                                                     \
      }                                                                                                                \
      GATHER(words + done, set, INT##bits##_MAX, out);                                                                 \
    }                                                                                                                  \
    bracket->upto += done - sum_32(above);                                                                             \
    bracket->inside = (size_t)(out - gathered);                                                                        \
    return done;                                                                                                       \
  }

#define SIGNS_32(lanes) _mm256_movemask_ps(_mm256_castsi256_ps(lanes))
#define SIGNS_64(lanes) _mm256_movemask_pd(_mm256_castsi256_pd(lanes))
COMPARE_AVX2(32, _mm256_set1_epi32, SIGNS_32, compare_avx2_32)
COMPARE_AVX2(64, _mm256_set1_epi64x, SIGNS_64, compare_avx2_64)

// Of the wider ones it is no faster: they wait for memory.
MK_TARGET_AVX512 static size_t compare_avx512_16(
  const mk_u16 *words, size_t count, uint16_t last, uint16_t high, uint16_t *gathered, mk_bracket *bracket) {
  const __m512i lasts = _mm512_set1_epi16((short)last), highs = _mm512_set1_epi16((short)high);
  const __m512i magnitude = _mm512_set1_epi16(INT16_MAX);
  uint16_t *out = gathered + bracket->inside;
  size_t done = 0, above = 0;
  for (; done + 32 <= count; done += 32) {
    __m512i key = _mm512_and_si512(_mm512_loadu_si512(words + done), magnitude);
    __mmask32 past = _mm512_cmpgt_epi16_mask(key, lasts);
    __mmask32 inside = _mm512_mask_cmpgt_epi16_mask(past, highs, key);
    above += (size_t)_mm_popcnt_u32(past);
    _mm512_storeu_si512(out, _mm512_maskz_compress_epi16(inside, key));
    out += _mm_popcnt_u32(inside);
  }
  bracket->upto += done - above;
  bracket->inside = (size_t)(out - gathered);
  return done;
}

size_t mk_compare_16(
  mk_level level, const mk_u16 *words, size_t count, uint16_t last, uint16_t high, uint16_t *gathered,
  mk_bracket *bracket) {
  if (level == MK_AVX512) return compare_avx512_16(words, count, last, high, gathered, bracket);
  return level == MK_SCALAR ? 0 : compare_avx2_16(words, count, last, high, gathered, bracket);
}

size_t mk_compare_32(
  mk_level level, const mk_u32 *words, size_t count, uint32_t last, uint32_t high, uint32_t *gathered,
  mk_bracket *bracket) {
  return level == MK_SCALAR ? 0 : compare_avx2_32(words, count, last, high, gathered, bracket);
}

size_t mk_compare_64(
  mk_level level, const mk_u64 *words, size_t count, uint64_t last, uint64_t high, uint64_t *gathered,
  mk_bracket *bracket) {
  return level == MK_SCALAR ? 0 : compare_avx2_64(words, count, last, high, gathered, bracket);
}

#endif
