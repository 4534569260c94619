#include "operations.h"

#pragma STDC FP_CONTRACT OFF

// Sums run in 16 lanes, element i in lane i mod 16, and the lanes are added in halves: the same order at every level.
enum { LANES = 16 };

MK_INLINE double measured(double x, mk_measure measure, double center) {
  switch (measure) {
  case MK_SQUARES: return x * x;
  case MK_DEVIATIONS: return (x - center) * (x - center);
  default: return x;
  }
}

MK_INLINE double combined(double a, double b, mk_measure measure) {
  switch (measure) {
  // NaN on either side stays.
  case MK_LARGEST: return b <= a || a != a ? a : b;
  case MK_SMALLEST: return b >= a || a != a ? a : b;
  case MK_PRODUCT: return a * b;
  default: return a + b;
  }
}

MK_INLINE double neutral(mk_measure measure) {
  switch (measure) {
  case MK_LARGEST: return -INFINITY;
  case MK_SMALLEST: return INFINITY;
  case MK_PRODUCT: return 1;
  default: return 0;
  }
}

MK_INLINE double along(const float *src, size_t count, mk_measure measure, double center) {
  double lanes[LANES];
  for (size_t l = 0; l < LANES; ++l) lanes[l] = neutral(measure);
  size_t i = 0;
  for (; i + LANES <= count; i += LANES)
    for (size_t l = 0; l < LANES; ++l)
      lanes[l] = combined(lanes[l], measured((double)src[i + l], measure, center), measure);
  for (size_t l = 0; i + l < count; ++l)
    lanes[l] = combined(lanes[l], measured((double)src[i + l], measure, center), measure);
  for (size_t half = LANES / 2; half; half /= 2)
    for (size_t l = 0; l < half; ++l) lanes[l] = combined(lanes[l], lanes[l + half], measure);
  return lanes[0];
}

MK_INLINE void accumulate(
  mk_measure measure, double *restrict totals, const float *restrict src, size_t rows, size_t columns, ptrdiff_t row,
  ptrdiff_t column, const double *restrict centers) {
  if (row == 1 && column != 1) {
    for (size_t c = 0; c < columns; ++c)
      totals[c] = combined(
        totals[c], along(src + (ptrdiff_t)c * column, rows, measure, centers ? centers[c] : 0), measure);
    return;
  }
  size_t r = 0;
  // Four rows at a time, so that the totals are read and written less often.
  if (column == 1)
    for (; r + 4 <= rows; r += 4) {
      const float *a = src + (ptrdiff_t)r * row, *b = a + row, *c = b + row, *d = c + row;
      for (size_t i = 0; i < columns; ++i) {
        double center = centers ? centers[i] : 0;
        double first = combined(measured(a[i], measure, center), measured(b[i], measure, center), measure);
        double second = combined(measured(c[i], measure, center), measured(d[i], measure, center), measure);
        totals[i] = combined(totals[i], combined(first, second, measure), measure);
      }
    }
  for (; r < rows; ++r) {
    const float *from = src + (ptrdiff_t)r * row;
    for (size_t c = 0; c < columns; ++c)
      totals[c] = combined(
        totals[c], measured((double)from[(ptrdiff_t)c * column], measure, centers ? centers[c] : 0), measure);
  }
}

MK_INLINE void mk_accumulate_any(
  mk_measure measure, double *totals, const float *src, size_t rows, size_t columns, ptrdiff_t row, ptrdiff_t column,
  const double *centers) {
  switch (measure) {
  case MK_SUM: return accumulate(MK_SUM, totals, src, rows, columns, row, column, NULL);
  case MK_LARGEST: return accumulate(MK_LARGEST, totals, src, rows, columns, row, column, NULL);
  case MK_SMALLEST: return accumulate(MK_SMALLEST, totals, src, rows, columns, row, column, NULL);
  case MK_PRODUCT: return accumulate(MK_PRODUCT, totals, src, rows, columns, row, column, NULL);
  case MK_SQUARES: return accumulate(MK_SQUARES, totals, src, rows, columns, row, column, NULL);
  case MK_DEVIATIONS: return accumulate(MK_DEVIATIONS, totals, src, rows, columns, row, column, centers);
  }
}

MK_PER_LEVEL(
  mk_accumulate,
  (mk_measure measure, double *totals, const float *src, size_t rows, size_t columns, ptrdiff_t row, ptrdiff_t column,
   const double *centers),
  (measure, totals, src, rows, columns, row, column, centers))

MK_INLINE void mk_normalize_any(
  float *dst, const float *src, size_t rows, size_t count, double eps, bool is_centered, const float *weight,
  const float *bias) {
  for (size_t r = 0; r < rows; ++r, dst += count, src += count) {
    double mean = is_centered ? along(src, count, MK_SUM, 0) / (double)count : 0;
    double squares = along(src, count, MK_DEVIATIONS, mean);
    float center = (float)mean, scale = (float)(1 / sqrt(squares / (double)count + eps));
    if (weight && bias) {
      MK_INDEPENDENT
      for (size_t i = 0; i < count; ++i) dst[i] = (src[i] - center) * scale * weight[i] + bias[i];
    } else if (weight) {
      MK_INDEPENDENT
      for (size_t i = 0; i < count; ++i) dst[i] = (src[i] - center) * scale * weight[i];
    } else {
      MK_INDEPENDENT
      for (size_t i = 0; i < count; ++i) dst[i] = (src[i] - center) * scale;
    }
  }
}

MK_PER_LEVEL(
  mk_normalize,
  (float *dst, const float *src, size_t rows, size_t count, double eps, bool is_centered, const float *weight,
   const float *bias),
  (dst, src, rows, count, eps, is_centered, weight, bias))

