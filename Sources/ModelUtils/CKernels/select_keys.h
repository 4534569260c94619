// Selection among keys of one width: included once for each, with KEY (their type), WORD (the same, unaligned) and
// NAMED(name) defined.

// The key of `rank` among `count` keys that all lie in low ..< low + 2^width, and how many are less. Reorders the keys.
static KEY NAMED(radix)(KEY *keys, size_t count, size_t rank, KEY low, unsigned width, size_t *less) {
  size_t below = 0;
  while (width > 0) {
    unsigned digit = count < 1024 ? SELECT_DIGIT - 3 : SELECT_DIGIT, shift = width > digit ? width - digit : 0;
    size_t histogram[1 << SELECT_DIGIT], bucket = 0, kept = 0;
    memset(histogram, 0, sizeof *histogram << digit);
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

static KEY NAMED(key_at)(const mk_selection *s, const mk_span *span, size_t index) {
  const KEY nan = (KEY)mk_nan_key(s->type);
  KEY key;
  if (span->type == s->type) {
    key = ((const WORD *)span->data)[index] & (KEY)((KEY)~(KEY)0 >> 1);
  } else {
    double value = mk_key_value(mk_key(span->data, index, span->type), span->type);
    key = (KEY)mk_value_key(value, s->type);
  }
  return key < nan ? key : nan;
}

// One key from each of equally long stretches of the spans, at a place in it that no regular pattern in the data meets.
static size_t NAMED(sample)(const mk_selection *s, KEY *keys, size_t wanted) {
  size_t stretch = s->total / wanted, samples = s->total / stretch < wanted ? s->total / stretch : wanted;
  const mk_span *span = s->spans;
  size_t start = 0;
  uint64_t random = 0x9e3779b97f4a7c15;
  for (size_t i = 0; i < samples; ++i) {
    random = random * 6364136223846793005 + 1442695040888963407;
    size_t at = i * stretch + (size_t)((unsigned __int128)random * stretch >> 64);
    while (at - start >= span->count) start += span++->count;
    keys[i] = NAMED(key_at)(s, span, at - start);
  }
  return samples;
}

// Compares keys with the bracket. Writes at most `count` keys and some of spill.
static void NAMED(compare_scalar)(
  const WORD *words, size_t count, KEY last, KEY high, KEY *gathered, mk_bracket *bracket) {
  size_t upto = 0, inside = bracket->inside;
  for (size_t i = 0; i < count; ++i) {
    KEY key = words[i] & (KEY)((KEY)~(KEY)0 >> 1);
    upto += key <= last;
    gathered[inside] = key;
    inside += key > last && key < high;
  }
  bracket->upto += upto;
  bracket->inside = inside;
}

static void NAMED(compare)(
  mk_level level, const WORD *words, size_t count, KEY last, KEY high, KEY *gathered, mk_bracket *bracket) {
  size_t done = 0;
  (void)level;
#if MK_X86
  done = NAMED(mk_compare)(level, words, count, last, high, gathered, bracket);
#endif
  NAMED(compare_scalar)(words + done, count - done, last, high, gathered, bracket);
}

// False when the keys inside the bracket do not fit.
static bool NAMED(compare_spans)(
  const mk_selection *s, KEY last, KEY high, KEY *gathered, size_t capacity, mk_bracket *bracket) {
  // Of the keys of NaN all are equal.
  if (last == (KEY)mk_nan_key(s->type)) last = (KEY)((KEY)~(KEY)0 >> 1);
  size_t count;
  *bracket = (mk_bracket){0};
  mk_walk walk = {.selection = s};
  for (const WORD *piece; (piece = mk_next_piece(&walk, &count));) {
    if (capacity - bracket->inside < count + SELECT_SPILL) return false;
    NAMED(compare)(s->level, piece, count, last, high, gathered, bracket);
  }
  return true;
}

// The key of rank k - 1 over the spans, and how many are less.
static KEY NAMED(select)(const mk_selection *s, KEY *scratch, size_t capacity, KEY *sampled, size_t *less) {
  const KEY nan = (KEY)mk_nan_key(s->type);
  const unsigned bits = 8 * sizeof(KEY) - 1;
  const size_t rank = s->k - 1;
  if (s->total <= SELECT_SMALL) {
    size_t all = NAMED(sample)(s, sampled, s->total);
    return NAMED(radix)(sampled, all, rank, 0, bits, less);
  }

  // Between the keys that stand three standard deviations to either side in a sample.
  size_t samples = NAMED(sample)(s, sampled, mk_sample_size(s->total)), ignored;
  double share = ((double)rank + 0.5) / (double)s->total, centre = share * (double)samples;
  double margin = 3 * sqrt((double)samples * share * (1 - share)) + 2;
  KEY *again = sampled + samples, low = 0, high = nan;
  memcpy(again, sampled, samples * sizeof *again);
  if (centre - margin >= 0) low = NAMED(radix)(sampled, samples, (size_t)(centre - margin), 0, bits, &ignored);
  if (centre + margin < (double)samples)
    high = NAMED(radix)(again, samples, (size_t)(centre + margin), 0, bits, &ignored);

  mk_bracket found;
  if (!NAMED(compare_spans)(s, low, high, scratch, capacity, &found)) return NAMED(radix_spans)(s, less);
  size_t outside = found.upto + found.inside;
  if (rank < found.upto) {
    // Many equal keys put the answer on the bracket's edge, or it lies outside.
    found.upto = 0;
    if (low > 0) NAMED(compare_spans)(s, low - 1, low, scratch, capacity, &found);
    *less = found.upto;
    return rank < found.upto ? NAMED(radix_spans)(s, less) : low;
  }
  if (rank >= outside) {
    NAMED(compare_spans)(s, high, high, scratch, capacity, &found);
    *less = outside;
    return rank < found.upto ? high : NAMED(radix_spans)(s, less);
  }
  KEY key;
  if (found.inside <= s->total / 2) {
    mk_span rest = {scratch, found.inside, s->type};
    mk_selection within = {&rest, 1, found.inside, rank - found.upto + 1, s->type, s->level};
    key = NAMED(select)(&within, scratch + found.inside, capacity - found.inside, sampled, less);
  } else {
    key = NAMED(radix)(scratch, found.inside, rank - found.upto, 0, bits, less);
  }
  *less += found.upto;
  return key;
}
