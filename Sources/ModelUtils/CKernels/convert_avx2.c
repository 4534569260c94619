#include "convert.h"

size_t mk_load_floats_avx2(float *dst, const void *src, size_t count, mk_float type) { return 0; }
size_t mk_store_floats_avx2(void *dst, const float *src, size_t count, mk_float type) { return 0; }
