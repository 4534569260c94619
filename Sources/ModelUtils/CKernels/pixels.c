#include "simd.h"

#include <math.h>
#include <string.h>

#pragma STDC FP_CONTRACT OFF

enum { CHANNELS = 3 };

// Interleaved to planes and back

MK_INLINE void planes(float *dst, size_t stride, const void *src, size_t pixels, bool is_wide) {
  for (size_t channel = 0; channel < CHANNELS; ++channel) {
    mk_f32 *out = (mk_f32 *)(dst + channel * stride);
    if (is_wide) {
      const mk_u16 *in = (const mk_u16 *)src + channel;
      for (size_t i = 0; i < pixels; ++i) out[i] = (float)in[CHANNELS * i] / 65535.f;
    } else {
      const uint8_t *in = (const uint8_t *)src + channel;
      for (size_t i = 0; i < pixels; ++i) out[i] = (float)in[CHANNELS * i] / 255.f;
    }
  }
}

// Adding 2^23 leaves no room for a fraction: the sum is rounded to nearest even.
MK_INLINE float rounded(float value, float top) {
  value = value > 0 ? value * top : 0;
  value = value < top ? value : top;
  return (value + 8388608.f) - 8388608.f;
}

MK_INLINE void pixels_of(void *dst, const float *src, size_t stride, size_t pixels, bool is_wide) {
  for (size_t channel = 0; channel < CHANNELS; ++channel) {
    const mk_f32 *in = (const mk_f32 *)(src + channel * stride);
    if (is_wide) {
      mk_u16 *out = (mk_u16 *)dst + channel;
      for (size_t i = 0; i < pixels; ++i) out[CHANNELS * i] = (uint16_t)rounded(in[i], 65535);
    } else {
      uint8_t *out = (uint8_t *)dst + channel;
      for (size_t i = 0; i < pixels; ++i) out[CHANNELS * i] = (uint8_t)rounded(in[i], 255);
    }
  }
}

static void planes_plain(float *dst, size_t stride, const void *src, size_t pixels, bool is_wide) {
  planes(dst, stride, src, pixels, is_wide);
}

static void pixels_plain(void *dst, const float *src, size_t stride, size_t pixels, bool is_wide) {
  pixels_of(dst, src, stride, pixels, is_wide);
}

// OpenCV's resize: weights of 11 bits along each axis, the sum along x cut to 15 bits, each product along y to its
// upper half.

enum { WEIGHT_BITS = 11, WEIGHT_ONE = 1 << WEIGHT_BITS };

typedef struct tap {
  uint32_t low, high;
  int16_t low_weight, high_weight;
} tap;

// Along y a place outside of the picture keeps its weights and takes the edge for both neighbours; along x all weight
// goes to the edge. Of rows that are equal both give the same, up to what is cut off.
static tap tap_at(size_t place, size_t in, size_t out, bool is_column) {
  double scale = 1. / ((double)out / (double)in);
  float at = (float)(((double)place + 0.5) * scale - 0.5);
  float down = floorf(at), part = at - down;
  long low = (long)down, last = (long)in - 1;
  if (is_column && low < 0) low = 0, part = 0;
  if (is_column && low >= last) low = last, part = 0;
  long high = low + 1;
  tap result = {
    (uint32_t)(low < 0 ? 0 : low > last ? last : low), (uint32_t)(high < 0 ? 0 : high > last ? last : high),
    (int16_t)lrintf((1 - part) * WEIGHT_ONE), (int16_t)lrintf(part * WEIGHT_ONE)};
  return result;
}

size_t mk_resize_pixels_scratch(size_t width) { return width * (sizeof(tap) + 2 * CHANNELS * sizeof(int16_t)); }

static void resize_row(int16_t *dst, const uint8_t *src, const tap *taps, size_t width) {
  for (size_t x = 0; x < width; ++x, dst += CHANNELS) {
    const uint8_t *a = src + (size_t)CHANNELS * taps[x].low, *b = src + (size_t)CHANNELS * taps[x].high;
    for (size_t c = 0; c < CHANNELS; ++c)
      dst[c] = (int16_t)((a[c] * taps[x].low_weight + b[c] * taps[x].high_weight) >> 4);
  }
}

