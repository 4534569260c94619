#include "threshold.h"

#define EQUAL(word, name)                                                                                              \
  static size_t name(const void *data, size_t count, mk_bounds bounds) {                                              \
    const word *words = data;                                                                                          \
    size_t equal = 0;                                                                                                  \
    for (size_t i = 0; i < count; ++i) {                                                                               \
      word key = words[i] & (word)((word)~(word)0 >> 1);                                                               \
      equal += key >= bounds.bound && key < bounds.end;                                                               \
    }                                                                                                                  \
    return equal;                                                                                                      \
  }

EQUAL(uint8_t, equal_8)
EQUAL(mk_u16, equal_16)
EQUAL(mk_u32, equal_32)
EQUAL(mk_u64, equal_64)

size_t mk_count_equal(const void *data, size_t count, mk_float type, double magnitude) {
  mk_bounds bounds = mk_bounds_of(magnitude, type);
  switch (mk_size(type)) {
  case 1: return equal_8(data, count, bounds);
  case 2: return equal_16(data, count, bounds);
  case 4: return equal_32(data, count, bounds);
  default: return equal_64(data, count, bounds);
  }
}
