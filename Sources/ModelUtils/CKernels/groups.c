#include "formats.h"

enum { GROUP_LIMIT = 64, GROUP_BLOCK = 1024 };

typedef struct grouping {
  size_t axis, inner, keep, group;
  uint64_t nan;
} grouping;

#define KEY uint8_t
#define WORD uint8_t
#define NAMED(name) name##_8
#include "groups_words.h"
#undef KEY
#undef WORD
#undef NAMED

#define KEY uint16_t
#define WORD mk_u16
#define NAMED(name) name##_16
#include "groups_words.h"
#undef KEY
#undef WORD
#undef NAMED

#define KEY uint32_t
#define WORD mk_u32
#define NAMED(name) name##_32
#include "groups_words.h"
#undef KEY
#undef WORD
#undef NAMED

#define KEY uint64_t
#define WORD mk_u64
#define NAMED(name) name##_64
#include "groups_words.h"
#undef KEY
#undef WORD
#undef NAMED

void mk_keep_largest(
  void *dst, const void *src, size_t outer, size_t axis, size_t inner, size_t keep, size_t group, mk_float type) {
  if (group == 0 || group > GROUP_LIMIT || outer == 0 || axis == 0 || inner == 0) return;
  mk_level level = mk_current_level();
  grouping g = {axis, inner, keep, group, mk_nan_key(type)};
  switch (mk_size(type)) {
  case 1: keep_any_8(level, dst, src, outer, &g); break;
  case 2: keep_any_16(level, dst, src, outer, &g); break;
  case 4: keep_any_32(level, dst, src, outer, &g); break;
  case 8: keep_any_64(level, dst, src, outer, &g); break;
  }
}
