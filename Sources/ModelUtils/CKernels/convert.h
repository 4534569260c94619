// The vector halves of convert.c: they convert a multiple of their vector's length and return how many they did.

#ifndef CKERNELS_CONVERT_H
#define CKERNELS_CONVERT_H

#include "formats.h"

size_t mk_load_floats_avx2(mk_f32 *dst, const void *src, size_t count, mk_float type);
size_t mk_store_floats_avx2(void *dst, const mk_f32 *src, size_t count, mk_float type);

#endif
