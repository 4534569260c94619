#include "operations.h"

#pragma STDC FP_CONTRACT OFF

// Functions of one element

#define EACH(expression)                                                                                               \
  do {                                                                                                                 \
    MK_INDEPENDENT                                                                                                     \
    for (size_t i = 0; i < count; ++i) {                                                                               \
      float x = src[i];                                                                                                \
      dst[i] = (expression);                                                                                           \
    }                                                                                                                  \
    return;                                                                                                            \
  } while (0)

// The sine, or the cosine, of angles up to 2^16: the quarter turns are taken off in double.
MK_INLINE float sine(float x, uint32_t quarters) {
  const double shift = 6755399441055744.0;
  double shifted = (double)x * 0.63661977236758134308 + shift;
  double whole = shifted - shift;
  uint64_t bits;
  memcpy(&bits, &shifted, sizeof bits);
  uint32_t quarter = (uint32_t)bits + quarters;
  float r = (float)((double)x - whole * 1.57079632679489661923), square = r * r;
  float s = -1.9515295891e-4f;
  s = s * square + 8.3321608736e-3f;
  s = s * square - 1.6666654611e-1f;
  s = s * square * r + r;
  float c = 2.443315711809948e-5f;
  c = c * square - 1.388731625493765e-3f;
  c = c * square + 4.166664568298827e-2f;
  c = c * square * square - 0.5f * square + 1.0f;
  float value = quarter & 1 ? c : s;
  return mk_as_float(mk_bits(value) ^ (quarter & 2) << 30);
}

MK_INLINE bool are_small(const float *src, size_t count) {
  uint32_t large = 0;
  for (size_t i = 0; i < count; ++i) large |= mk_abs(src[i]) <= 65536.0f ? 0 : 1;
  return !large;
}

MK_INLINE void sines(float *dst, const float *src, size_t count, bool is_cosine) {
  for (size_t done = 0; done < count; done += MK_BLOCK) {
    size_t length = count - done < MK_BLOCK ? count - done : MK_BLOCK;
    const float *from = src + done;
    float *to = dst + done;
    if (are_small(from, length)) {
      MK_INDEPENDENT
      for (size_t i = 0; i < length; ++i) to[i] = sine(from[i], is_cosine ? 1 : 0);
    } else {
      for (size_t i = 0; i < length; ++i) to[i] = is_cosine ? cosf(from[i]) : sinf(from[i]);
    }
  }
}

MK_INLINE void mk_unary_any(mk_function function, float a, float b, float *dst, const float *src, size_t count) {
  switch (function) {
  case MK_CEIL: EACH(ceilf(x));
  case MK_CELU: EACH(x > 0 ? x : a * mk_expm1(x / a));
  case MK_COS: return sines(dst, src, count, true);
  case MK_ELU: EACH(x > 0 ? x : a * mk_expm1(x));
  case MK_ERF:
    for (size_t i = 0; i < count; ++i) dst[i] = erff(src[i]);
    return;
  case MK_FLOOR: EACH(floorf(x));
  case MK_HARDSHRINK: EACH(x <= a && x >= -a ? 0 : x);
  case MK_HARDSIGMOID: EACH((x + 3 < 0 ? 0 : x + 3 > 6 ? 6 : x + 3) / 6);
  case MK_LOG_SIGMOID: EACH(-mk_softplus(-x));
  case MK_NEGATE: EACH(-x);
  case MK_NOT: EACH(x == 0 ? 1 : 0);
  case MK_RECIPROCAL: EACH(1 / x);
  case MK_ROUND: EACH(rintf(x));
  case MK_RSQRT: EACH(1 / __builtin_elementwise_sqrt(x));
  case MK_SELU: EACH(1.05070098735548049342f * (x > 0 ? x : 1.67326324235437728481f * mk_expm1(x)));
  case MK_SIGN: EACH(x > 0 ? 1 : x < 0 ? -1 : 0);
  case MK_SIN: return sines(dst, src, count, false);
  case MK_SOFTPLUS: EACH(x * a > b ? x : mk_softplus(x * a) / a);
  case MK_SOFTSHRINK: EACH(x > a ? x - a : x < -a ? x + a : x != x ? x : 0);
  case MK_SOFTSIGN: EACH(x / (1 + mk_abs(x)));
  case MK_TAN:
    for (size_t i = 0; i < count; ++i) dst[i] = tanf(src[i]);
    return;
  case MK_TANHSHRINK: EACH(x - mk_tanh(x));
  case MK_THRESHOLD: EACH(x <= a ? b : x);
  }
}

