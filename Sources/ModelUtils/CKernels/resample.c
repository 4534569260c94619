#include "formats.h"

#include <math.h>
#include <string.h>

#pragma STDC FP_CONTRACT OFF

// Each row of the result blends two rows of the source into a row of scratch, and that into its columns. Two rows in a
// row share their sources, which stay in the cache; a row of the result is written once, padding included.

// What the widest vector may read beyond the blended row.
enum { SLACK = 32 };

void mk_resample_taps(int32_t *index, float *weight, size_t count, size_t in, size_t out) {
  float scale = (float)in / (float)out;
  for (size_t i = 0; i < count; ++i) {
    // PyTorch's own code is compiled to the fused operation; at large places the last bit of this counts.
    float at = fmaf(scale, (float)i + 0.5f, -0.5f);
    if (!(at > 0) || in == out) at = in == out ? (float)i : 0;
    int32_t low = (int32_t)at;
    if (low > (int32_t)in - 1) low = (int32_t)in - 1;
    float part = at - (float)low;
    index[i] = low;
    weight[i] = part > 1 ? 1 : part;
  }
}

static mk_float format(mk_sample type) {
  return type == MK_SAMPLE_FLOAT16 ? MK_FLOAT16 : type == MK_SAMPLE_BFLOAT16 ? MK_BFLOAT16 : MK_FLOAT32;
}

static size_t size_of(mk_sample type) {
  return type == MK_SAMPLE_UINT8 ? 1 : type == MK_SAMPLE_FLOAT32 ? 4 : 2;
}

// The blended row, the two rows of the source as floats, and the row of the result as floats.
size_t mk_resample_scratch(const mk_resampling *plan) {
  return (3 * (plan->in_width + SLACK) + plan->width) * sizeof(float);
}

MK_INLINE void blend_floats(float *dst, const mk_f32 *a, const mk_f32 *b, size_t count, float low, float high) {
  MK_INDEPENDENT
  for (size_t i = 0; i < count; ++i) dst[i] = a[i] * low + b[i] * high;
}

MK_INLINE void blend_bytes(float *dst, const uint8_t *a, const uint8_t *b, size_t count, float low, float high) {
  MK_INDEPENDENT
  for (size_t i = 0; i < count; ++i) dst[i] = (float)a[i] * low + (float)b[i] * high;
}

MK_INLINE void bytes_to_floats(float *dst, const uint8_t *a, size_t count) {
  MK_INDEPENDENT
  for (size_t i = 0; i < count; ++i) dst[i] = (float)a[i] / 255.f;
}

MK_INLINE void columns_plain(mk_f32 *dst, const float *row, const int32_t *index, const float *weight, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const float *at = row + index[i];
    dst[i] = at[0] * (1 - weight[i]) + at[1] * weight[i];
  }
}

#if MK_X86
// Neighbouring places read neighbouring elements: where eight of them reach no further than sixteen elements, two loads
// and a choice among them; else a gather.
MK_INLINE MK_TARGET_AVX2 void columns_avx2(
  mk_f32 *dst, const float *row, const int32_t *index, const float *weight, size_t count) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    __m256 high = _mm256_loadu_ps(weight + i), low = _mm256_sub_ps(_mm256_set1_ps(1), high);
    __m256i places = _mm256_loadu_si256((const void *)(index + i));
    __m256 a, b;
    if (index[i + 7] - index[i] <= 14) {
      const float *base = row + index[i];
      __m256 first = _mm256_loadu_ps(base), second = _mm256_loadu_ps(base + 8);
      __m256i at = _mm256_sub_epi32(places, _mm256_set1_epi32(index[i]));
      __m256i next = _mm256_add_epi32(at, _mm256_set1_epi32(1));
      a = _mm256_blendv_ps(
        _mm256_permutevar8x32_ps(first, at), _mm256_permutevar8x32_ps(second, at),
        _mm256_castsi256_ps(_mm256_slli_epi32(at, 28)));
      b = _mm256_blendv_ps(
        _mm256_permutevar8x32_ps(first, next), _mm256_permutevar8x32_ps(second, next),
        _mm256_castsi256_ps(_mm256_slli_epi32(next, 28)));
    } else {
      a = _mm256_i32gather_ps(row, places, 4);
      b = _mm256_i32gather_ps(row + 1, places, 4);
    }
    _mm256_storeu_ps((float *)(void *)(dst + i), _mm256_add_ps(_mm256_mul_ps(a, low), _mm256_mul_ps(b, high)));
  }
  columns_plain(dst + i, row, index + i, weight + i, count - i);
}

