#include "formats.h"

// N:M sparsity. Groups stand side by side in lanes: an element's place in its group's order is the number of its
// fellows that come before it, so that ranking is comparisons between whole rows of lanes.

enum { GROUP_LIMIT = 64, LANES = 32 };

#define KEEP(word, key_type, name)                                                                                     \
  MK_INLINE void name##_lanes(                                                                                         \
    void *dst, const void *src, const size_t *base, size_t lanes, size_t step, size_t members, size_t zeroed,          \
    key_type nan) {                                                                                                    \
    word *out = dst;                                                                                                   \
    const word *in = src;                                                                                              \
    key_type keys[GROUP_LIMIT][LANES], places[GROUP_LIMIT][LANES];                                                     \
    for (size_t m = 0; m < members; ++m)                                                                               \
      for (size_t l = 0; l < LANES; ++l) {                                                                             \
        key_type key = l < lanes ? in[base[l] + m * step] & (word)((word)~(word)0 >> 1) : 0;                           \
        keys[m][l] = key < nan ? key : nan;                                                                            \
        places[m][l] = 0;                                                                                              \
      }                                                                                                                \
    for (size_t m = 1; m < members; ++m)                                                                               \
      for (size_t before = 0; before < m; ++before)                                                                    \
        for (size_t l = 0; l < LANES; ++l) {                                                                           \
          key_type later = keys[before][l] <= keys[m][l];                                                              \
          places[m][l] += later;                                                                                       \
          places[before][l] += !later;                                                                                 \
        }                                                                                                              \
    for (size_t m = 0; m < members; ++m)                                                                               \
      for (size_t l = 0; l < lanes; ++l) {                                                                             \
        size_t at = base[l] + m * step;                                                                                \
        out[at] = places[m][l] < zeroed ? 0 : in[at];                                                                  \
      }                                                                                                                \
  }

KEEP(uint8_t, uint32_t, keep_8)
KEEP(mk_u16, uint32_t, keep_16)
KEEP(mk_u32, uint32_t, keep_32)
KEEP(mk_u64, uint64_t, keep_64)

typedef struct grouping {
  size_t axis, inner, keep, group, size;
  uint64_t nan;
} grouping;

MK_INLINE void keep_lanes(
  void *dst, const void *src, const size_t *base, size_t lanes, size_t members, const grouping *g) {
  size_t zeroed = g->keep < members ? members - g->keep : 0;
  switch (g->size) {
  case 1: keep_8_lanes(dst, src, base, lanes, g->inner, members, zeroed, (uint32_t)g->nan); break;
  case 2: keep_16_lanes(dst, src, base, lanes, g->inner, members, zeroed, (uint32_t)g->nan); break;
  case 4: keep_32_lanes(dst, src, base, lanes, g->inner, members, zeroed, (uint32_t)g->nan); break;
  case 8: keep_64_lanes(dst, src, base, lanes, g->inner, members, zeroed, g->nan); break;
  }
}

MK_INLINE void keep_all(void *dst, const void *src, size_t outer, const grouping *g) {
  size_t base[LANES];
  size_t whole = g->axis / g->group, rest = g->axis % g->group;
  for (size_t o = 0; o < outer; ++o) {
    size_t start = o * g->axis * g->inner, lanes = 0;
    for (size_t n = 0; n < whole; ++n)
      for (size_t i = 0; i < g->inner; ++i) {
        base[lanes++] = start + n * g->group * g->inner + i;
        if (lanes < LANES && (n + 1 < whole || i + 1 < g->inner)) continue;
        keep_lanes(dst, src, base, lanes, g->group, g);
        lanes = 0;
      }
    if (rest == 0) continue;
    for (size_t i = 0; i < g->inner; ++i) {
      base[lanes++] = start + whole * g->group * g->inner + i;
      if (lanes < LANES && i + 1 < g->inner) continue;
      keep_lanes(dst, src, base, lanes, rest, g);
      lanes = 0;
    }
  }
}

static void keep_scalar(void *dst, const void *src, size_t outer, const grouping *g) { keep_all(dst, src, outer, g); }

#if MK_X86
MK_TARGET_AVX2 static void keep_avx2(void *dst, const void *src, size_t outer, const grouping *g) {
  keep_all(dst, src, outer, g);
}
#endif

void mk_keep_largest(
  void *dst, const void *src, size_t outer, size_t axis, size_t inner, size_t keep, size_t group, mk_float type) {
  if (group == 0 || group > GROUP_LIMIT) return;
  grouping g = {axis, inner, keep, group, mk_size(type), mk_nan_key(type)};
#if MK_X86
  if (mk_current_level() != MK_SCALAR) return keep_avx2(dst, src, outer, &g);
#endif
  keep_scalar(dst, src, outer, &g);
}
