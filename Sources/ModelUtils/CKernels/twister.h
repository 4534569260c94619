// The Mersenne Twister's next draw, shared by the loops that turn draws into numbers.

#ifndef CKERNELS_TWISTER_H
#define CKERNELS_TWISTER_H

#include "formats.h"

MK_INLINE uint32_t mk_twister_next(mk_twister *twister) {
  if (twister->used >= MK_TWISTER_WORDS) {
    mk_twister_refill(twister->words);
    twister->used = 0;
  }
  uint32_t bits = twister->words[twister->used++];
  bits ^= bits >> 11;
  bits ^= bits << 7 & 0x9d2c5680;
  bits ^= bits << 15 & 0xefc60000;
  return bits ^ bits >> 18;
}

// The first draw is the upper half.
MK_INLINE uint64_t mk_twister_next64(mk_twister *twister) {
  uint64_t upper = mk_twister_next(twister);
  return upper << 32 | mk_twister_next(twister);
}

#endif
