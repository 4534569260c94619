#include "twister.h"

void mk_torch_permutation(mk_twister *twister, int64_t *dst, size_t count) {
  for (size_t i = 0; i < count; ++i) dst[i] = (int64_t)i;
  for (size_t i = 0; i + 1 < count; ++i) {
    size_t other = i + mk_twister_next(twister) % (count - i);
    int64_t value = dst[i];
    dst[i] = dst[other];
    dst[other] = value;
  }
}