MK_PER_LEVEL(
  mk_unary, (mk_function function, float a, float b, float *dst, const float *src, size_t count),
  (function, a, b, dst, src, count))

// Functions of two elements

// x^y for finite x > 0 and finite y, by 2^(y · log2 x) in double.
MK_INLINE float positive_power(float base, float exponent) {
  double x = base;
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  // The mantissa from √½ to √2.
  uint64_t offset = bits - 0x3fe6a09e667f3bcd;
  int64_t whole = (int64_t)offset >> 52;
  bits -= (uint64_t)whole << 52;
  double m;
  memcpy(&m, &bits, sizeof m);
  double s = (m - 1) / (m + 1), square = s * s;
  double p = 1.0 / 15;
  p = p * square + 1.0 / 13;
  p = p * square + 1.0 / 11;
  p = p * square + 1.0 / 9;
  p = p * square + 1.0 / 7;
  p = p * square + 1.0 / 5;
  p = p * square + 1.0 / 3;
  p = p * square + 1;
  double power = ((double)(int32_t)whole + 2.88539008177792681472 * s * p) * exponent;
  power = power > 1000 ? 1000 : power < -1000 ? -1000 : power;
  const double shift = 6755399441055744.0;
  double shifted = power + shift, n = shifted - shift, r = (power - n) * 0.69314718055994530942;
  memcpy(&bits, &shifted, sizeof bits);
  double e = 1.0 / 40320;
  e = e * r + 1.0 / 5040;
  e = e * r + 1.0 / 720;
  e = e * r + 1.0 / 120;
  e = e * r + 1.0 / 24;
  e = e * r + 1.0 / 6;
  e = e * r + 0.5;
  e = e * r + 1;
  e = e * r + 1;
  bits = (bits + 1023) << 52;
  double scale;
  memcpy(&scale, &bits, sizeof scale);
  return (float)(e * scale);
}

MK_INLINE void powers(float *dst, const float *a, const float *b, size_t count, ptrdiff_t from, ptrdiff_t by) {
  bool is_usual = true;
  for (size_t i = 0; i < count; ++i) {
    float x = a[(ptrdiff_t)i * from], y = b[(ptrdiff_t)i * by];
    is_usual &= x > 0 && x < INFINITY && mk_abs(y) < INFINITY;
  }
  if (is_usual) {
    MK_INDEPENDENT
    for (size_t i = 0; i < count; ++i) dst[i] = positive_power(a[(ptrdiff_t)i * from], b[(ptrdiff_t)i * by]);
  } else {
    for (size_t i = 0; i < count; ++i) dst[i] = powf(a[(ptrdiff_t)i * from], b[(ptrdiff_t)i * by]);
  }
}

// Rows with the usual strides have loops of their own.
#define PAIRS(result, number, expression)                                                                              \
  for (size_t r = 0; r < p->rows; ++r) {                                                                               \
    result *to = (result *)dst + (ptrdiff_t)r * p->row[0];                                                             \
    const number *left = (const number *)a + (ptrdiff_t)r * p->row[1];                                                 \
    const number *right = (const number *)b + (ptrdiff_t)r * p->row[2];                                                \
    size_t count = p->columns;                                                                                         \
    ptrdiff_t out = p->column[0], i1 = p->column[1], i2 = p->column[2];                                                \
    if (out == 1 && i1 == 1 && i2 == 1) {                                                                              \
      MK_INDEPENDENT                                                                                                   \
      for (size_t i = 0; i < count; ++i) {                                                                             \
        number x = left[i], y = right[i];                                                                              \
        to[i] = (expression);                                                                                          \
      }                                                                                                                \
    } else if (out == 1 && i1 == 1 && i2 == 0) {                                                                       \
      number y = right[0];                                                                                             \
      MK_INDEPENDENT                                                                                                   \
      for (size_t i = 0; i < count; ++i) {                                                                             \
        number x = left[i];                                                                                            \
        to[i] = (expression);                                                                                          \
      }                                                                                                                \
    } else if (out == 1 && i1 == 0 && i2 == 1) {                                                                       \
      number x = left[0];                                                                                              \
      MK_INDEPENDENT                                                                                                   \
      for (size_t i = 0; i < count; ++i) {                                                                             \
        number y = right[i];                                                                                           \
        to[i] = (expression);                                                                                          \
      }                                                                                                                \
    } else {                                                                                                           \
      for (size_t i = 0; i < count; ++i) {                                                                             \
        number x = left[(ptrdiff_t)i * i1], y = right[(ptrdiff_t)i * i2];                                              \
        to[(ptrdiff_t)i * out] = (expression);                                                                         \
      }                                                                                                                \
    }                                                                                                                  \
  }                                                                                                                    \
  return

