// Selection among keys of one width: included once for each, with KEY (their type), WORD (the same, unaligned) and
// NAMED(name) defined.

// The key of `rank` among `count` keys that all lie in low ..< low + 2^width, and how many are less. Reorders the keys.
static KEY NAMED(radix)(KEY *keys, size_t count, size_t rank, KEY low, unsigned width, size_t *less) {
  size_t below = 0;
  while (width > 0) {
    unsigned shift = width > SELECT_DIGIT ? width - SELECT_DIGIT : 0;
    size_t histogram[1 << SELECT_DIGIT] = {0}, bucket = 0, kept = 0;
    for (size_t i = 0; i < count; ++i) ++histogram[(KEY)(keys[i] - low) >> shift];
    while (rank >= histogram[bucket]) rank -= histogram[bucket], below += histogram[bucket++];
    low += (KEY)((KEY)bucket << shift);
    width = shift;
    for (size_t i = 0; i < count; ++i) {
      KEY key = keys[i];
      keys[kept] = key;
      kept += (KEY)(key - low) >> shift == 0;
    }
    count = kept;
  }
  *less = below;
  return low;
}

// The same over the spans, read once per digit: any input whatever, in linear time.
static KEY NAMED(radix_spans)(const mk_selection *s, size_t *less) {
  const KEY mask = (KEY)((KEY)~(KEY)0 >> 1), nan = (KEY)mk_nan_key(s->type);
  unsigned width = 8 * sizeof(KEY) - 1;
  size_t rank = s->k - 1, below = 0;
  KEY low = 0;
  while (width > 0) {
    unsigned shift = width > SELECT_DIGIT ? width - SELECT_DIGIT : 0;
    size_t histogram[1 << SELECT_DIGIT] = {0}, bucket = 0, count;
    mk_walk walk = {.selection = s};
    for (const WORD *piece; (piece = mk_next_piece(&walk, &count));)
      for (size_t i = 0; i < count; ++i) {
        KEY key = piece[i] & mask;
        key = (KEY)((key < nan ? key : nan) - low);
        if ((uint64_t)key >> width == 0) ++histogram[key >> shift];
      }
    while (rank >= histogram[bucket]) rank -= histogram[bucket], below += histogram[bucket++];
    low += (KEY)((KEY)bucket << shift);
    width = shift;
  }
  *less = below;
  return low;
}

// One key from each of equally long stretches of the spans, at a place in it that no regular pattern in the data meets.
static size_t NAMED(sample)(const mk_selection *s, KEY *keys, size_t wanted) {
  const KEY mask = (KEY)((KEY)~(KEY)0 >> 1), nan = (KEY)mk_nan_key(s->type);
  size_t stretch = s->total / wanted, samples = s->total / stretch < wanted ? s->total / stretch : wanted;
  size_t span = 0, start = 0;
  uint64_t random = 0x9e3779b97f4a7c15;
  for (size_t i = 0; i < samples; ++i) {
    random = random * 6364136223846793005 + 1442695040888963407;
    size_t at = i * stretch + (size_t)(random >> 33) % stretch;
    while (at - start >= s->spans[span].count) start += s->spans[span++].count;
    KEY key;
    if (s->spans[span].type == s->type) {
      key = ((const WORD *)s->spans[span].data)[at - start];
    } else {
      mk_float type = s->spans[span].type;
      mk_convert(&key, s->type, (const char *)s->spans[span].data + (at - start) * mk_size(type), type, 1);
    }
    key &= mask;
    keys[i] = key < nan ? key : nan;
  }
  return samples;
}

