#include "select.h"

#include <stdlib.h>

#define KEY uint16_t
#define WORD mk_u16
#define NAMED(name) name##_16
#include "select_keys.h"
#undef KEY
#undef WORD
#undef NAMED

#define KEY uint32_t
#define WORD mk_u32
#define NAMED(name) name##_32
#include "select_keys.h"
#undef KEY
#undef WORD
#undef NAMED

#define KEY uint64_t
#define WORD mk_u64
#define NAMED(name) name##_64
#include "select_keys.h"
#undef KEY
#undef WORD
#undef NAMED

// The smallest format that holds both exactly. The float8 formats count as float16, which has a wider key.
static mk_float common(mk_float a, mk_float b) {
  if (a == MK_FLOAT8_E4M3FN || a == MK_FLOAT8_E5M2) a = MK_FLOAT16;
  if (b == MK_FLOAT8_E4M3FN || b == MK_FLOAT8_E5M2) b = MK_FLOAT16;
  if (a == b) return a;
  return a == MK_FLOAT64 || b == MK_FLOAT64 ? MK_FLOAT64 : MK_FLOAT32;
}

bool mk_select_smallest(const mk_span *spans, size_t span_count, size_t k, mk_threshold *threshold) {
  mk_selection s = {.spans = spans, .span_count = span_count, .level = mk_current_level()};
  size_t bytes = 0;
  bool any = false;
  for (size_t i = 0; i < span_count; ++i) {
    if (spans[i].count == 0) continue;
    s.type = common(spans[i].type, any ? s.type : spans[i].type);
    s.total += spans[i].count;
    bytes += spans[i].count * mk_size(spans[i].type);
    any = true;
  }
  *threshold = (mk_threshold){0, 0};
  s.k = k < s.total ? k : s.total;
  if (s.k == 0) return true;

  size_t size = mk_size(s.type), capacity = bytes / 16 / size + 8 * SELECT_CHUNK;
  char *scratch = malloc((capacity + 2 * SELECT_SAMPLES) * size);
  if (!scratch) return false;
  void *gathered = scratch, *sampled = scratch + capacity * size;
  uint64_t key = 0;
  size_t less = 0;
  switch (size) {
  case 2: key = select_16(&s, gathered, capacity, sampled, &less); break;
  case 4: key = select_32(&s, gathered, capacity, sampled, &less); break;
  case 8: key = select_64(&s, gathered, capacity, sampled, &less); break;
  }
  free(scratch);
  *threshold = (mk_threshold){mk_key_value(key, s.type), s.k - less};
  return true;
}