MK_INLINE void mk_binary_any(mk_pair function, float *dst, const float *a, const float *b, const mk_plane *p) {
  switch (function) {
  case MK_ADD: PAIRS(float, float, x + y);
  case MK_SUBTRACT: PAIRS(float, float, x - y);
  case MK_MULTIPLY: PAIRS(float, float, x * y);
  case MK_DIVIDE: PAIRS(float, float, x / y);
  case MK_MINIMUM: PAIRS(float, float, x != x ? x : y != y ? y : x < y ? x : y);
  case MK_MAXIMUM: PAIRS(float, float, x != x ? x : y != y ? y : x > y ? x : y);
  case MK_FLOOR_DIVIDE: PAIRS(float, float, (float)floor((double)x / (double)y));
  case MK_REMAINDER: PAIRS(float, float, (float)((double)x - floor((double)x / (double)y) * (double)y));
  case MK_AND: PAIRS(float, float, x != 0 && y != 0 ? 1 : 0);
  case MK_OR: PAIRS(float, float, x != 0 || y != 0 ? 1 : 0);
  case MK_XOR: PAIRS(float, float, (x != 0) != (y != 0) ? 1 : 0);
  case MK_PRELU: PAIRS(float, float, x > 0 ? x : x * y);
  case MK_POWER:
    if (p->column[0] == 1 && p->column[2] == 0 && p->row[2] == 0) {
      if (*b == 2) { PAIRS(float, float, ((void)y, x * x)); }
      if (*b == 3) { PAIRS(float, float, ((void)y, x * x * x)); }
      if (*b == 1) { PAIRS(float, float, ((void)y, x)); }
      if (*b == -1) { PAIRS(float, float, ((void)y, 1 / x)); }
    }
    for (size_t r = 0; r < p->rows; ++r) {
      float *to = dst + (ptrdiff_t)r * p->row[0];
      const float *left = a + (ptrdiff_t)r * p->row[1], *right = b + (ptrdiff_t)r * p->row[2];
      if (p->column[0] == 1)
        powers(to, left, right, p->columns, p->column[1], p->column[2]);
      else
        for (size_t i = 0; i < p->columns; ++i)
          to[(ptrdiff_t)i * p->column[0]] =
            powf(left[(ptrdiff_t)i * p->column[1]], right[(ptrdiff_t)i * p->column[2]]);
    }
    return;
  }
}

MK_PER_LEVEL(
  mk_binary, (mk_pair function, float *dst, const float *a, const float *b, const mk_plane *p),
  (function, dst, a, b, p))

MK_INLINE void mk_relate_any(mk_relation relation, uint8_t *dst, const float *a, const float *b, const mk_plane *p) {
  switch (relation) {
  case MK_EQUAL: PAIRS(uint8_t, float, x == y);
  case MK_NOT_EQUAL: PAIRS(uint8_t, float, x != y);
  case MK_LESS: PAIRS(uint8_t, float, x < y);
  case MK_LESS_OR_EQUAL: PAIRS(uint8_t, float, x <= y);
  case MK_GREATER: PAIRS(uint8_t, float, x > y);
  case MK_GREATER_OR_EQUAL: PAIRS(uint8_t, float, x >= y);
  }
}

MK_PER_LEVEL(
  mk_relate, (mk_relation relation, uint8_t *dst, const float *a, const float *b, const mk_plane *p),
  (relation, dst, a, b, p))

#define CHOOSE(word)                                                                                                   \
  for (size_t r = 0; r < p->rows; ++r) {                                                                               \
    word *to = (word *)dst + (ptrdiff_t)r * p->row[0];                                                                 \
    const uint8_t *is = condition + (ptrdiff_t)r * p->row[1];                                                          \
    const word *yes = (const word *)a + (ptrdiff_t)r * p->row[2], *no = (const word *)b + (ptrdiff_t)r * p->row[3];    \
    for (size_t i = 0; i < p->columns; ++i)                                                                            \
      to[(ptrdiff_t)i * p->column[0]] = is[(ptrdiff_t)i * p->column[1]] ? yes[(ptrdiff_t)i * p->column[2]]             \
                                                                       : no[(ptrdiff_t)i * p->column[3]];              \
  }                                                                                                                    \
  return

