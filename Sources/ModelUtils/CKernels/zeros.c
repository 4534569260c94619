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

static size_t count_masked(const void *data, size_t count, size_t size, uint64_t mask) {
  return count_scalar(data, count, size, mask);
}

size_t mk_count_zeros(const void *data, size_t count, mk_float type) {
  size_t size = mk_size(type);
  return count_masked(data, count, size, UINT64_MAX >> (65 - 8 * size));
}

size_t mk_count_zero_words(const void *data, size_t count, size_t size) {
  return count_masked(data, count, size, UINT64_MAX);
}
