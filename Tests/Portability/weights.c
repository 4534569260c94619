#include "cases.h"

static void test_counts(mk_float type, size_t count, size_t shift, kind what) {
  size_t size = format_size(type);
#define BEGIN(kernel) begin(kernel " %s %s count=%zu shift=%zu", format_name(type), kind_name(what), count, shift)
  BEGIN("mk_count_zeros");
  add_whole(mk_count_zeros(draw_numbers(what, count, type, shift), count, type));
  end_same();
  BEGIN("mk_count_zero_words");
  add_whole(mk_count_zero_words(draw_numbers(what, count, type, shift), count, size));
  end_same();
  BEGIN("mk_has_nonfinite");
  const void *src = draw_numbers(what, count, type, shift);
  for (size_t n = 0; n <= count; n += n / 8 + 1) add_whole(mk_has_nonfinite(src, n, type));
  end_same();
  BEGIN("mk_count_equal");
  src = draw_numbers(what, count, type, shift);
  const double magnitudes[] = {0, 0x1p-1074, 0x1p-24, 0.3, 1, 1.5, 3, 448, 0x1.fffffep127, INFINITY, NAN};
  FOR_EACH(double, magnitude, magnitudes) add_whole(mk_count_equal(src, count, type, *magnitude));
  end_same();
  BEGIN("mk_apply_mask");
  src = draw_numbers(what, count, type, shift);
  uint8_t *mask = draw_bytes(count, shift);
  for (size_t i = 0; i < count; ++i) mask[i] &= 2;
  void *dst = room(count * size, shift);
  mk_apply_mask(dst, src, mask, count, type);
  add_bytes(dst, count * size);
  end_same();
  BEGIN("mk_take_census");
  src = draw_numbers(what, count, type, shift);
  FOR_EACH_FORMAT(target) {
    mk_census census = mk_take_census(src, count, type, target);
    add_whole(census.nan);
    add_whole(census.infinite);
    add_whole(census.zero);
    add_whole(census.overflowing);
    add_whole(census.flushed);
  }
  end_same();
  BEGIN("mk_replace_outside");
  const void *other = draw_numbers(what, count, type, shift);
  dst = draw_numbers(what, count, type, shift);
  add_whole(mk_replace_outside(dst, NULL, count, type, -1, 1.25));
  add_whole(mk_replace_outside(dst, other, count, type, -1, 1.25));
  add_numbers(dst, count, type);
  add_whole(mk_replace_outside(dst, other, count, type, -INFINITY, 0));
  add_numbers(dst, count, type);
  end_same();
#undef BEGIN
}

// Selection, and the pruning that follows it: of spans of one format, or of all of them.
static void test_selection(size_t count, kind what, bool is_mixed) {
  FOR_EACH_FORMAT(type)
  for (int share = 0; share <= 8; ++share) {
    begin("mk_select_smallest %s%s %s count=%zu share=%d/8", format_name(type), is_mixed ? " and others" : "",
      kind_name(what), count, share);
    mk_span spans[4];
    size_t total = 0;
    for (size_t i = 0; i < 4; ++i) {
      mk_float format = is_mixed ? (mk_float)((type + i) % 6) : type;
      size_t length = i == 1 ? 0 : count / (i + 1);
      spans[i] = (mk_span){draw_numbers(what, length, format, i & 1), length, format};
      total += length;
    }
    mk_threshold threshold;
    add_whole(mk_select_smallest(spans, 4, total * (size_t)share / 8, &threshold));
    add_double(threshold.magnitude);
    add_whole(threshold.ties);
    for (size_t i = 0; i < 4; ++i) {
      size_t bytes = spans[i].count * format_size(spans[i].type);
      void *dst = i == 2 ? (void *)spans[i].data : room(bytes, i & 1);
      mk_zero_smallest(dst, spans[i].data, spans[i].count, spans[i].type, &threshold);
      add_bytes(dst, bytes);
      add_whole(threshold.ties);
    }
    end_same();
  }
}

// Turns, found by trying many, in which the sample of one of the formats misleads.
static void test_samples(mk_float type) {
  static const int turns[] = {18, 25, 38, 43};
  const size_t count = 12007, step = 101;
  FOR_EACH(int, turn, turns) {
    begin("mk_select_smallest %s by samples, turn=%d", format_name(type), *turn);
    const mk_span span = {draw_numbers(USUAL, count, type, 0), count, type};
    for (size_t k = 1; k <= count; k += step) {
      mk_threshold threshold;
      add_whole(mk_select_smallest(&span, 1, k, &threshold));
      add_double(threshold.magnitude);
      add_whole(threshold.ties);
    }
    end_same();
  }
}

static void test_groups(mk_float type, kind what) {
  static const size_t shapes[][5] = {
    {3, 8, 5, 2, 4}, {1, 4096, 1, 2, 4}, {2, 13, 7, 1, 5}, {1, 64, 129, 16, 64}, {4, 7, 1, 0, 3},
    {2, 6, 3, 9, 4}, {1, 1, 1, 1, 1},    {0, 4, 4, 2, 4},  {1, 130, 37, 63, 64},
  };
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; ++i) {
    const size_t *s = shapes[i], count = s[0] * s[1] * s[2], bytes = count * format_size(type);
    begin("mk_keep_largest %s %s [%zu, %zu, %zu] %zu:%zu", format_name(type), kind_name(what), s[0], s[1], s[2], s[3],
      s[4]);
    void *src = draw_numbers(what, count, type, i & 1), *dst = room(bytes, 1);
    mk_keep_largest(dst, src, s[0], s[1], s[2], s[3], s[4], type);
    mk_keep_largest(src, src, s[0], s[1], s[2], s[3], s[4], type);
    add_bytes(dst, bytes);
    add_bytes(src, bytes);
    end_same();
  }
}