// A score as the softmax sees it: scaled, and masked where there is a mask.
MK_INLINE void mask_row(
  float *scores, size_t count, float scale, mk_mask kind, const void *mask, ptrdiff_t stride) {
  switch (kind) {
  case MK_UNMASKED:
    MK_INDEPENDENT
    for (size_t i = 0; i < count; ++i) scores[i] *= scale;
    return;
  case MK_ADDED_MASK:
    if (stride == 1) {
      MK_INDEPENDENT
      for (size_t i = 0; i < count; ++i) scores[i] = scores[i] * scale + ((const float *)mask)[i];
    } else {
      for (size_t i = 0; i < count; ++i) scores[i] = scores[i] * scale + ((const float *)mask)[(ptrdiff_t)i * stride];
    }
    return;
  case MK_KEEPING_MASK:
    for (size_t i = 0; i < count; ++i)
      scores[i] = ((const uint8_t *)mask)[(ptrdiff_t)i * stride] ? scores[i] * scale : -INFINITY;
    return;
  }
}

MK_INLINE void mk_attend_any(
  float *scores, size_t count, float scale, mk_mask kind, const void *mask, ptrdiff_t stride) {
  mask_row(scores, count, scale, kind, mask, stride);
  float lanes[LANES];
  for (size_t l = 0; l < LANES; ++l) lanes[l] = -INFINITY;
  size_t whole = count / LANES * LANES;
  for (size_t i = 0; i < whole; i += LANES)
    for (size_t l = 0; l < LANES; ++l) lanes[l] = scores[i + l] <= lanes[l] ? lanes[l] : scores[i + l];
  float largest = -INFINITY;
  for (size_t l = 0; l < LANES; ++l) largest = lanes[l] <= largest ? largest : lanes[l];
  for (size_t i = whole; i < count; ++i) largest = scores[i] <= largest ? largest : scores[i];
  if (largest == -INFINITY) {
    for (size_t i = 0; i < count; ++i) scores[i] = 0;
    return;
  }
  MK_INDEPENDENT
  for (size_t i = 0; i < count; ++i) scores[i] = mk_exp(scores[i] - largest);
  double sums[LANES] = {0};
  for (size_t i = 0; i < whole; i += LANES)
    for (size_t l = 0; l < LANES; ++l) sums[l] += (double)scores[i + l];
  double sum = 0;
  for (size_t l = 0; l < LANES; ++l) sum += sums[l];
  for (size_t i = whole; i < count; ++i) sum += (double)scores[i];
  float factor = (float)(1 / sum);
  MK_INDEPENDENT
  for (size_t i = 0; i < count; ++i) scores[i] *= factor;
}

MK_PER_LEVEL(
  mk_attend, (float *scores, size_t count, float scale, mk_mask kind, const void *mask, ptrdiff_t stride),
  (scores, count, scale, kind, mask, stride))

// Rows of channels

MK_INLINE void mk_mix_any(float *dst, size_t channels, size_t count, const float *const *rows, const float *weights) {
  if (count == 4) {
    const float *a = rows[0], *b = rows[1], *c = rows[2], *d = rows[3];
    float wa = weights[0], wb = weights[1], wc = weights[2], wd = weights[3];
    MK_INDEPENDENT
    for (size_t i = 0; i < channels; ++i) dst[i] = a[i] * wa + b[i] * wb + (c[i] * wc + d[i] * wd);
    return;
  }
  for (size_t i = 0; i < channels; ++i) dst[i] = 0;
  for (size_t k = 0; k < count; ++k) {
    const float *row = rows[k];
    float weight = weights[k];
    MK_INDEPENDENT
    for (size_t i = 0; i < channels; ++i) dst[i] += row[i] * weight;
  }
}

MK_PER_LEVEL(
  mk_mix, (float *dst, size_t channels, size_t count, const float *const *rows, const float *weights),
  (dst, channels, count, rows, weights))

// Gates. One entry of a batch: `input` and `state` hold what the gates are of each, `hidden` numbers a gate.

MK_INLINE void mk_gates_any(
  mk_cell cell, float *next, float *memory, const float *input, const float *state, const float *last, size_t hidden) {
  size_t n = hidden;
  switch (cell) {
  case MK_RNN_TANH:
    MK_INDEPENDENT
    for (size_t i = 0; i < n; ++i) next[i] = mk_tanh(input[i] + state[i]);
    return;
  case MK_RNN_RELU:
    MK_INDEPENDENT
    for (size_t i = 0; i < n; ++i) {
      float x = input[i] + state[i];
      next[i] = x < 0 ? 0 : x;
    }
    return;
  case MK_GRU:
    MK_INDEPENDENT
    for (size_t i = 0; i < n; ++i) {
      float reset = mk_sigmoid(input[i] + state[i]), update = mk_sigmoid(input[n + i] + state[n + i]);
      float fresh = mk_tanh(input[2 * n + i] + reset * state[2 * n + i]);
      next[i] = (1 - update) * fresh + update * last[i];
    }
    return;
  case MK_LSTM:
    MK_INDEPENDENT
    for (size_t i = 0; i < n; ++i) {
      float enter = mk_sigmoid(input[i] + state[i]), keep = mk_sigmoid(input[n + i] + state[n + i]);
      float fresh = mk_tanh(input[2 * n + i] + state[2 * n + i]), leave = mk_sigmoid(input[3 * n + i] + state[3 * n + i]);
      float now = keep * memory[i] + enter * fresh;
      memory[i] = now;
      next[i] = leave * mk_tanh(now);
    }
    return;
  }
}

MK_PER_LEVEL(
  mk_gates,
  (mk_cell cell, float *next, float *memory, const float *input, const float *state, const float *last, size_t hidden),
  (cell, next, memory, input, state, last, hidden))
