#include "cases.h"

// A float32's unit in the last place, of numbers from 1 to 2; the difference of two results that are each off by one;
// and that of the smallest numbers.
static const double unit = 0x1p-23, two_units = 0x1p-22, two_least = 0x1p-148;

static void test_silu(mk_float type, size_t count, bool has_addend) {
  static const kind kinds[] = {USUAL, MIXED, ANY};
  FOR_EACH(kind, what, kinds) {
    begin("mk_silu %s%s %s count=%zu", format_name(type), has_addend ? " and addend" : "", kind_name(*what), count);
    void *src = draw_numbers(*what, count, type, 0), *dst = room(count * format_size(type), 0);
    const void *addend = has_addend ? draw_numbers(*what, count, type, 0) : NULL;
    mk_silu(dst, src, addend, count, type);
    add_numbers(dst, count, type);
    end_fused();
    if (count > 127 || *what != USUAL) continue;
    // Four units each, of numbers below 8 where an addend follows; or a unit of bfloat16.
    end_near(type == MK_BFLOAT16 ? 0x1p-7 : 8 * unit, has_addend ? 64 * unit : 0, dst, count, type);
  }
}

static void add_unary(mk_function function, kind what, size_t count, float a, float b) {
  float *src = draw_floats(what, count), *dst = room(count * sizeof *dst, 0);
  mk_unary(function, a, b, dst, src, count);
  mk_unary(function, a, b, src, src, count);
  add_floats(dst, count);
  add_floats(src, count);
}

static void test_unary(mk_function function, size_t count) {
  static const kind kinds[] = {USUAL, TIED, MIXED, ANY};
  bool is_sine = function == MK_SIN || function == MK_COS, is_library = function == MK_ERF || function == MK_TAN;
  FOR_EACH(kind, what, kinds) {
    begin("mk_unary function=%d %s count=%zu", function, kind_name(*what), count);
    if (is_library || (is_sine && (*what == MIXED || *what == ANY))) {
      // The C library's, each off by a unit in the last place at most; of sines those of large angles alone.
      if (count > 127) continue;
      float *src = draw_floats(*what, count), *dst = room(count * sizeof *dst, 0);
      mk_unary(function, 0, 0, dst, src, count);
      end_near(two_units, two_least, dst, count, MK_FLOAT32);
    } else {
      add_unary(function, *what, count, 1.25f, 0.5f);
      add_unary(function, *what, count, 0.5f, 20);
      end_same();
    }
  }
}

// Angles up to 2^16, for which the kernel does without the C library.
static void test_sines(mk_function function) {
  begin("mk_unary function=%d up to 2^16", function);
  float *src = draw_floats(USUAL, 2053), *dst = room(2053 * sizeof *dst, 0);
  for (size_t i = 0; i < 2053; ++i) src[i] *= 8191.75f;
  mk_unary(function, 0, 0, dst, src, 2053);
  add_floats(dst, 2053);
  end_same();
}

// Of the result and up to three operands: side by side; with one number in place of a row's second, of both later ones,
// or of its first; with rows that are used again; and with gaps.
static const mk_plane planes[] = {
  {0, 0, {0}, {0}},
  {1, 1, {1, 1, 1, 1}, {1, 1, 1, 1}},
  {3, 67, {67, 67, 67, 67}, {1, 1, 1, 1}},
  {3, 67, {67, 67, 1, 1}, {1, 1, 0, 0}},
  {3, 67, {67, 67, 0, 0}, {1, 1, 0, 0}},
  {3, 67, {67, 1, 67, 67}, {1, 0, 1, 1}},
  {7, 33, {33, 0, 33, 0}, {1, 1, 1, 1}},
  {7, 33, {70, 1, 99, 66}, {2, 7, 3, 2}},
};
enum { PLANE = 1024 };

static float *plane_of(kind what) { return draw_floats(what, PLANE); }

static void test_binary(mk_pair function, size_t index, kind what) {
  begin("mk_binary function=%d %s plane=%zu", function, kind_name(what), index);
  float *a = plane_of(what), *b = plane_of(what), *dst = plane_of(SMALL);
  mk_binary(function, dst, a, b, &planes[index]);
  add_floats(dst, PLANE);
  end_same();
}

