#include "simd.h"

#include <stdlib.h>
#include <string.h>

typedef struct mk_u128 {
  mk_u64 low, high;
} mk_u128;

// Byte order

#define SWAP(word, name, swap)                                                                                         \
  MK_INLINE void name(void *dst, const void *src, size_t count) {                                                      \
    word *out = dst;                                                                                                   \
    const word *in = src;                                                                                              \
    MK_INDEPENDENT                                                                                                     \
    for (size_t i = 0; i < count; ++i) out[i] = swap(in[i]);                                                           \
  }

MK_INLINE mk_u128 swap_128(mk_u128 word) {
  return (mk_u128){__builtin_bswap64(word.high), __builtin_bswap64(word.low)};
}

SWAP(mk_u16, swap_words_16, __builtin_bswap16)
SWAP(mk_u32, swap_words_32, __builtin_bswap32)
SWAP(mk_u64, swap_words_64, __builtin_bswap64)
SWAP(mk_u128, swap_words_128, swap_128)

MK_INLINE void swap_any(void *dst, const void *src, size_t count, size_t size) {
  switch (size) {
  case 1:
    if (count && dst != src) memmove(dst, src, count);
    break;
  case 2: swap_words_16(dst, src, count); break;
  case 4: swap_words_32(dst, src, count); break;
  case 8: swap_words_64(dst, src, count); break;
  case 16: swap_words_128(dst, src, count); break;
  }
}

static void swap_scalar(void *dst, const void *src, size_t count, size_t size) { swap_any(dst, src, count, size); }

#if MK_X86
MK_TARGET_AVX2 static void swap_avx2(void *dst, const void *src, size_t count, size_t size) {
  swap_any(dst, src, count, size);
}
#endif

void mk_swap_bytes(void *dst, const void *src, size_t count, size_t size) {
#if MK_X86
  if (mk_current_level() != MK_SCALAR) return swap_avx2(dst, src, count, size);
#endif
  swap_scalar(dst, src, count, size);
}

// Strided arrays

enum { RANK_LIMIT = 64 };

// An array's axes without those of length 1, neighbours merged where one continues the other; `to` are dst's strides.
typedef struct axes {
  size_t rank;
  int64_t shape[RANK_LIMIT], from[RANK_LIMIT], to[RANK_LIMIT];
} axes;

static void collect(axes *a, size_t rank, const int64_t *shape, const int64_t *strides) {
  int64_t to = 1;
  a->rank = 0;
  // Innermost first.
  for (size_t d = rank; d-- > 0; to *= shape[d]) {
    if (shape[d] == 1) continue;
    size_t last = a->rank;
    if (last && strides[d] == a->from[last - 1] * a->shape[last - 1]) {
      a->shape[last - 1] *= shape[d];
      continue;
    }
    a->shape[last] = shape[d];
    a->from[last] = strides[d];
    a->to[last] = to;
    a->rank = last + 1;
  }
}

#define COPY(word, name)                                                                                               \
  static void name(                                                                                                    \
    void *dst, const void *src, int64_t rows, int64_t columns, int64_t row_to, int64_t row_from,                       \
    int64_t column_from) {                                                                                             \
    word *out = dst;                                                                                                   \
    const word *in = src;                                                                                              \
    for (int64_t r = 0; r < rows; ++r)                                                                                 \
      for (int64_t c = 0; c < columns; ++c) out[r * row_to + c] = in[r * row_from + c * column_from];                  \
  }

COPY(uint8_t, copy_8)
COPY(mk_u16, copy_16)
COPY(mk_u32, copy_32)
COPY(mk_u64, copy_64)
COPY(mk_u128, copy_128)

static void copy_tile(
  char *dst, const char *src, size_t size, int64_t rows, int64_t columns, int64_t row_to, int64_t row_from,
  int64_t column_from) {
  switch (size) {
  case 1: copy_8(dst, src, rows, columns, row_to, row_from, column_from); break;
  case 2: copy_16(dst, src, rows, columns, row_to, row_from, column_from); break;
  case 4: copy_32(dst, src, rows, columns, row_to, row_from, column_from); break;
  case 8: copy_64(dst, src, rows, columns, row_to, row_from, column_from); break;
  case 16: copy_128(dst, src, rows, columns, row_to, row_from, column_from); break;
  }
}

// Axis 0 is dst's innermost, axis 1 the one whose neighbours lie closest in src: tiles of the two use whole cache
// lines and fit the cache.
static void copy_plane(char *dst, const char *src, size_t size, const axes *a) {
  int64_t rows = a->shape[1], columns = a->shape[0], bytes = (int64_t)size, tile = size <= 4 ? 64 : 32;
  for (int64_t r = 0; r < rows; r += tile)
    for (int64_t c = 0; c < columns; c += tile)
      copy_tile(
        dst + (r * a->to[1] + c) * bytes, src + (r * a->from[1] + c * a->from[0]) * bytes, size,
        rows - r < tile ? rows - r : tile, columns - c < tile ? columns - c : tile, a->to[1], a->from[1], a->from[0]);
}

static void exchange(int64_t *values, size_t i, size_t j) {
  int64_t value = values[i];
  values[i] = values[j];
  values[j] = value;
}

void mk_gather(void *dst, const void *src, size_t size, size_t rank, const int64_t *shape, const int64_t *strides) {
  if (rank > RANK_LIMIT) return;
  for (size_t d = 0; d < rank; ++d)
    if (shape[d] <= 0) return;
  axes a;
  collect(&a, rank, shape, strides);
  if (a.rank == 0) {
    memmove(dst, src, size);
    return;
  }
  bool runs = a.from[0] == 1;
  for (size_t d = 2; !runs && d < a.rank; ++d) {
    if (llabs(a.from[d]) >= llabs(a.from[1]) || a.from[d] == 0) continue;
    exchange(a.shape, 1, d), exchange(a.from, 1, d), exchange(a.to, 1, d);
  }
  if (!runs && a.rank == 1) a.shape[1] = 1, a.from[1] = 0, a.to[1] = 0, a.rank = 2;

  // An odometer over the outer axes; each turn copies a run or a plane.
  size_t inner = runs ? 1 : 2;
  int64_t index[RANK_LIMIT] = {0}, from = 0, to = 0, bytes = (int64_t)size;
  for (;;) {
    if (runs)
      memcpy((char *)dst + to * bytes, (const char *)src + from * bytes, (size_t)a.shape[0] * size);
    else
      copy_plane((char *)dst + to * bytes, (const char *)src + from * bytes, size, &a);
    size_t d = inner;
    for (; d < a.rank; ++d) {
      from += a.from[d], to += a.to[d];
      if (++index[d] < a.shape[d]) break;
      from -= a.from[d] * a.shape[d], to -= a.to[d] * a.shape[d];
      index[d] = 0;
    }
    if (d == a.rank) return;
  }
}
