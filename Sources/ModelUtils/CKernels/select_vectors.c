#include "select.h"

#if MK_X86

// For each set of lanes out of eight, those lanes' numbers packed to the front, a byte each.
#define LANE(set, l) ((set) >> (l) & 1 ? (uint64_t)(l) << 8 * __builtin_popcount((set) & ((1 << (l)) - 1)) : 0)
#define PACKED(set)                                                                                                    \
  (LANE(set, 0) | LANE(set, 1) | LANE(set, 2) | LANE(set, 3) | LANE(set, 4) | LANE(set, 5) | LANE(set, 6) |            \
   LANE(set, 7))
#define PACKED_4(set) PACKED(set), PACKED(set + 1), PACKED(set + 2), PACKED(set + 3)
#define PACKED_16(set) PACKED_4(set), PACKED_4(set + 4), PACKED_4(set + 8), PACKED_4(set + 12)
#define PACKED_64(set) PACKED_16(set), PACKED_16(set + 16), PACKED_16(set + 32), PACKED_16(set + 48)

static const uint64_t packed[256] = {PACKED_64(0), PACKED_64(64), PACKED_64(128), PACKED_64(192)};

// Comparisons are signed; keys have no sign, so that is the same. Counters hold a piece's count in each lane.

MK_INLINE MK_TARGET_AVX2 size_t sum_32(__m256i lanes) {
  uint32_t counts[8];
  size_t sum = 0;
  _mm256_storeu_si256((void *)counts, lanes);
  for (size_t l = 0; l < 8; ++l) sum += counts[l];
  return sum;
}

MK_TARGET_AVX2 static size_t compare_avx2_16(
  const void *words, size_t count, uint16_t low, uint16_t last, uint16_t high, uint16_t *gathered,
  mk_bracket *bracket) {
  const __m256i lows = _mm256_set1_epi16((short)low), lasts = _mm256_set1_epi16((short)last);
  const __m256i highs = _mm256_set1_epi16((short)high), magnitude = _mm256_set1_epi16(INT16_MAX);
  const __m128i pair = _mm_set1_epi16(0x0100);
  __m256i below = _mm256_setzero_si256(), above = below;
  uint16_t *out = gathered + bracket->inside;
  size_t done = 0;
  for (; done + 16 <= count; done += 16) {
    __m256i key = _mm256_and_si256(_mm256_loadu_si256((const void *)((const mk_u16 *)words + done)), magnitude);
    __m256i past = _mm256_cmpgt_epi16(key, lasts);
    __m256i inside = _mm256_and_si256(past, _mm256_cmpgt_epi16(highs, key));
    below = _mm256_sub_epi16(below, _mm256_cmpgt_epi16(lows, key));
    above = _mm256_sub_epi16(above, past);
    __m128i parts[2] = {_mm256_castsi256_si128(key), _mm256_extracti128_si256(key, 1)};
    __m128i both = _mm_packs_epi16(_mm256_castsi256_si128(inside), _mm256_extracti128_si256(inside, 1));
    unsigned sets = (unsigned)_mm_movemask_epi8(both);
    for (size_t p = 0; p < 2; ++p, sets >>= 8) {
      __m128i lanes = _mm_loadl_epi64((const void *)&packed[sets & 0xff]);
      lanes = _mm_add_epi8(lanes, lanes);
      __m128i order = _mm_add_epi8(_mm_unpacklo_epi8(lanes, lanes), pair);
      _mm_storeu_si128((void *)out, _mm_shuffle_epi8(parts[p], order));
      out += _mm_popcnt_u32(sets & 0xff);
    }
  }
  const __m256i ones = _mm256_set1_epi16(1);
  bracket->below += sum_32(_mm256_madd_epi16(below, ones));
  bracket->upto += done - sum_32(_mm256_madd_epi16(above, ones));
  bracket->inside = (size_t)(out - gathered);
  return done;
}

MK_TARGET_AVX2 static size_t compare_avx2_32(
  const void *words, size_t count, uint32_t low, uint32_t last, uint32_t high, uint32_t *gathered,
  mk_bracket *bracket) {
  const __m256i lows = _mm256_set1_epi32((int)low), lasts = _mm256_set1_epi32((int)last);
  const __m256i highs = _mm256_set1_epi32((int)high), magnitude = _mm256_set1_epi32(INT32_MAX);
  __m256i below = _mm256_setzero_si256(), above = below;
  uint32_t *out = gathered + bracket->inside;
  size_t done = 0;
  for (; done + 8 <= count; done += 8) {
    __m256i key = _mm256_and_si256(_mm256_loadu_si256((const void *)((const mk_u32 *)words + done)), magnitude);
    __m256i past = _mm256_cmpgt_epi32(key, lasts);
    __m256i inside = _mm256_and_si256(past, _mm256_cmpgt_epi32(highs, key));
    below = _mm256_sub_epi32(below, _mm256_cmpgt_epi32(lows, key));
    above = _mm256_sub_epi32(above, past);
    unsigned set = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(inside));
    __m256i order = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)&packed[set]));
    _mm256_storeu_si256((void *)out, _mm256_permutevar8x32_epi32(key, order));
    out += _mm_popcnt_u32(set);
  }
  bracket->below += sum_32(below);
  bracket->upto += done - sum_32(above);
  bracket->inside = (size_t)(out - gathered);
  return done;
}

