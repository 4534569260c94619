#include "twister.h"

enum { WORDS = MK_TWISTER_WORDS, SHIFT = 397 };

void mk_twister_seed(uint32_t *words, uint32_t seed) {
  words[0] = seed;
  for (uint32_t i = 1; i < WORDS; ++i) words[i] = 1812433253u * (words[i - 1] ^ words[i - 1] >> 30) + i;
}

void mk_twister_seed_with_key(uint32_t *words, const uint32_t *key, size_t length) {
  mk_twister_seed(words, 19650218);
  size_t at = 1, place = 0;
  for (size_t turn = length > WORDS ? length : WORDS; turn; --turn) {
    words[at] = (words[at] ^ (words[at - 1] ^ words[at - 1] >> 30) * 1664525u) + key[place] + (uint32_t)place;
    if (++at == WORDS) words[0] = words[WORDS - 1], at = 1;
    if (++place == length) place = 0;
  }
  for (size_t turn = WORDS - 1; turn; --turn) {
    words[at] = (words[at] ^ (words[at - 1] ^ words[at - 1] >> 30) * 1566083941u) - (uint32_t)at;
    if (++at == WORDS) words[0] = words[WORDS - 1], at = 1;
  }
  words[0] = 0x80000000;
}

MK_INLINE uint32_t twist(uint32_t upper, uint32_t lower) {
  uint32_t mixed = (upper & 0x80000000) | (lower & 0x7fffffff);
  return mixed >> 1 ^ (0 - (lower & 1) & 0x9908b0df);
}

// Three stretches, in each of which a word depends on none that is made less than 227 places before it.
MK_INLINE void refill(uint32_t *words) {
  for (size_t i = 0; i < WORDS - SHIFT; ++i) words[i] = words[i + SHIFT] ^ twist(words[i], words[i + 1]);
  MK_INDEPENDENT
  for (size_t i = WORDS - SHIFT; i < 2 * (WORDS - SHIFT); ++i)
    words[i] = words[i + SHIFT - WORDS] ^ twist(words[i], words[i + 1]);
  MK_INDEPENDENT
  for (size_t i = 2 * (WORDS - SHIFT); i < WORDS - 1; ++i)
    words[i] = words[i + SHIFT - WORDS] ^ twist(words[i], words[i + 1]);
  words[WORDS - 1] = words[SHIFT - 1] ^ twist(words[WORDS - 1], words[0]);
}

MK_INLINE void temper(uint32_t *dst, const uint32_t *words, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    uint32_t bits = words[i];
    bits ^= bits >> 11;
    bits ^= bits << 7 & 0x9d2c5680;
    bits ^= bits << 15 & 0xefc60000;
    dst[i] = bits ^ bits >> 18;
  }
}

static void refill_scalar(uint32_t *words) { refill(words); }
static void temper_scalar(uint32_t *dst, const uint32_t *words, size_t count) { temper(dst, words, count); }

#if MK_X86
MK_TARGET_AVX2 static void refill_avx2(uint32_t *words) { refill(words); }
MK_TARGET_AVX2 static void temper_avx2(uint32_t *dst, const uint32_t *words, size_t count) { temper(dst, words, count); }
#endif

void mk_twister_refill(uint32_t *words) {
#if MK_X86
  if (mk_current_level() != MK_SCALAR) return refill_avx2(words);
#endif
  refill_scalar(words);
}

void mk_twister_draw(mk_twister *twister, uint32_t *dst, size_t count) {
  while (count) {
    if (twister->used >= WORDS) {
      mk_twister_refill(twister->words);
      twister->used = 0;
    }
    size_t run = WORDS - twister->used < count ? WORDS - twister->used : count;
#if MK_X86
    if (mk_current_level() != MK_SCALAR)
      temper_avx2(dst, twister->words + twister->used, run);
    else
#endif
      temper_scalar(dst, twister->words + twister->used, run);
    twister->used += run;
    dst += run;
    count -= run;
  }
}
