// The vector half of normal.c.

#ifndef CKERNELS_NORMAL_H
#define CKERNELS_NORMAL_H

#include "simd.h"

enum { MK_NORMAL_BLOCK = 16 };

// Blocks of 16 uniform numbers to normal ones, in place; `count` is a multiple of 16. For mk_has_fma alone.
void mk_normal_floats_fma(float *data, size_t count, float mean, float deviation);

#endif
