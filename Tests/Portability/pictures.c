#include "cases.h"

enum { CHANNELS = 3 };

static void test_taps(void) {
  static const size_t sizes[][2] = {{1, 1}, {1, 7}, {7, 1}, {5, 5}, {640, 417}, {417, 640}, {1 << 24, 1999}, {3, 1999}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
    begin("mk_resample_taps %zu to %zu", sizes[i][0], sizes[i][1]);
    size_t count = sizes[i][1];
    int32_t *index = room(count * sizeof *index, 0);
    float *weight = room(count * sizeof *weight, 0);
    mk_resample_taps(index, weight, count, sizes[i][0], sizes[i][1]);
    add_bytes(index, count * sizeof *index);
    add_floats(weight, count);
    end_same();
  }
}

static void test_resampling(mk_sample sample, kind what) {
  // The source's height and width, the resampled ones, and the padded ones.
  static const size_t sizes[][6] = {
    {1, 1, 1, 1, 1, 1},       {1, 1, 5, 9, 7, 11},      {33, 47, 33, 47, 40, 48}, {33, 47, 33, 101, 33, 101},
    {33, 47, 70, 47, 70, 47}, {64, 97, 31, 17, 32, 32}, {20, 30, 57, 83, 64, 96}, {5, 700, 4, 23, 4, 23},
  };
  static const mk_float formats[] = {MK_FLOAT32, MK_FLOAT16, MK_BFLOAT16, MK_FLOAT32};
  const mk_float format = formats[sample];
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
    const size_t *s = sizes[i], in = s[0] * s[1], out = s[4] * s[5];
    begin("mk_resample_rows sample=%d %s size %zu", sample, kind_name(what), i);
    int32_t *rows = room(s[2] * sizeof *rows, 0), *columns = room(s[3] * sizeof *columns, 0);
    float *row_weights = room(s[2] * sizeof *row_weights, 0), *column_weights = room(s[3] * sizeof *column_weights, 0);
    mk_resample_taps(rows, row_weights, s[2], s[0], s[2]);
    mk_resample_taps(columns, column_weights, s[3], s[1], s[3]);
    const mk_resampling plan = {
      .in_height = s[0], .in_width = s[1], .height = s[2], .width = s[3], .out_height = s[4], .out_width = s[5],
      .row_index = rows, .column_index = columns, .row_weight = row_weights, .column_weight = column_weights,
      .same_height = s[0] == s[2], .same_width = s[1] == s[3], .fill = 114 / 255.f};
    const void *src = sample == MK_SAMPLE_UINT8 ? draw_bytes(in, 1) : draw_numbers(what, in, format, 1);
    char *dst = room(out * format_size(format), 1);
    size_t scratch = mk_resample_scratch(&plan), half = s[4] / 2;
    void *work = room(scratch, 0);
    mk_resample_rows(dst, src, sample, &plan, 0, half, work);
    mk_resample_rows(dst + half * s[5] * format_size(format), src, sample, &plan, half, s[4] - half, work);
    add_numbers(dst, out, format);
    add_whole(scratch);
    end_same();
  }
}

static void test_planes(size_t pixels, bool is_wide) {
  const size_t size = is_wide ? 2 : 1, stride = pixels + 5;
  begin("mk_planes_from_pixels pixels=%zu size=%zu", pixels, size);
  float *planes = draw_floats(SMALL, CHANNELS * stride);
  mk_planes_from_pixels(planes, stride, draw_bytes(CHANNELS * pixels * size, 1), pixels, is_wide);
  add_floats(planes, CHANNELS * stride);
  end_same();
  static const kind kinds[] = {SMALL, POSITIVE, MIXED, ANY};
  FOR_EACH(kind, what, kinds) {
    begin("mk_pixels_from_planes %s pixels=%zu size=%zu", kind_name(*what), pixels, size);
    planes = draw_floats(*what, CHANNELS * stride);
    void *dst = room(CHANNELS * pixels * size, 1);
    mk_pixels_from_planes(dst, planes, stride, pixels, is_wide);
    add_bytes(dst, CHANNELS * pixels * size);
    end_same();
  }
  begin("mk_pixels_from_planes halves pixels=%zu size=%zu", pixels, size);
  planes = draw_floats(SMALL, CHANNELS * stride);
  for (size_t i = 0; i < CHANNELS * stride; ++i)
    planes[i] = ((float)draw_below(is_wide ? 65536 : 256) + 0.5f) / (is_wide ? 65535.f : 255.f);
  void *dst = room(CHANNELS * pixels * size, 1);
  mk_pixels_from_planes(dst, planes, stride, pixels, is_wide);
  add_bytes(dst, CHANNELS * pixels * size);
  end_same();
}

