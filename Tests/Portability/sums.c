#include "cases.h"

static void test_accumulation(mk_measure measure, kind what) {
  // Rows, columns, and the steps along both.
  static const size_t shapes[][4] = {
    {0, 5, 5, 1},    {5, 0, 1, 1},   {1, 1, 1, 1},     {7, 33, 33, 1},
    {64, 17, 20, 1}, {37, 5, 1, 37}, {131, 3, 1, 200}, {5, 7, 3, 17},
  };
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; ++i) {
    const size_t *s = shapes[i];
    begin("mk_accumulate measure=%d %s shape %zu", measure, kind_name(what), i);
    const float *src = draw_floats(what, 2048);
    double *totals = draw_numbers(USUAL, s[1], MK_FLOAT64, 0);
    const double *centers = measure == MK_DEVIATIONS ? draw_numbers(SMALL, s[1], MK_FLOAT64, 0) : NULL;
    mk_accumulate(measure, totals, src, s[0], s[1], (ptrdiff_t)s[2], (ptrdiff_t)s[3], centers);
    add_numbers(totals, s[1], MK_FLOAT64);
    end_same();
  }
}

static void test_normalization(size_t count, kind what) {
  const size_t rows = 3;
  for (int form = 0; form < 6; ++form) {
    bool is_centered = form & 1;
    begin("mk_normalize %s count=%zu form=%d", kind_name(what), count, form);
    float *src = draw_floats(what, rows * count), *dst = room(rows * count * sizeof *dst, 0);
    const float *weight = form >= 2 ? draw_floats(what, count) : NULL;
    const float *bias = form >= 4 ? draw_floats(what, count) : NULL;
    mk_normalize(dst, src, rows, count, 1e-5, is_centered, weight, bias);
    mk_normalize(src, src, rows, count, 0, is_centered, weight, bias);
    add_floats(dst, rows * count);
    add_floats(src, rows * count);
    end_same();
  }
}

static void test_attention(size_t count, kind what) {
  FOR_EACH_CASE(mk_mask, form, MK_UNMASKED, MK_KEEPING_MASK)
  for (ptrdiff_t stride = 0; stride <= 2; ++stride) {
    begin("mk_attend mask=%d stride=%td %s count=%zu", form, stride, kind_name(what), count);
    float *scores = draw_floats(what, count);
    void *mask = form == MK_ADDED_MASK ? (void *)draw_floats(what, 2 * count + 1) : draw_bytes(2 * count + 1, 0);
    for (size_t i = 0; form == MK_KEEPING_MASK && i < 2 * count + 1; ++i) ((uint8_t *)mask)[i] &= 1;
    mk_attend(scores, count, 0.125f, form, mask, stride);
    add_floats(scores, count);
    end_same();
  }
}

static void test_mix(size_t channels, kind what) {
  for (size_t count = 0; count <= 5; ++count) {
    begin("mk_mix %s channels=%zu count=%zu", kind_name(what), channels, count);
    const float *rows[5], *weights = draw_floats(what, 5);
    for (size_t k = 0; k < count; ++k) rows[k] = draw_floats(what, channels);
    float *dst = draw_floats(what, channels);
    mk_mix(dst, channels, count, rows, weights);
    add_floats(dst, channels);
    end_same();
  }
}

static void test_gates(size_t hidden, kind what) {
  FOR_EACH_CASE(mk_cell, cell, MK_RNN_TANH, MK_GRU) {
    begin("mk_gates cell=%d %s hidden=%zu", cell, kind_name(what), hidden);
    const float *input = draw_floats(what, 4 * hidden), *state = draw_floats(what, 4 * hidden);
    const float *last = draw_floats(what, hidden);
    float *memory = draw_floats(what, hidden), *next = draw_floats(what, hidden);
    mk_gates(cell, next, memory, input, state, last, hidden);
    add_floats(next, hidden);
    add_floats(memory, hidden);
    end_same();
  }
}

void test_sums(void) {
  static const kind kinds[] = {USUAL, MIXED, ANY};
  FOR_EACH(kind, what, kinds) {
    FOR_EACH_CASE(mk_measure, measure, MK_SUM, MK_DEVIATIONS) test_accumulation(measure, *what);
    FOR_EACH(size_t, count, counts) {
      test_normalization(*count, *what);
      test_attention(*count, *what);
      test_mix(*count, *what);
      test_gates(*count, *what);
    }
  }
}
