#include "formats.h"

#pragma STDC FP_CONTRACT OFF

MK_INLINE void scale_floats(mk_f32 *dst, const mk_f32 *src, size_t count, float factor) {
  MK_INDEPENDENT
  for (size_t i = 0; i < count; ++i) dst[i] = src[i] * factor;
}

MK_INLINE void scale_doubles(mk_f64 *dst, const mk_f64 *src, size_t count, double factor) {
  MK_INDEPENDENT
  for (size_t i = 0; i < count; ++i) dst[i] = src[i] * factor;
}

// Which of two NaNs a product keeps is the compiler's choice, so a NaN factor gives the plain one, everywhere.
static void fill_nan(void *dst, size_t count, mk_float type) {
  if (type == MK_FLOAT64)
    for (size_t i = 0; i < count; ++i) ((mk_u64 *)dst)[i] = 0x7ff8000000000000;
  else
    for (size_t i = 0; i < count; ++i) ((mk_u32 *)dst)[i] = 0x7fc00000;
}

MK_INLINE void scale_row(void *dst, const void *src, size_t count, double factor, mk_float type) {
  if (factor != factor) return fill_nan(dst, count, type);
  if (type == MK_FLOAT64) return scale_doubles(dst, src, count, factor);
  scale_floats(dst, src, count, (float)factor);
}

MK_INLINE void scale_all(
  mk_level level, void *dst, const void *src, size_t rows, size_t columns, const double *scale, mk_float type) {
  size_t size = mk_size(type);
  char *out = dst;
  const char *in = src;
  if (type == MK_FLOAT64 || type == MK_FLOAT32) {
    for (size_t r = 0; r < rows; ++r)
      scale_row(out + r * columns * size, in + r * columns * size, columns, scale[r], type);
    return;
  }
  float block[MK_BLOCK];
  size_t row = 0, column = 0;
  for (size_t done = 0, count = rows * columns; done < count; done += MK_BLOCK) {
    size_t length = count - done < MK_BLOCK ? count - done : MK_BLOCK;
    mk_load_floats(level, block, in + done * size, length, type);
    for (size_t at = 0; at < length;) {
      size_t run = columns - column < length - at ? columns - column : length - at;
      scale_row(block + at, block + at, run, scale[row], MK_FLOAT32);
      at += run;
      column += run;
      if (column == columns) ++row, column = 0;
    }
    mk_store_floats(level, out + done * size, block, length, type);
  }
}

static void scale_scalar(
  void *dst, const void *src, size_t rows, size_t columns, const double *scale, mk_float type) {
  scale_all(MK_SCALAR, dst, src, rows, columns, scale, type);
}

#if MK_X86
MK_TARGET_AVX2 static void scale_avx2(
  void *dst, const void *src, size_t rows, size_t columns, const double *scale, mk_float type) {
  scale_all(MK_AVX2, dst, src, rows, columns, scale, type);
}
#endif

void mk_scale_rows(void *dst, const void *src, size_t rows, size_t columns, const double *scale, mk_float type) {
#if MK_X86
  if (mk_current_level() != MK_SCALAR) return scale_avx2(dst, src, rows, columns, scale, type);
#endif
  scale_scalar(dst, src, rows, columns, scale, type);
}