MK_INLINE void blend(uint8_t *dst, const int16_t *a, const int16_t *b, size_t count, tap t) {
  int16_t low = t.low_weight, high = t.high_weight;
  MK_INDEPENDENT
  for (size_t i = 0; i < count; ++i) {
    int sum = ((a[i] * low) >> 16) + ((b[i] * high) >> 16) + 2;
    dst[i] = (uint8_t)(sum >> 2);
  }
}

static void blend_plain(uint8_t *dst, const int16_t *a, const int16_t *b, size_t count, tap t) { blend(dst, a, b, count, t); }

// Half the size in both directions is the mean of four.
static void halve_row(uint8_t *dst, const uint8_t *src, size_t width) {
  size_t step = 2 * CHANNELS * width;
  for (size_t x = 0; x < width; ++x, src += 2 * CHANNELS, dst += CHANNELS)
    for (size_t c = 0; c < CHANNELS; ++c)
      dst[c] = (uint8_t)((src[c] + src[c + CHANNELS] + src[step + c] + src[step + c + CHANNELS] + 2) >> 2);
}

#if MK_X86
MK_TARGET_AVX2 static void planes_avx2(float *dst, size_t stride, const void *src, size_t pixels, bool is_wide) {
  planes(dst, stride, src, pixels, is_wide);
}

MK_TARGET_AVX2 static void pixels_avx2(void *dst, const float *src, size_t stride, size_t pixels, bool is_wide) {
  pixels_of(dst, src, stride, pixels, is_wide);
}

MK_INLINE MK_TARGET_AVX2 __m128i weights_of(const tap *t) {
  int weights;
  memcpy(&weights, &t->low_weight, sizeof weights);
  return _mm_set1_epi32(weights);
}

// Two pixels at a time, of each the eight bytes that begin with its neighbours': two are the next pixel's, and so is the
// fourth word that is written. A pixel at the right edge, whose neighbours are one, is left to the plain loop.
MK_TARGET_AVX2 static void resize_row_avx2(int16_t *dst, const uint8_t *src, const tap *taps, size_t width, size_t in_width) {
  const __m128i order = _mm_setr_epi8(0, 3, 1, 4, 2, 5, -1, -1, 8, 11, 9, 12, 10, 13, -1, -1);
  size_t x = 0;
  for (; x + 2 < width && (size_t)taps[x + 1].low + 3 <= in_width; x += 2) {
    const tap *t = taps + x;
    __m128i first = _mm_loadl_epi64((const void *)(src + (size_t)CHANNELS * t[0].low));
    __m128i second = _mm_loadl_epi64((const void *)(src + (size_t)CHANNELS * t[1].low));
    __m256i pairs = _mm256_cvtepu8_epi16(_mm_shuffle_epi8(_mm_unpacklo_epi64(first, second), order));
    __m256i weights = _mm256_inserti128_si256(_mm256_castsi128_si256(weights_of(t)), weights_of(t + 1), 1);
    __m256i sums = _mm256_srai_epi32(_mm256_madd_epi16(pairs, weights), 4);
    sums = _mm256_packs_epi32(sums, sums);
    _mm_storel_epi64((void *)(dst + CHANNELS * x), _mm256_castsi256_si128(sums));
    _mm_storel_epi64((void *)(dst + CHANNELS * (x + 1)), _mm256_extracti128_si256(sums, 1));
  }
  resize_row(dst + CHANNELS * x, src, taps + x, width - x);
}

MK_INLINE MK_TARGET_AVX2 __m256i blend_16(const int16_t *a, const int16_t *b, __m256i low, __m256i high) {
  __m256i first = _mm256_mulhi_epi16(_mm256_loadu_si256((const void *)a), low);
  __m256i second = _mm256_mulhi_epi16(_mm256_loadu_si256((const void *)b), high);
  return _mm256_srai_epi16(_mm256_add_epi16(_mm256_add_epi16(first, second), _mm256_set1_epi16(2)), 2);
}