MK_INLINE void mk_choose_any(
  void *dst, const uint8_t *condition, const void *a, const void *b, size_t size, const mk_plane *p) {
  switch (size) {
  case 1: CHOOSE(uint8_t);
  case 2: CHOOSE(mk_u16);
  case 4: CHOOSE(mk_u32);
  case 8: CHOOSE(mk_u64);
  }
}

MK_PER_LEVEL(
  mk_choose, (void *dst, const uint8_t *condition, const void *a, const void *b, size_t size, const mk_plane *p),
  (dst, condition, a, b, size, p))

MK_INLINE void mk_affine_any(
  float *dst, const float *src, const float *scale, const float *shift, const mk_plane *p) {
  bool is_even = p->column[0] == 1 && p->column[1] == 1;
  for (size_t r = 0; r < p->rows; ++r) {
    float *to = dst + (ptrdiff_t)r * p->row[0];
    const float *from = src + (ptrdiff_t)r * p->row[1];
    const float *factor = scale + (ptrdiff_t)r * p->row[2], *addend = shift + (ptrdiff_t)r * p->row[3];
    if (is_even && p->column[2] == 1 && p->column[3] == 1) {
      MK_INDEPENDENT
      for (size_t i = 0; i < p->columns; ++i) to[i] = from[i] * factor[i] + addend[i];
    } else if (is_even && p->column[2] == 0 && p->column[3] == 0) {
      float a = *factor, b = *addend;
      MK_INDEPENDENT
      for (size_t i = 0; i < p->columns; ++i) to[i] = from[i] * a + b;
    } else {
      for (size_t i = 0; i < p->columns; ++i)
        to[(ptrdiff_t)i * p->column[0]] =
          from[(ptrdiff_t)i * p->column[1]] * factor[(ptrdiff_t)i * p->column[2]] + addend[(ptrdiff_t)i * p->column[3]];
    }
  }
}

MK_PER_LEVEL(
  mk_affine, (float *dst, const float *src, const float *scale, const float *shift, const mk_plane *p),
  (dst, src, scale, shift, p))

// Moving elements

#define MOVE(word)                                                                                                     \
  for (size_t r = 0; r < rows; ++r)                                                                                    \
    for (size_t c = 0; c < columns; ++c)                                                                               \
      ((word *)to)[(ptrdiff_t)r * p->row[0] + (ptrdiff_t)c * p->column[0]] =                                           \
        ((const word *)from)[(ptrdiff_t)r * p->row[1] + (ptrdiff_t)c * p->column[1]];                                  \
  return

typedef struct two_words {
  mk_u64 low, high;
} two_words;

static void move_tile(void *to, const void *from, size_t size, size_t rows, size_t columns, const mk_plane *p) {
  switch (size) {
  case 1: MOVE(uint8_t);
  case 2: MOVE(mk_u16);
  case 4: MOVE(mk_u32);
  case 8: MOVE(mk_u64);
  case 16: MOVE(two_words);
  }
}

void mk_move(void *dst, const void *src, size_t size, const mk_plane *p) {
  ptrdiff_t bytes = (ptrdiff_t)size;
  if (p->column[0] == 1 && p->column[1] == 1) {
    for (size_t r = 0; r < p->rows; ++r)
      memcpy(
        (char *)dst + (ptrdiff_t)r * p->row[0] * bytes, (const char *)src + (ptrdiff_t)r * p->row[1] * bytes,
        p->columns * size);
    return;
  }
  // Tiles, whose lines stay in the cache for both.
  enum { TILE = 32 };
  for (size_t r = 0; r < p->rows; r += TILE)
    for (size_t c = 0; c < p->columns; c += TILE)
      move_tile(
        (char *)dst + ((ptrdiff_t)r * p->row[0] + (ptrdiff_t)c * p->column[0]) * bytes,
        (const char *)src + ((ptrdiff_t)r * p->row[1] + (ptrdiff_t)c * p->column[1]) * bytes, size,
        p->rows - r < TILE ? p->rows - r : TILE, p->columns - c < TILE ? p->columns - c : TILE, p);
}
