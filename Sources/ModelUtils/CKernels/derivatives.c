#include "operations.h"

#pragma STDC FP_CONTRACT OFF

#define EACH(expression)                                                                                               \
  do {                                                                                                                 \
    MK_INDEPENDENT                                                                                                     \
    for (size_t i = 0; i < count; ++i) {                                                                               \
      float x = src[i];                                                                                                \
      dst[i] = gradient[i] * (expression);                                                                             \
    }                                                                                                                  \
    return;                                                                                                            \
  } while (0)

MK_INLINE float silu_derivative(float x) {
  float s = mk_sigmoid(x);
  return s * (1 + x * (1 - s));
}

MK_INLINE float mish_derivative(float x) {
  float t = mk_tanh(x > 20 ? x : mk_softplus(x)), s = mk_sigmoid(x);
  return t + x * s * (1 - t * t);
}

MK_INLINE float tanh_gelu_derivative(float x) {
  const float factor = 0.79788456080286535588f;
  float t = mk_tanh(factor * (x + 0.044715f * x * x * x));
  return 0.5f * (1 + t) + 0.5f * x * (1 - t * t) * factor * (1 + 3 * 0.044715f * x * x);
}

MK_INLINE void mk_derive_any(
  mk_derivative kind, float a, float b, float *dst, const float *src, const float *gradient, size_t count) {
  switch (kind) {
  case MK_D_ABS: EACH(x > 0 ? 1 : x < 0 ? -1 : 0);
  case MK_D_CLIP: EACH(x > a && x < b ? 1 : 0);
  case MK_D_ELU: EACH(x > 0 ? 1 : a * mk_exp(x));
  case MK_D_EXP: EACH(x);
  case MK_D_GELU:
    for (size_t i = 0; i < count; ++i) {
      float x = src[i];
      dst[i] = gradient[i] *
               (0.5f * (1 + erff(x * 0.70710678118654752440f)) + x * 0.39894228040143267794f * mk_exp(-0.5f * x * x));
    }
    return;
  case MK_D_HARDSIGMOID: EACH(x > -3 && x < 3 ? 1.0f / 6 : 0);
  case MK_D_HARDSWISH: EACH(x < -3 ? 0 : x <= 3 ? x * (1.0f / 3) + 0.5f : 1);
  case MK_D_LEAKY_RELU: EACH(x > 0 ? 1 : a);
  case MK_D_LOG: EACH(1 / x);
  case MK_D_LOG_SIGMOID: EACH(mk_sigmoid(-x));
  case MK_D_MISH: EACH(mish_derivative(x));
  case MK_D_RECIPROCAL: EACH(-x * x);
  case MK_D_RELU: EACH(x > 0 ? 1 : 0);
  case MK_D_RSQRT: EACH(-0.5f * x * x * x);
  case MK_D_SIGMOID: EACH(x * (1 - x));
  case MK_D_SILU: EACH(silu_derivative(x));
  case MK_D_SOFTPLUS: EACH(x * a > b ? 1 : mk_sigmoid(x * a));
  case MK_D_SQRT: EACH(0.5f / x);
  case MK_D_SQUARE: EACH(2 * x);
  case MK_D_TANH: EACH(1 - x * x);
  case MK_D_TANH_GELU: EACH(tanh_gelu_derivative(x));
  }
}

MK_PER_LEVEL(
  mk_derive,
  (mk_derivative kind, float a, float b, float *dst, const float *src, const float *gradient, size_t count),
  (kind, a, b, dst, src, gradient, count))

// Windows

MK_INLINE void mk_window_gradient_any(
  float *dst, const float *gradient, const float *src, const float *result, uint8_t *taken, size_t channels,
  const ptrdiff_t *places, size_t count, float factor) {
  if (!src) {
    for (size_t p = 0; p < count; ++p) {
      float *to = dst + places[p];
      MK_INDEPENDENT
      for (size_t c = 0; c < channels; ++c) to[c] += gradient[c] * factor;
    }
    return;
  }
  memset(taken, 0, channels);
  for (size_t p = 0; p < count; ++p) {
    const float *from = src + places[p];
    float *to = dst + places[p];
    MK_INDEPENDENT
    for (size_t c = 0; c < channels; ++c) {
      // NaN is its own largest.
      bool is_it = !taken[c] && (from[c] == result[c] || (from[c] != from[c] && result[c] != result[c]));
      to[c] += is_it ? gradient[c] : 0.0f;
      taken[c] |= is_it;
    }
  }
}

MK_PER_LEVEL(
  mk_window_gradient,
  (float *dst, const float *gradient, const float *src, const float *result, uint8_t *taken, size_t channels,
   const ptrdiff_t *places, size_t count, float factor),
  (dst, gradient, src, result, taken, channels, places, count, factor))

// Norms of rows

MK_INLINE void mk_norm_rows_gradient_any(
  float *dst, const float *gradient, const float *src, size_t rows, size_t count, double eps, bool is_centered,
  const float *weight, double *products, double *sums) {
  for (size_t r = 0; r < rows; ++r, dst += count, gradient += count, src += count) {
    double lanes[16] = {0}, mean = 0, square = 0, sum = 0, product = 0;
    if (is_centered) {
      for (size_t i = 0; i < count; ++i) lanes[i % 16] += (double)src[i];
      for (size_t l = 0; l < 16; ++l) mean += lanes[l];
      mean /= (double)count;
    }
    memset(lanes, 0, sizeof lanes);
    for (size_t i = 0; i < count; ++i) {
      double d = (double)src[i] - mean;
      lanes[i % 16] += d * d;
    }
    for (size_t l = 0; l < 16; ++l) square += lanes[l];
    double inverse = 1 / __builtin_elementwise_sqrt(square / (double)count + eps);
    double first[16] = {0}, second[16] = {0};
    for (size_t i = 0; i < count; ++i) {
      double g = (double)gradient[i] * (weight ? (double)weight[i] : 1), x = ((double)src[i] - mean) * inverse;
      first[i % 16] += g;
      second[i % 16] += g * x;
    }
    for (size_t l = 0; l < 16; ++l) {
      sum += first[l];
      product += second[l];
    }
    sum = is_centered ? sum / (double)count : 0;
    product /= (double)count;
    MK_INDEPENDENT
    for (size_t i = 0; i < count; ++i) {
      double g = (double)gradient[i], x = ((double)src[i] - mean) * inverse;
      if (products) {
        products[i] += g * x;
        sums[i] += g;
      }
      dst[i] = (float)(inverse * (g * (weight ? (double)weight[i] : 1) - sum - x * product));
    }
  }
}

MK_PER_LEVEL(
  mk_norm_rows_gradient,
  (float *dst, const float *gradient, const float *src, size_t rows, size_t count, double eps, bool is_centered,
   const float *weight, double *products, double *sums),
  (dst, gradient, src, rows, count, eps, is_centered, weight, products, sums))