MK_TARGET_AVX2 static void blend_avx2(uint8_t *dst, const int16_t *a, const int16_t *b, size_t count, tap t) {
  const __m256i low = _mm256_set1_epi16(t.low_weight), high = _mm256_set1_epi16(t.high_weight);
  size_t i = 0;
  for (; i + 32 <= count; i += 32) {
    __m256i bytes = _mm256_packus_epi16(blend_16(a + i, b + i, low, high), blend_16(a + i + 16, b + i + 16, low, high));
    _mm256_storeu_si256((void *)(dst + i), _mm256_permute4x64_epi64(bytes, 0xd8));
  }
  blend(dst + i, a + i, b + i, count - i, t);
}
#endif

void mk_planes_from_pixels(float *dst, size_t stride, const void *src, size_t pixels, bool is_wide) {
#if MK_X86
  if (mk_current_level() != MK_SCALAR) return planes_avx2(dst, stride, src, pixels, is_wide);
#endif
  planes_plain(dst, stride, src, pixels, is_wide);
}

void mk_pixels_from_planes(void *dst, const float *src, size_t stride, size_t pixels, bool is_wide) {
#if MK_X86
  if (mk_current_level() != MK_SCALAR) return pixels_avx2(dst, src, stride, pixels, is_wide);
#endif
  pixels_plain(dst, src, stride, pixels, is_wide);
}

void mk_resize_pixels(
  uint8_t *dst, size_t dst_stride, size_t width, size_t height, const uint8_t *src, size_t in_width, size_t in_height,
  size_t first, size_t count, void *scratch) {
  size_t step = in_width * CHANNELS;
  if (in_width == 2 * width && in_height == 2 * height) {
    for (size_t y = first; y < first + count; ++y, dst += dst_stride) halve_row(dst, src + 2 * y * step, width);
    return;
  }
  tap *taps = scratch;
  int16_t *rows[2] = {(int16_t *)(taps + width), (int16_t *)(taps + width) + width * CHANNELS};
  size_t held[2] = {SIZE_MAX, SIZE_MAX};
  for (size_t x = 0; x < width; ++x) taps[x] = tap_at(x, in_width, width, true);
  for (size_t y = first; y < first + count; ++y, dst += dst_stride) {
    tap t = tap_at(y, in_height, height, false);
    // The lower row of the last place is often the upper one of this.
    if (held[0] != t.low && held[1] == t.low) {
      int16_t *other = rows[0];
      rows[0] = rows[1], rows[1] = other;
      held[1] = held[0], held[0] = t.low;
    }
    const size_t wanted[2] = {t.low, t.high};
    // A row without weight is not made.
    int used = t.high_weight == 0 ? 1 : 2;
    for (int i = 0; i < used; ++i) {
      if (held[i] == wanted[i]) continue;
      held[i] = wanted[i];
#if MK_X86
      if (mk_current_level() != MK_SCALAR) {
        resize_row_avx2(rows[i], src + wanted[i] * step, taps, width, in_width);
        continue;
      }
#endif
      resize_row(rows[i], src + wanted[i] * step, taps, width);
    }
#if MK_X86
    if (mk_current_level() != MK_SCALAR) {
      blend_avx2(dst, rows[0], rows[used - 1], width * CHANNELS, t);
      continue;
    }
#endif
    blend_plain(dst, rows[0], rows[used - 1], width * CHANNELS, t);
  }
}

#define REVERSE(type)                                                                                                  \
  for (size_t y = 0; y < rows; ++y)                                                                                    \
    for (size_t x = 0; x < columns; ++x) ((type *)dst)[y * columns + x] = ((const type *)src)[(y + 1) * columns - 1 - x]

void mk_reverse_rows(void *dst, const void *src, size_t rows, size_t columns, size_t size) {
  switch (size) {
  case 1: REVERSE(uint8_t); break;
  case 2: REVERSE(mk_u16); break;
  default: REVERSE(mk_u32); break;
  }
}
