// What the three widths of selection share.

#ifndef CKERNELS_SELECT_H
#define CKERNELS_SELECT_H

#include "formats.h"

#include <math.h>

enum { SELECT_DIGIT = 11, SELECT_CHUNK = 8192, SELECT_SMALL = 1024, SELECT_SAMPLES = 16384, SELECT_SPILL = 64 };

// Reading a sample costs a cache miss each, and what its bracket holds must be looked at twice: their sum is least when
// the sample grows as the count's two thirds.
static inline size_t mk_sample_size(size_t total) {
  double root = cbrt((double)total);
  size_t samples = (size_t)(root * root / 4);
  return samples < SELECT_SAMPLES ? samples : SELECT_SAMPLES;
}

// The spans, seen as one array of the smallest of float16, bfloat16, float32 and float64 that holds all their formats
// exactly.
typedef struct mk_selection {
  const mk_span *spans;
  size_t span_count, total, k;
  mk_float type;
  mk_level level;
} mk_selection;

// A walk over that array in pieces. Spans of another format are converted on the way.
typedef struct mk_walk {
  const mk_selection *selection;
  size_t span, offset;
  double converted[MK_BLOCK];
} mk_walk;

static inline const void *mk_next_piece(mk_walk *walk, size_t *count) {
  const mk_selection *s = walk->selection;
  while (walk->span < s->span_count && walk->offset == s->spans[walk->span].count) ++walk->span, walk->offset = 0;
  if (walk->span == s->span_count) return NULL;
  const mk_span *span = &s->spans[walk->span];
  const char *data = (const char *)span->data + walk->offset * mk_size(span->type);
  size_t left = span->count - walk->offset, most = span->type == s->type ? SELECT_CHUNK : MK_BLOCK;
  *count = left < most ? left : most;
  walk->offset += *count;
  if (span->type == s->type) return data;
  mk_convert(walk->converted, s->type, data, span->type, *count);
  return walk->converted;
}

// Keys against a bracket: how many are at most `last`, and how many were gathered because they lie behind it and below
// `high`.
typedef struct mk_bracket {
  size_t upto, inside;
} mk_bracket;

#if MK_X86
// The vector halves of the comparison: they do a multiple of their vector's length (nothing at MK_SCALAR), return how
// many they did, and may write up to SELECT_SPILL words past what they gather. A piece has at most SELECT_CHUNK words.
size_t mk_compare_16(
  mk_level level, const mk_u16 *words, size_t count, uint16_t last, uint16_t high, uint16_t *gathered,
  mk_bracket *bracket);
size_t mk_compare_32(
  mk_level level, const mk_u32 *words, size_t count, uint32_t last, uint32_t high, uint32_t *gathered,
  mk_bracket *bracket);
size_t mk_compare_64(
  mk_level level, const mk_u64 *words, size_t count, uint64_t last, uint64_t high, uint64_t *gathered,
  mk_bracket *bracket);
#endif

#endif