// Compares keys with the bracket. `last` is low, or above every key when low is the NaN. Writes at most `count` keys
// and a vector's length of spill.
static void NAMED(compare_scalar)(
  const WORD *words, size_t count, KEY low, KEY last, KEY high, KEY *gathered, mk_bracket *bracket) {
  size_t below = 0, upto = 0, inside = bracket->inside;
  for (size_t i = 0; i < count; ++i) {
    KEY key = words[i] & (KEY)((KEY)~(KEY)0 >> 1);
    below += key < low;
    upto += key <= last;
    gathered[inside] = key;
    inside += key > last && key < high;
  }
  bracket->below += below;
  bracket->upto += upto;
  bracket->inside = inside;
}

static void NAMED(compare)(
  mk_level level, const WORD *words, size_t count, KEY low, KEY last, KEY high, KEY *gathered, mk_bracket *bracket) {
  size_t done = 0;
  (void)level;
#if MK_X86 && defined(VECTORS)
  if (level == MK_AVX512) done = NAMED(mk_compare_avx512)(words, count, low, last, high, gathered, bracket);
  if (level == MK_AVX2) done = NAMED(mk_compare_avx2)(words, count, low, last, high, gathered, bracket);
#endif
  NAMED(compare_scalar)(words + done, count - done, low, last, high, gathered, bracket);
}

// False when the keys inside the bracket do not fit.
static bool NAMED(compare_spans)(
  const mk_selection *s, KEY low, KEY high, KEY *gathered, size_t capacity, mk_bracket *bracket) {
  KEY last = low == (KEY)mk_nan_key(s->type) ? (KEY)((KEY)~(KEY)0 >> 1) : low;
  size_t count;
  *bracket = (mk_bracket){0};
  mk_walk walk = {.selection = s};
  for (const WORD *piece; (piece = mk_next_piece(&walk, &count));) {
    if (capacity - bracket->inside < count + SELECT_SPILL) return false;
    NAMED(compare)(s->level, piece, count, low, last, high, gathered, bracket);
  }
  return true;
}

// The key of rank k - 1 over the spans, and how many are less.
static KEY NAMED(select)(const mk_selection *s, KEY *scratch, size_t capacity, size_t *less) {
  const KEY nan = (KEY)mk_nan_key(s->type);
  const unsigned bits = 8 * sizeof(KEY) - 1;
  if (s->total <= SELECT_SMALL) {
    size_t samples = NAMED(sample)(s, scratch, s->total);
    return NAMED(radix)(scratch, samples, s->k - 1, 0, bits, less);
  }

  size_t wanted = s->total / 64 < 1024 ? 1024 : s->total / 64 > SELECT_SAMPLES ? SELECT_SAMPLES : s->total / 64;
  size_t samples = NAMED(sample)(s, scratch, wanted), rank = s->k - 1, ignored;
  double share = ((double)rank + 0.5) / (double)s->total, centre = share * (double)samples;
  double margin = 3 * sqrt((double)samples * share * (1 - share)) + 2;
  KEY low = 0, high = nan;
  KEY *copy = scratch + samples;
  memcpy(copy, scratch, samples * sizeof *copy);
  if (centre - margin >= 0) low = NAMED(radix)(scratch, samples, (size_t)(centre - margin), 0, bits, &ignored);
  if (centre + margin < (double)samples)
    high = NAMED(radix)(copy, samples, (size_t)(centre + margin), 0, bits, &ignored);

  mk_bracket found;
  if (NAMED(compare_spans)(s, low, high, scratch, capacity, &found) && rank >= found.below) {
    size_t outside = found.upto + found.inside;
    *less = found.below;
    if (rank < found.upto) return low;
    if (rank < outside) {
      unsigned width = high - low > 2 ? 64 - (unsigned)__builtin_clzll((uint64_t)(high - low - 2)) : 0;
      KEY key = NAMED(radix)(scratch, found.inside, rank - found.upto, low + 1, width, less);
      *less += found.upto;
      return key;
    }
    // Many equal keys put the answer on the bracket's edge.
    NAMED(compare_spans)(s, high, high, scratch, capacity, &found);
    *less = outside;
    if (rank < found.upto) return high;
  }
  return NAMED(radix_spans)(s, less);
}