static void test_sizes(void) {
  // Width and height, from what width and height.
  static const size_t sizes[][4] = {
    {1, 1, 1, 1}, {7, 5, 1, 1}, {1, 1, 9, 7},     {32, 24, 64, 48}, {31, 23, 93, 69},   {33, 20, 64, 48},
    {5, 7, 5, 7}, {8, 6, 9, 7}, {101, 67, 47, 33}, {3, 90, 50, 91},  {40, 15, 160, 120}, {2, 2, 255, 3},
  };
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
    const size_t width = sizes[i][0], height = sizes[i][1], in_width = sizes[i][2], in_height = sizes[i][3];
    const size_t first = height / 3, step = width * CHANNELS, gap = step + 5;
    begin("mk_resize_pixels %zu x %zu from %zu x %zu", width, height, in_width, in_height);
    const uint8_t *src = draw_bytes(in_width * in_height * CHANNELS, 1);
    uint8_t *dst = room(gap * height, 1);
    size_t scratch = mk_resize_pixels_scratch(width);
    void *work = room(scratch, 0);
    mk_resize_pixels(dst, gap, width, height, src, in_width, in_height, 0, first, work);
    mk_resize_pixels(dst + first * gap, gap, width, height, src, in_width, in_height, first, height - first, work);
    add_bytes(dst, gap * height);
    add_whole(scratch);
    end_same();
    if (width > in_width || height > in_height) continue;
    begin("mk_shrink_pixels %zu x %zu from %zu x %zu", width, height, in_width, in_height);
    src = draw_bytes(in_width * in_height * CHANNELS, 1);
    dst = room(step * height, 1);
    scratch = mk_shrink_pixels_scratch(width);
    work = room(scratch, 0);
    mk_shrink_pixels(dst, width, height, src, in_width, in_height, 0, first, work);
    mk_shrink_pixels(dst + first * step, width, height, src, in_width, in_height, first, height - first, work);
    add_bytes(dst, step * height);
    add_whole(scratch);
    end_same();
  }
}

static void test_warps(void) {
  static const float inverses[][6] = {
    {1, 0, 0, 0, 1, 0},
    {0.9f, 0.31f, -3.7f, -0.28f, 1.1f, 5.5f},
    {-1, 0, 36, 0, -1, 28},
    {0.013f, 1e-3f, 11.25f, 0, 0.017f, 7.75f},
    {1e9f, -1e9f, 3, 1e30f, 1, -1e30f},
    {INFINITY, 0, 0, 0, 1, 0},
    {1, 0, NAN, 0, 1, 0},
    {0x1p-120f, 0, -0x1p-130f, 0, 0x1p-120f, -0x1p-130f},
  };
  static const size_t sources[][2] = {{1, 1}, {37, 29}, {2, 40}};
  for (size_t i = 0; i < sizeof inverses / sizeof *inverses; ++i)
    for (size_t j = 0; j < sizeof sources / sizeof *sources; ++j) {
      const size_t in_width = sources[j][0], in_height = sources[j][1], width = 41, height = 31;
      const size_t step = width * CHANNELS;
      begin("mk_warp_pixels map %zu from %zu x %zu", i, in_width, in_height);
      const uint8_t *src = draw_bytes(in_width * in_height * CHANNELS, 1);
      uint8_t *dst = room(step * height, 1);
      mk_warp_pixels(dst, width, src, in_width, in_height, inverses[i], 114, 0, 11);
      mk_warp_pixels(dst + 11 * step, width, src, in_width, in_height, inverses[i], 114, 11, height - 11);
      add_bytes(dst, step * height);
      end_same();
    }
}

static void test_colours(size_t count) {
  begin("mk_adjust_hsv count=%zu", count);
  uint8_t *hue = draw_bytes(256, 0), *saturation = draw_bytes(256, 0), *value = draw_bytes(256, 0);
  for (size_t i = 0; i < 256; ++i) hue[i] %= 180;
  uint8_t *pixels = draw_bytes(count * CHANNELS, 1);
  mk_adjust_hsv(pixels, count, hue, saturation, value);
  add_bytes(pixels, count * CHANNELS);
  end_same();
  static const double shares[] = {0, 0.1, 1.0 / 3, 0.5, 1};
  FOR_EACH(double, share, shares) {
    begin("mk_mix_bytes count=%zu share=%g", count, *share);
    uint8_t *dst = draw_bytes(count, 1);
    mk_mix_bytes(dst, draw_bytes(count, 0), count, *share);
    add_bytes(dst, count);
    end_same();
  }
  for (size_t size = 1; size <= 4; size *= 2) {
    begin("mk_reverse_rows columns=%zu size=%zu", count, size);
    void *dst = room(3 * count * size, 1);
    mk_reverse_rows(dst, draw_bytes(3 * count * size, 1), 3, count, size);
    add_bytes(dst, 3 * count * size);
    end_same();
  }
}

void test_pictures(void) {
  static const kind kinds[] = {SMALL, MIXED, ANY};
  test_taps();
  FOR_EACH_CASE(mk_sample, sample, MK_SAMPLE_UINT8, MK_SAMPLE_FLOAT32)
  FOR_EACH(kind, what, kinds) test_resampling(sample, *what);
  FOR_EACH(size_t, count, counts) {
    test_planes(*count, false);
    test_planes(*count, true);
    test_colours(*count);
  }
  test_colours(20011);
  test_sizes();
  test_warps();
}