// Bits of NaNs are told for the formats of one and two bytes alone.
static void add_converted(const void *data, size_t count, mk_float type) {
  if (format_size(type) > 2) add_numbers(data, count, type);
  else add_bytes(data, count * format_size(type));
}

static void test_conversion(mk_float to, mk_float from) {
  FOR_EACH(size_t, count, few_counts)
  for (size_t shift = 0; shift < 2; ++shift) {
    begin("mk_convert %s to %s count=%zu shift=%zu", format_name(from), format_name(to), *count, shift);
    void *src = draw_numbers(ANY, *count, from, shift), *dst = room(*count * format_size(to), shift);
    mk_convert(dst, to, src, from, *count);
    add_converted(dst, *count, to);
    if (format_size(to) <= format_size(from)) {
      mk_convert(src, to, src, from, *count);
      add_converted(src, *count, to);
    }
    end_same();
  }
  begin("mk_convert %s to %s, all or many", format_name(from), format_name(to));
  size_t size = format_size(from), count = size == 1 ? 256 : 65536;
  char *src = draw_numbers(ANY, count, from, 0);
  for (size_t i = 0; size <= 2 && i < count; ++i) memcpy(src + i * size, &i, size);
  void *dst = room(count * format_size(to), 0);
  mk_convert(dst, to, src, from, count);
  add_converted(dst, count, to);
  end_same();
}

static void test_scale(mk_float type) {
  static const size_t shapes[][2] = {{0, 3}, {3, 0}, {1, 1}, {11, 1}, {12, 17}, {11, 127}, {12, 257}};
  static const double factors[] = {1, -0.1, 0, 0x1p-140, 1e30, INFINITY, 1.0 / 3, -0.0, NAN, 0x1p-1060, -7};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; ++i) {
    size_t rows = shapes[i][0], columns = shapes[i][1], count = rows * columns, bytes = count * format_size(type);
    begin("mk_scale_rows %s %zu x %zu", format_name(type), rows, columns);
    double scale[12];
    for (size_t r = 0; r < 12; ++r) scale[r] = factors[r % 11];
    void *src = draw_numbers(ANY, count, type, i & 1), *dst = room(bytes, 1);
    mk_scale_rows(dst, src, rows, columns, scale, type);
    mk_scale_rows(src, src, rows, columns, scale, type);
    add_numbers(dst, count, type);
    add_numbers(src, count, type);
    end_same();
  }
}

static void test_layout(void) {
  static const size_t sizes[] = {1, 2, 4, 8, 16};
  static const struct shape {
    size_t rank;
    int64_t shape[5], strides[5], start;
  } shapes[] = {
    {0, {0}, {0}, 0},
    {1, {1}, {5}, 0},
    {1, {131}, {1}, 0},
    {1, {131}, {-3}, 390},
    {2, {0, 3}, {3, 1}, 0},
    {2, {67, 71}, {1, 67}, 0},
    {2, {5, 7}, {0, 2}, 0},
    {3, {3, 1, 41}, {41, 9, 1}, 0},
    {4, {3, 5, 7, 11}, {1, 3, 15, 105}, 0},
    {5, {2, 3, 4, 5, 6}, {-360, 0, 90, 18, 3}, 720},
  };
  FOR_EACH(size_t, size, sizes) {
    FOR_EACH(size_t, count, counts) {
      begin("mk_swap_bytes size=%zu count=%zu", *size, *count);
      void *src = draw_bytes(*count * *size, 1), *dst = room(*count * *size, 1);
      mk_swap_bytes(dst, src, *count, *size);
      mk_swap_bytes(src, src, *count, *size);
      add_bytes(dst, *count * *size);
      add_bytes(src, *count * *size);
      end_same();
    }
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; ++i) {
      const struct shape *s = shapes + i;
      begin("mk_gather size=%zu shape %zu", *size, i);
      size_t count = 1;
      for (size_t d = 0; d < s->rank; ++d) count *= (size_t)s->shape[d];
      const char *src = draw_bytes(8192 * *size, 1);
      void *dst = room(count * *size, 1);
      mk_gather(dst, src + (size_t)s->start * *size, *size, s->rank, s->shape, s->strides);
      add_bytes(dst, count * *size);
      end_same();
    }
  }
}

void test_weights(void) {
  static const kind kinds[] = {ANY, TIED};
  FOR_EACH_FORMAT(type) {
    FOR_EACH(kind, what, kinds) {
      FOR_EACH(size_t, count, counts)
      for (size_t shift = 0; shift < 2; ++shift) test_counts(type, *count, shift, *what);
      test_groups(type, *what);
    }
    FOR_EACH_FORMAT(other) test_conversion(type, other);
    test_scale(type);
  }
  static const size_t totals[] = {0, 1, 7, 1031, 20011};
  FOR_EACH(size_t, count, totals)
  FOR_EACH(kind, what, kinds) {
    test_selection(*count, *what, false);
    test_selection(*count, *what, true);
  }
  test_samples(MK_FLOAT64);
  test_samples(MK_FLOAT32);
  test_samples(MK_FLOAT16);
  test_layout();
  for (size_t count = 0; count <= 260; ++count) {
    begin("mk_sha256 count=%zu", count);
    uint8_t digest[32];
    mk_sha256(draw_bytes(count, count & 1), count, digest);
    add_bytes(digest, sizeof digest);
    end_same();
  }
}
