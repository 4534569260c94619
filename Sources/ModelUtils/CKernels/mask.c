#include "formats.h"

// Masks

#define MASK(word, name)                                                                                               \
  MK_INLINE void name(void *dst, const void *src, const uint8_t *mask, size_t count) {                                 \
    word *out = dst;                                                                                                   \
    const word *in = src;                                                                                              \
    MK_INDEPENDENT                                                                                                     \
    for (size_t i = 0; i < count; ++i) out[i] = mask[i] ? in[i] : 0;                                                   \
  }

MASK(uint8_t, mask_8)
MASK(mk_u16, mask_16)
MASK(mk_u32, mask_32)
MASK(mk_u64, mask_64)

MK_INLINE void mask_any(void *dst, const void *src, const uint8_t *mask, size_t count, size_t size) {
  switch (size) {
  case 1: mask_8(dst, src, mask, count); break;
  case 2: mask_16(dst, src, mask, count); break;
  case 4: mask_32(dst, src, mask, count); break;
  case 8: mask_64(dst, src, mask, count); break;
  }
}

static void mask_scalar(void *dst, const void *src, const uint8_t *mask, size_t count, size_t size) {
  mask_any(dst, src, mask, count, size);
}

#if MK_X86
MK_TARGET_AVX2 static void mask_avx2(void *dst, const void *src, const uint8_t *mask, size_t count, size_t size) {
  mask_any(dst, src, mask, count, size);
}
#endif

void mk_apply_mask(void *dst, const void *src, const uint8_t *mask, size_t count, mk_float type) {
#if MK_X86
  if (mk_current_level() != MK_SCALAR) return mask_avx2(dst, src, mask, count, mk_size(type));
#endif
  mask_scalar(dst, src, mask, count, mk_size(type));
}
