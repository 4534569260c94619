// N:M sparsity of words of one width: included once for each, with KEY, WORD (the same, unaligned) and NAMED(name)
// defined.

// Groups side by side in one buffer: member m of a group stands m · inner after its first.
typedef struct NAMED(table) {
  KEY keys[GROUP_BLOCK], places[GROUP_BLOCK], members[GROUP_BLOCK];
} NAMED(table);

// An element's place in its group's order is the number of its fellows that come before it. Element by element against
// the one d members further on, so that both loops run along the buffer.
MK_INLINE void NAMED(rank)(NAMED(table) *restrict t, size_t count, size_t group, size_t inner) {
  for (size_t i = 0; i < count; ++i) t->places[i] = 0;
  for (size_t d = 1; d < group; ++d) {
    size_t step = d * inner;
    const KEY *later = t->keys + step;
    KEY *place = t->places + step, last = (KEY)(group - d);
    MK_INDEPENDENT
    for (size_t i = 0; i < count - step; ++i) place[i] += (t->members[i] < last) & (t->keys[i] <= later[i]);
    MK_INDEPENDENT
    for (size_t i = 0; i < count - step; ++i) t->places[i] += (t->members[i] < last) & (t->keys[i] > later[i]);
  }
}

MK_INLINE void NAMED(load)(KEY *keys, const WORD *src, size_t count, KEY nan) {
  for (size_t i = 0; i < count; ++i) {
    KEY key = src[i] & (KEY)((KEY)~(KEY)0 >> 1);
    keys[i] = key < nan ? key : nan;
  }
}

MK_INLINE void NAMED(store)(WORD *dst, const WORD *src, const KEY *places, size_t count, KEY zeroed) {
  MK_INDEPENDENT
  for (size_t i = 0; i < count; ++i) dst[i] = (KEY)(src[i] & (KEY) - (KEY)(places[i] >= zeroed));
}

// `groups` groups of `members` that lie one after another.
MK_INLINE void NAMED(keep)(
  WORD *dst, const WORD *src, size_t groups, size_t members, size_t inner, size_t keep, KEY nan) {
  KEY zeroed = (KEY)(keep < members ? members - keep : 0);
  NAMED(table) t;
  // As many whole groups as fit; or one group at a time, by columns.
  size_t columns = members * inner <= GROUP_BLOCK ? inner : GROUP_BLOCK / members;
  size_t batch = columns == inner ? GROUP_BLOCK / (members * inner) : 1;
  for (size_t i = 0; i < batch * members * columns; ++i) t.members[i] = (KEY)(i / columns % members);
  for (size_t g = 0; g < groups; g += batch) {
    size_t run = (groups - g < batch ? groups - g : batch) * members * inner, start = g * members * inner;
    if (columns == inner) {
      NAMED(load)(t.keys, src + start, run, nan);
      NAMED(rank)(&t, run, members, inner);
      NAMED(store)(dst + start, src + start, t.places, run, zeroed);
      continue;
    }
    for (size_t c = 0; c < inner; c += columns) {
      size_t width = inner - c < columns ? inner - c : columns;
      if (width < columns)
        for (size_t i = 0; i < members * width; ++i) t.members[i] = (KEY)(i / width);
      for (size_t m = 0; m < members; ++m)
        NAMED(load)(t.keys + m * width, src + start + m * inner + c, width, nan);
      NAMED(rank)(&t, members * width, members, width);
      for (size_t m = 0; m < members; ++m) {
        size_t at = start + m * inner + c;
        NAMED(store)(dst + at, src + at, t.places + m * width, width, zeroed);
      }
      if (width < columns)
        for (size_t i = 0; i < members * columns; ++i) t.members[i] = (KEY)(i / columns);
    }
  }
}

MK_INLINE void NAMED(keep_all)(WORD *dst, const WORD *src, size_t outer, const grouping *g) {
  const size_t whole = g->axis / g->group, rest = g->axis % g->group, size = g->axis * g->inner;
  if (rest == 0) return NAMED(keep)(dst, src, outer * whole, g->group, g->inner, g->keep, (KEY)g->nan);
  for (size_t o = 0; o < outer; ++o) {
    size_t start = o * size, end = start + whole * g->group * g->inner;
    NAMED(keep)(dst + start, src + start, whole, g->group, g->inner, g->keep, (KEY)g->nan);
    NAMED(keep)(dst + end, src + end, 1, rest, g->inner, g->keep, (KEY)g->nan);
  }
}

static void NAMED(keep_scalar)(void *dst, const void *src, size_t outer, const grouping *g) {
  NAMED(keep_all)(dst, src, outer, g);
}

#if MK_X86
MK_TARGET_AVX2 static void NAMED(keep_avx2)(void *dst, const void *src, size_t outer, const grouping *g) {
  NAMED(keep_all)(dst, src, outer, g);
}
#endif

static void NAMED(keep_any)(mk_level level, void *dst, const void *src, size_t outer, const grouping *g) {
#if MK_X86
  if (level != MK_SCALAR) return NAMED(keep_avx2)(dst, src, outer, g);
#endif
  (void)level;
  NAMED(keep_scalar)(dst, src, outer, g);
}
