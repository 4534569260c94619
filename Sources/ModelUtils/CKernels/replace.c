#include "formats.h"

size_t mk_replace_outside(void *dst, const void *src, size_t count, mk_float type, double low, double high) {
  size_t outside = 0, size = mk_size(type);
  float old[MK_BLOCK], new[MK_BLOCK];
  for (size_t done = 0; done < count; done += MK_BLOCK) {
    size_t length = count - done < MK_BLOCK ? count - done : MK_BLOCK;
    char *out = (char *)dst + done * size;
    const char *in = src ? (const char *)src + done * size : out;
    if (type == MK_FLOAT64) {
      for (size_t i = 0; i < length; ++i) {
        double value = ((mk_f64 *)out)[i];
        if (value < low || value > high) value = ((mk_f64 *)out)[i] = ((const mk_f64 *)in)[i];
        outside += value < low || value > high;
      }
      continue;
    }
    mk_load_floats(mk_current_level(), old, out, length, type);
    mk_load_floats(mk_current_level(), new, in, length, type);
    size_t before = outside;
    bool changed = false;
    for (size_t i = 0; i < length; ++i) {
      bool is_outside = old[i] < low || old[i] > high;
      changed |= is_outside;
      old[i] = is_outside ? new[i] : old[i];
      outside += old[i] < low || old[i] > high;
    }
    if (src && (changed || outside != before)) mk_store_floats(mk_current_level(), out, old, length, type);
  }
  return outside;
}