static void test_power(void) {
  static const float exponents[] = {2, 3, 1, -1, 0.5f, 0, -2.25f, INFINITY, NAN};
  for (size_t index = 0; index < sizeof planes / sizeof *planes; ++index) {
    // Of numbers above 0 side by side the kernel's own; any others are the C library's, off by a unit at most.
    const mk_plane *plane = &planes[index];
    bool is_own = plane->column[0] == 1;
    begin("mk_binary power of numbers above 0 plane=%zu", index);
    float *a = plane_of(POSITIVE), *b = plane_of(USUAL), *dst = plane_of(SMALL);
    mk_binary(MK_POWER, dst, a, b, plane);
    add_floats(dst, PLANE);
    if (is_own) end_same();
    else end_near(two_units, two_least, dst, PLANE, MK_FLOAT32);
    begin("mk_binary power plane=%zu", index);
    a = plane_of(MIXED), b = plane_of(MIXED), dst = plane_of(SMALL);
    mk_binary(MK_POWER, dst, a, b, plane);
    end_near(two_units, two_least, dst, plane->rows * plane->columns, MK_FLOAT32);
  }
  for (size_t i = 0; i < sizeof exponents / sizeof *exponents; ++i) {
    begin("mk_binary power exponent %zu", i);
    float *a = plane_of(MIXED), *dst = plane_of(SMALL), exponent = exponents[i];
    mk_binary(MK_POWER, dst, a, &exponent, &(mk_plane){3, 67, {67, 67, 0, 0}, {1, 1, 0, 0}});
    add_floats(dst, PLANE);
    if (i < 4) end_same();
    else end_near(two_units, two_least, dst, 3 * 67, MK_FLOAT32);
  }
}

static void test_planes(size_t index, kind what) {
  const mk_plane *plane = &planes[index];
  static const size_t sizes[] = {1, 2, 4, 8, 16};
  FOR_EACH_CASE(mk_relation, relation, MK_EQUAL, MK_GREATER_OR_EQUAL) {
    begin("mk_relate relation=%d %s plane=%zu", relation, kind_name(what), index);
    float *a = plane_of(what), *b = plane_of(what);
    uint8_t *dst = draw_bytes(PLANE, 0);
    mk_relate(relation, dst, a, b, plane);
    add_bytes(dst, PLANE);
    end_same();
  }
  begin("mk_affine %s plane=%zu", kind_name(what), index);
  float *src = plane_of(what), *scale = plane_of(what), *shift = plane_of(what), *result = plane_of(what);
  mk_affine(result, src, scale, shift, plane);
  add_floats(result, PLANE);
  end_same();
  FOR_EACH(size_t, size, sizes) {
    if (*size <= 8) {
      begin("mk_choose size=%zu %s plane=%zu", *size, kind_name(what), index);
      uint8_t *condition = draw_bytes(PLANE, 0);
      for (size_t i = 0; i < PLANE; ++i) condition[i] &= 128;
      void *a = draw_bytes(PLANE * *size, 0), *b = draw_bytes(PLANE * *size, 0), *dst = draw_bytes(PLANE * *size, 0);
      mk_choose(dst, condition, a, b, *size, plane);
      add_bytes(dst, PLANE * *size);
      end_same();
    }
    begin("mk_move size=%zu %s plane=%zu", *size, kind_name(what), index);
    void *from = draw_bytes(PLANE * *size, 0), *to = draw_bytes(PLANE * *size, 0);
    mk_move(to, from, *size, plane);
    add_bytes(to, PLANE * *size);
    end_same();
  }
}

void test_operations(void) {
  static const kind kinds[] = {USUAL, TIED, MIXED, ANY};
  FOR_EACH(size_t, count, counts) {
    test_silu(MK_FLOAT32, *count, false);
    test_silu(MK_FLOAT32, *count, true);
    test_silu(MK_BFLOAT16, *count, false);
    test_silu(MK_BFLOAT16, *count, true);
    FOR_EACH_CASE(mk_function, function, MK_CEIL, MK_THRESHOLD) test_unary(function, *count);
  }
  for (size_t index = 0; index < sizeof planes / sizeof *planes; ++index)
    FOR_EACH(kind, what, kinds) {
      FOR_EACH_CASE(mk_pair, function, MK_ADD, MK_PRELU) test_binary(function, index, *what);
      test_planes(index, *what);
    }
  test_sines(MK_SIN);
  test_sines(MK_COS);
  test_power();
}
