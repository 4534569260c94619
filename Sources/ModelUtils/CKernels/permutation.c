#include "twister.h"

// Below this torch accepts the skew that the remainder of a 32-bit draw has.
static const size_t wide_count = UINT32_MAX / 20;

MK_INLINE void exchange(int64_t *a, int64_t *b) {
  int64_t value = *a;
  *a = *b;
  *b = value;
}

void mk_torch_permutation(mk_twister *twister, int64_t *dst, size_t count) {
  if (count >= wide_count) {
    for (size_t i = 0; i < count; ++i) {
      dst[i] = (int64_t)i;
      exchange(dst + i, dst + mk_twister_next64(twister) % (i + 1));
    }
    return;
  }
  for (size_t i = 0; i < count; ++i) dst[i] = (int64_t)i;
  for (size_t i = 0; i + 1 < count; ++i)
    exchange(dst + i, dst + i + mk_twister_next(twister) % (uint32_t)(count - i));
}