MK_TARGET_AVX2 static size_t compare_avx2_64(
  const void *words, size_t count, uint64_t low, uint64_t last, uint64_t high, uint64_t *gathered,
  mk_bracket *bracket) {
  const __m256i lows = _mm256_set1_epi64x((long long)low), lasts = _mm256_set1_epi64x((long long)last);
  const __m256i highs = _mm256_set1_epi64x((long long)high), magnitude = _mm256_set1_epi64x(INT64_MAX);
  __m256i below = _mm256_setzero_si256(), above = below;
  uint64_t *out = gathered + bracket->inside;
  size_t done = 0;
  for (; done + 4 <= count; done += 4) {
    __m256i key = _mm256_and_si256(_mm256_loadu_si256((const void *)((const mk_u64 *)words + done)), magnitude);
    __m256i past = _mm256_cmpgt_epi64(key, lasts);
    __m256i inside = _mm256_and_si256(past, _mm256_cmpgt_epi64(highs, key));
    below = _mm256_sub_epi64(below, _mm256_cmpgt_epi64(lows, key));
    above = _mm256_sub_epi64(above, past);
    // Each as its two halves.
    unsigned set = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(inside));
    __m256i order = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)&packed[set]));
    _mm256_storeu_si256((void *)out, _mm256_permutevar8x32_epi32(key, order));
    out += _mm_popcnt_u32(set) / 2;
  }
  bracket->below += sum_32(below);
  bracket->upto += done - sum_32(above);
  bracket->inside = (size_t)(out - gathered);
  return done;
}

// Twice as fast as the above. Of the wider ones it is no faster: they wait for memory.
MK_TARGET_AVX512 static size_t compare_avx512_16(
  const void *words, size_t count, uint16_t low, uint16_t last, uint16_t high, uint16_t *gathered,
  mk_bracket *bracket) {
  const __m512i lows = _mm512_set1_epi16((short)low), lasts = _mm512_set1_epi16((short)last);
  const __m512i highs = _mm512_set1_epi16((short)high), magnitude = _mm512_set1_epi16(INT16_MAX);
  uint16_t *out = gathered + bracket->inside;
  size_t done = 0, below = 0, above = 0;
  for (; done + 32 <= count; done += 32) {
    __m512i key = _mm512_and_si512(_mm512_loadu_si512((const mk_u16 *)words + done), magnitude);
    __mmask32 past = _mm512_cmpgt_epi16_mask(key, lasts);
    __mmask32 inside = _mm512_mask_cmpgt_epi16_mask(past, highs, key);
    below += (size_t)_mm_popcnt_u32(_mm512_cmpgt_epi16_mask(lows, key));
    above += (size_t)_mm_popcnt_u32(past);
    _mm512_storeu_si512(out, _mm512_maskz_compress_epi16(inside, key));
    out += _mm_popcnt_u32(inside);
  }
  bracket->below += below;
  bracket->upto += done - above;
  bracket->inside = (size_t)(out - gathered);
  return done;
}

size_t mk_compare_16(
  mk_level level, const void *words, size_t count, uint16_t low, uint16_t last, uint16_t high, uint16_t *gathered,
  mk_bracket *bracket) {
  if (level == MK_AVX512) return compare_avx512_16(words, count, low, last, high, gathered, bracket);
  return level == MK_SCALAR ? 0 : compare_avx2_16(words, count, low, last, high, gathered, bracket);
}

size_t mk_compare_32(
  mk_level level, const void *words, size_t count, uint32_t low, uint32_t last, uint32_t high, uint32_t *gathered,
  mk_bracket *bracket) {
  return level == MK_SCALAR ? 0 : compare_avx2_32(words, count, low, last, high, gathered, bracket);
}

size_t mk_compare_64(
  mk_level level, const void *words, size_t count, uint64_t low, uint64_t last, uint64_t high, uint64_t *gathered,
  mk_bracket *bracket) {
  return level == MK_SCALAR ? 0 : compare_avx2_64(words, count, low, last, high, gathered, bracket);
}

#endif
