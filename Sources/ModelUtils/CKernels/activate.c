#include "lanes.h"

// What follows most convolutions of a YOLO.
MK_INLINE void silu_floats(float *dst, const float *src, const float *addend, size_t count) {
  for (size_t i = 0; i < count; i += MK_LANES) {
    mk_lanes x = mk_lanes_silu(mk_load_up_to(src + i, count - i));
    if (addend) x += mk_load_up_to(addend + i, count - i);
    mk_store_up_to(dst + i, x, count - i);
  }
}

MK_INLINE void silu_all(
  mk_level level, void *dst, const void *src, const void *addend, size_t count, mk_float type) {
  if (type == MK_FLOAT32) return silu_floats(dst, src, addend, count);
  size_t size = mk_size(type);
  float block[MK_BLOCK], added[MK_BLOCK];
  for (size_t done = 0; done < count; done += MK_BLOCK) {
    size_t length = count - done < MK_BLOCK ? count - done : MK_BLOCK;
    mk_load_floats(level, block, (const char *)src + done * size, length, type);
    if (addend) mk_load_floats(level, added, (const char *)addend + done * size, length, type);
    silu_floats(block, block, addend ? added : NULL, length);
    mk_store_floats(level, (char *)dst + done * size, block, length, type);
  }
}

static void silu_scalar(void *dst, const void *src, const void *addend, size_t count, mk_float type) {
  silu_all(MK_SCALAR, dst, src, addend, count, type);
}

#if MK_X86
MK_TARGET_FMA static void silu_avx2(void *dst, const void *src, const void *addend, size_t count, mk_float type) {
  silu_all(MK_AVX2, dst, src, addend, count, type);
}

MK_TARGET_AVX512 static void silu_avx512(void *dst, const void *src, const void *addend, size_t count, mk_float type) {
  silu_all(MK_AVX512, dst, src, addend, count, type);
}
#endif

void mk_silu(void *dst, const void *src, const void *addend, size_t count, mk_float type) {
#if MK_X86
  if (mk_current_level() == MK_AVX512) return silu_avx512(dst, src, addend, count, type);
  if (mk_has_fma()) return silu_avx2(dst, src, addend, count, type);
#endif
  silu_scalar(dst, src, addend, count, type);
}