MK_INLINE MK_TARGET_AVX512 void columns_avx512(
  mk_f32 *dst, const float *row, const int32_t *index, const float *weight, size_t count) {
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    __m512 high = _mm512_loadu_ps(weight + i), low = _mm512_sub_ps(_mm512_set1_ps(1), high);
    __m512i places = _mm512_loadu_si512(index + i);
    __m512 a, b;
    if (index[i + 15] - index[i] <= 30) {
      const float *base = row + index[i];
      __m512 first = _mm512_loadu_ps(base), second = _mm512_loadu_ps(base + 16);
      __m512i at = _mm512_sub_epi32(places, _mm512_set1_epi32(index[i]));
      a = _mm512_permutex2var_ps(first, at, second);
      b = _mm512_permutex2var_ps(first, _mm512_add_epi32(at, _mm512_set1_epi32(1)), second);
    } else {
      a = _mm512_i32gather_ps(places, row, 4);
      b = _mm512_i32gather_ps(places, row + 1, 4);
    }
    _mm512_storeu_ps(dst + i, _mm512_add_ps(_mm512_mul_ps(a, low), _mm512_mul_ps(b, high)));
  }
  columns_plain(dst + i, row, index + i, weight + i, count - i);
}
#endif

MK_INLINE void fill_floats(mk_level level, void *dst, size_t count, float value, mk_float type) {
  if (type == MK_FLOAT32) {
    for (size_t i = 0; i < count; ++i) ((mk_f32 *)dst)[i] = value;
    return;
  }
  uint16_t word;
  mk_store_floats(level, &word, &(mk_f32){value}, 1, type);
  for (size_t i = 0; i < count; ++i) ((mk_u16 *)dst)[i] = word;
}

typedef void columns_function(mk_f32 *dst, const float *row, const int32_t *index, const float *weight, size_t count);

MK_INLINE void resample_row(
  mk_level level, columns_function *columns, void *dst, const char *src, mk_sample type, const mk_resampling *plan,
  size_t y, float *scratch) {
  size_t length = plan->in_width, step = length * size_of(type);
  float *row = scratch, *a = row + length + SLACK, *b = a + length + SLACK, *result = b + length + SLACK;
  size_t above = (size_t)plan->row_index[y], below = above + 1 < plan->in_height ? above + 1 : above;
  const char *upper = src + above * step, *lower = src + below * step;
  float high = plan->row_weight[y], low = 1 - high;
  const mk_f32 *source = (const void *)row;
  if (type == MK_SAMPLE_UINT8) {
    const float unit = 1 / 255.f;
    if (plan->same_height) bytes_to_floats(row, (const uint8_t *)upper, length);
    else blend_bytes(row, (const uint8_t *)upper, (const uint8_t *)lower, length, low * unit, high * unit);
  } else {
    const mk_f32 *first = (const void *)upper, *second = (const void *)lower;
    if (type != MK_SAMPLE_FLOAT32) {
      mk_load_floats(level, (void *)a, upper, length, format(type));
      if (!plan->same_height) mk_load_floats(level, (void *)b, lower, length, format(type));
      first = (const void *)a;
      second = (const void *)b;
    }
    if (plan->same_height && plan->same_width) source = first;
    else if (plan->same_height) memcpy(row, (const void *)first, length * sizeof(float));
    else blend_floats(row, first, second, length, low, high);
  }
  bool is_half = format(type) != MK_FLOAT32;
  mk_f32 *out = is_half ? (void *)result : dst;
  if (plan->same_width) {
    memcpy((void *)out, (const void *)source, plan->width * sizeof(float));
  } else {
    row[length] = row[length - 1];
    columns(out, row, plan->column_index, plan->column_weight, plan->width);
  }
  if (is_half) mk_store_floats(level, dst, out, plan->width, format(type));
}

MK_INLINE void resample_all(
  mk_level level, columns_function *columns, char *dst, const char *src, mk_sample type, const mk_resampling *plan,
  size_t first, size_t count, float *scratch) {
  size_t size = mk_size(format(type));
  memset(scratch + plan->in_width, 0, SLACK * sizeof(float));
  for (size_t y = first; y < first + count; ++y, dst += plan->out_width * size) {
    size_t kept = y < plan->height ? plan->width : 0;
    if (kept > 0) resample_row(level, columns, dst, src, type, plan, y, scratch);
    fill_floats(level, dst + kept * size, plan->out_width - kept, plan->fill, format(type));
  }
}

#if MK_X86
MK_TARGET_AVX2 static void resample_avx2(
  void *dst, const void *src, mk_sample type, const mk_resampling *plan, size_t first, size_t count, void *scratch) {
  resample_all(MK_AVX2, columns_avx2, dst, src, type, plan, first, count, scratch);
}

MK_TARGET_AVX512 static void resample_avx512(
  void *dst, const void *src, mk_sample type, const mk_resampling *plan, size_t first, size_t count, void *scratch) {
  resample_all(MK_AVX512, columns_avx512, dst, src, type, plan, first, count, scratch);
}
#endif

void mk_resample_rows(
  void *dst, const void *src, mk_sample type, const mk_resampling *plan, size_t first, size_t count, void *scratch) {
#if MK_X86
  switch (mk_current_level()) {
  case MK_AVX512: return resample_avx512(dst, src, type, plan, first, count, scratch);
  case MK_AVX2: return resample_avx2(dst, src, type, plan, first, count, scratch);
  case MK_SCALAR: break;
  }
#endif
  resample_all(MK_SCALAR, columns_plain, dst, src, type, plan, first, count, scratch);
}
