#include "convert.h"

// The plain loops, one element at a time.

static void load_scalar(mk_f32 *dst, const void *src, size_t count, mk_float type) {
  switch (type) {
  case MK_FLOAT64:
    for (size_t i = 0; i < count; ++i) dst[i] = (float)((const mk_f64 *)src)[i];
    break;
  case MK_FLOAT32: memcpy(dst, src, count * sizeof *dst); break;
  case MK_FLOAT16:
    for (size_t i = 0; i < count; ++i) dst[i] = mk_from_float16(((const mk_u16 *)src)[i]);
    break;
  case MK_BFLOAT16:
    for (size_t i = 0; i < count; ++i) dst[i] = mk_from_bfloat16(((const mk_u16 *)src)[i]);
    break;
  case MK_FLOAT8_E4M3FN:
    for (size_t i = 0; i < count; ++i) dst[i] = mk_from_e4m3fn(((const uint8_t *)src)[i]);
    break;
  case MK_FLOAT8_E5M2:
    for (size_t i = 0; i < count; ++i) dst[i] = mk_from_e5m2(((const uint8_t *)src)[i]);
    break;
  }
}

static void store_scalar(void *dst, const mk_f32 *src, size_t count, mk_float type) {
  switch (type) {
  case MK_FLOAT64:
    for (size_t i = 0; i < count; ++i) ((mk_f64 *)dst)[i] = (double)src[i];
    break;
  case MK_FLOAT32: memcpy(dst, src, count * sizeof *src); break;
  case MK_FLOAT16:
    for (size_t i = 0; i < count; ++i) ((mk_u16 *)dst)[i] = mk_to_float16(src[i]);
    break;
  case MK_BFLOAT16:
    for (size_t i = 0; i < count; ++i) ((mk_u16 *)dst)[i] = mk_to_bfloat16(src[i]);
    break;
  case MK_FLOAT8_E4M3FN:
    for (size_t i = 0; i < count; ++i) ((uint8_t *)dst)[i] = mk_to_e4m3fn(src[i]);
    break;
  case MK_FLOAT8_E5M2:
    for (size_t i = 0; i < count; ++i) ((uint8_t *)dst)[i] = mk_to_e5m2(src[i]);
    break;
  }
}

void mk_load_floats(mk_level level, mk_f32 *dst, const void *src, size_t count, mk_float type) {
  (void)level;
  size_t done = 0;
#if MK_X86
  if (level != MK_SCALAR) done = mk_load_floats_avx2(dst, src, count, type);
#endif
  load_scalar(dst + done, (const char *)src + done * mk_size(type), count - done, type);
}

void mk_store_floats(mk_level level, void *dst, const mk_f32 *src, size_t count, mk_float type) {
  (void)level;
  size_t done = 0;
#if MK_X86
  if (level != MK_SCALAR) done = mk_store_floats_avx2(dst, src, count, type);
#endif
  store_scalar((char *)dst + done * mk_size(type), src + done, count - done, type);
}

// Every conversion goes through float32, as PyTorch's do: float64 to a smaller format rounds twice.
void mk_convert(void *dst, mk_float dst_type, const void *src, mk_float src_type, size_t count) {
  size_t dst_size = mk_size(dst_type), src_size = mk_size(src_type);
  if (dst_type == src_type) {
    if (count && dst != src) memmove(dst, src, count * src_size);
    return;
  }
  mk_level level = mk_current_level();
  if (dst_type == MK_FLOAT32) return mk_load_floats(level, dst, src, count, src_type);
  if (src_type == MK_FLOAT32) return mk_store_floats(level, dst, src, count, dst_type);
  char *out = dst;
  const char *in = src;
  float block[MK_BLOCK];
  for (size_t done = 0; done < count; done += MK_BLOCK) {
    size_t length = count - done < MK_BLOCK ? count - done : MK_BLOCK;
    mk_load_floats(level, block, in + done * src_size, length, src_type);
    mk_store_floats(level, out + done * dst_size, block, length, dst_type);
  }
}
