#include "twister.h"

#pragma STDC FP_CONTRACT OFF

// A buffer of draws stands between the generator and each loop over numbers, so that both are vectorised.
enum { DRAWS = 624 };

#define UNIFORM_FLOATS                                                                                                 \
  for (size_t i = 0; i < count; ++i)                                                                                   \
    dst[i] = __builtin_fmaf((float)(int32_t)(draws[i] & 0xffffff) * 0x1p-24f, span, from);

#define UNIFORM_DOUBLES                                                                                                \
  for (size_t i = 0; i < count; ++i) {                                                                                 \
    uint64_t bits = ((uint64_t)draws[2 * i] << 32 | draws[2 * i + 1]) & 0x1fffffffffffff;                              \
    dst[i] = __builtin_fma((double)bits * 0x1p-53, span, from);                                                        \
  }

static void floats_scalar(mk_f32 *dst, const uint32_t *draws, size_t count, float from, float span) { UNIFORM_FLOATS }
static void doubles_scalar(mk_f64 *dst, const uint32_t *draws, size_t count, double from, double span) {
  UNIFORM_DOUBLES
}

#if MK_X86
MK_TARGET_FMA static void floats_fma(mk_f32 *dst, const uint32_t *draws, size_t count, float from, float span) {
  UNIFORM_FLOATS
}
MK_TARGET_FMA static void doubles_fma(mk_f64 *dst, const uint32_t *draws, size_t count, double from, double span) {
  UNIFORM_DOUBLES
}
#endif

static void floats(mk_f32 *dst, const uint32_t *draws, size_t count, float from, float span) {
#if MK_X86
  if (mk_has_fma()) return floats_fma(dst, draws, count, from, span);
#endif
  floats_scalar(dst, draws, count, from, span);
}

static void doubles(mk_f64 *dst, const uint32_t *draws, size_t count, double from, double span) {
#if MK_X86
  if (mk_has_fma()) return doubles_fma(dst, draws, count, from, span);
#endif
  doubles_scalar(dst, draws, count, from, span);
}

static void exclude_upper(mk_u16 *dst, size_t count, uint16_t to, uint16_t from) {
  for (size_t i = 0; i < count; ++i)
    if (dst[i] == to) dst[i] = from;
}

void mk_torch_uniform(mk_twister *twister, void *dst, size_t count, mk_float type, double from, double to) {
  uint32_t draws[DRAWS];
  float values[DRAWS];
  mk_level level = mk_current_level();
  size_t run = type == MK_FLOAT64 ? DRAWS / 2 : DRAWS, size = mk_size(type);
  float low = (float)from, high = (float)to;
  uint16_t half[2];
  if (size == 2) mk_store_floats(level, half, (const float[]){low, high}, 2, type);
  for (size_t done = 0; done < count; done += run) {
    size_t length = count - done < run ? count - done : run;
    char *out = (char *)dst + done * size;
    mk_twister_draw(twister, draws, type == MK_FLOAT64 ? 2 * length : length);
    if (type == MK_FLOAT64) {
      doubles((mk_f64 *)out, draws, length, from, to - from);
    } else if (type == MK_FLOAT32) {
      floats((mk_f32 *)out, draws, length, low, high - low);
    } else {
      floats(values, draws, length, low, high - low);
      mk_store_floats(level, out, values, length, type);
      // -0 and 0 are equal.
      exclude_upper((mk_u16 *)out, length, half[1], half[0]);
    }
  }
}

static void store_integer(void *dst, size_t index, size_t size, uint64_t value) {
  switch (size) {
  case 1: ((uint8_t *)dst)[index] = (uint8_t)value; break;
  case 2: ((mk_u16 *)dst)[index] = (uint16_t)value; break;
  case 4: ((mk_u32 *)dst)[index] = (uint32_t)value; break;
  case 8: ((mk_u64 *)dst)[index] = value; break;
  }
}

void mk_torch_integers(mk_twister *twister, void *dst, size_t count, size_t size, uint64_t range, int64_t base) {
  bool is_wide = range == 0 || range >= 1u << 28;
  for (size_t i = 0; i < count; ++i) {
    uint64_t draw = is_wide ? mk_twister_next64(twister) : mk_twister_next(twister);
    store_integer(dst, i, size, (range ? draw % range : draw) + (uint64_t)base);
  }
}

void mk_torch_bernoulli(mk_twister *twister, uint8_t *dst, size_t count, double p) {
  for (size_t i = 0; i < count; ++i)
    dst[i] = (double)(mk_twister_next64(twister) & 0x1fffffffffffff) * 0x1p-53 < p;
}

void mk_torch_bernoulli_each(mk_twister *twister, uint8_t *dst, const void *p, size_t count, mk_float type) {
  if (type == MK_FLOAT64) {
    for (size_t i = 0; i < count; ++i) mk_torch_bernoulli(twister, dst + i, 1, ((const mk_f64 *)p)[i]);
    return;
  }
  float block[MK_BLOCK];
  for (size_t done = 0; done < count; done += MK_BLOCK) {
    size_t length = count - done < MK_BLOCK ? count - done : MK_BLOCK;
    mk_load_floats(mk_current_level(), block, (const char *)p + done * mk_size(type), length, type);
    for (size_t i = 0; i < length; ++i)
      dst[done + i] = (float)(mk_twister_next(twister) & 0xffffff) * 0x1p-24f < block[i];
  }
}
