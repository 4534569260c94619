// A threshold's magnitude among the keys of one format.

#ifndef CKERNELS_THRESHOLD_H
#define CKERNELS_THRESHOLD_H

#include "formats.h"

// Keys below `bound` are taken; those from bound up to and without `end` are the ties.
typedef struct mk_bounds {
  uint64_t bound, end;
} mk_bounds;

static inline mk_bounds mk_bounds_of(double magnitude, mk_float type) {
  uint64_t nan = mk_nan_key(type), key = 0, top = (uint64_t)1 << (8 * mk_size(type) - 1);
  if (magnitude != magnitude) return (mk_bounds){nan, top};
  // The number of keys below the magnitude, which in a mixed selection may lie between two keys of this format.
  for (uint64_t step = top / 2; step; step /= 2)
    if (key + step <= nan && mk_key_value(key + step - 1, type) < magnitude) key += step;
  bool exact = key < nan && mk_key_value(key, type) == magnitude;
  return (mk_bounds){key, key + exact};
}

#endif
