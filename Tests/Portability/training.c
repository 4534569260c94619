#include "cases.h"

static void test_derivative(mk_derivative function, size_t count) {
  static const kind kinds[] = {USUAL, TIED, MIXED, ANY};
  FOR_EACH(kind, what, kinds) {
    bool is_library = function == MK_D_GELU;
    if (is_library && count > 127) continue;
    begin("mk_derive function=%d %s count=%zu", function, kind_name(*what), count);
    const float *src = draw_floats(*what, count), *gradient = draw_floats(is_library ? USUAL : *what, count);
    float *dst = room(count * sizeof *dst, 0);
    mk_derive(function, -0.5f, 1.5f, dst, src, gradient, count);
    add_floats(dst, count);
    // erff is off by a unit in the last place, of 1 here, times a gradient of up to 8.
    if (is_library) end_near(0x1p-22, 0x1p-19, dst, count, MK_FLOAT32);
    else end_same();
  }
}

static void test_window(size_t channels, kind what) {
  const ptrdiff_t places[] = {0, (ptrdiff_t)channels, 3 * (ptrdiff_t)channels, 4 * (ptrdiff_t)channels};
  for (int is_mean = 0; is_mean < 2; ++is_mean) {
    begin("mk_window_gradient of a %s %s channels=%zu", is_mean ? "mean" : "maximum", kind_name(what), channels);
    const float *src = draw_floats(what, 5 * channels), *gradient = draw_floats(what, channels);
    float *dst = draw_floats(what, 5 * channels), *result = room(channels * sizeof *result, 0);
    for (size_t c = 0; c < channels; ++c) result[c] = src[(size_t)places[draw_below(4)] + c];
    uint8_t *taken = draw_bytes(channels, 0);
    mk_window_gradient(
      dst, gradient, is_mean ? NULL : src, is_mean ? NULL : result, taken, channels, places, 4, is_mean ? 0.3f : 0);
    add_floats(dst, 5 * channels);
    end_same();
  }
}

static void test_row_norms(size_t count, kind what) {
  const size_t rows = 3;
  for (int form = 0; form < 8; ++form) {
    begin("mk_norm_rows_gradient %s count=%zu form=%d", kind_name(what), count, form);
    const float *src = draw_floats(what, rows * count), *weight = form & 2 ? draw_floats(what, count) : NULL;
    float *gradient = draw_floats(what, rows * count), *dst = form & 1 ? gradient : draw_floats(what, rows * count);
    double *products = draw_numbers(what, count, MK_FLOAT64, 0), *sums = draw_numbers(what, count, MK_FLOAT64, 0);
    mk_norm_rows_gradient(
      dst, gradient, src, rows, count, 1e-5, form & 1, weight, form & 4 ? products : NULL, form & 4 ? sums : NULL);
    add_floats(dst, rows * count);
    add_numbers(products, count, MK_FLOAT64);
    add_numbers(sums, count, MK_FLOAT64);
    end_same();
  }
}

// Norms of channels, whose multiplications and additions are fused where the machine has that: their bits there, and
// numbers that are near everywhere, of operands below 1.

static const size_t channel_counts[] = {0, 1, 15, 16, 17, 67, 129};

static void test_moments(size_t rows, size_t channels, kind what) {
  begin("mk_channel_moments %s %zu x %zu", kind_name(what), rows, channels);
  const size_t row = channels + 3;
  const float *src = draw_floats(what, rows * row), *pivot = draw_floats(SMALL, channels);
  double *sums = draw_numbers(what, channels, MK_FLOAT64, 0), *squares = draw_numbers(what, channels, MK_FLOAT64, 0);
  memset(squares, 0, channels * sizeof *squares);
  mk_channel_moments(sums, squares, src, rows, channels, (ptrdiff_t)row, pivot);
  add_numbers(sums, channels, MK_FLOAT64);
  end_same();
  add_numbers(squares, channels, MK_FLOAT64);
  end_fused();
  // At most 64 roundings of each kind of a sum without signs.
  if (what == SMALL) end_near(64 * 0x1p-23, 0, squares, channels, MK_FLOAT64);
}

static void test_channels(mk_activation activation, size_t channels, int form, kind what) {
  const size_t rows = 5, row = channels + 1;
  begin("mk_normalize_channels activation=%d %s channels=%zu form=%d", activation, kind_name(what), channels, form);
  const mk_normalization n = {
    .channels = channels, .scale = draw_floats(what, channels), .shift = draw_floats(what, channels),
    .activation = activation, .slope = 0.1f, .adds_before = form == 2, .dst_row = (ptrdiff_t)row,
    .src_row = (ptrdiff_t)row, .addend_row = (ptrdiff_t)channels};
  const float *src = draw_floats(what, rows * row), *addend = draw_floats(what, rows * channels);
  float *dst = draw_floats(what, rows * row);
  mk_normalize_channels(&n, dst, src, form ? addend : NULL, rows);
  add_floats(dst, rows * row);
  end_fused();
  // Sums up to 3, off by a unit; the exponential by two, which the quotient shares.
  if (what == SMALL) end_near(1e-6, 2e-6, dst, rows * row, MK_FLOAT32);
}

static void test_channel_gradients(mk_activation activation, size_t channels, int form, kind what) {
  const size_t rows = 67;
  const bool has_result = form & 1, keeps = form & 2;
  begin("mk_norm_gradient activation=%d %s channels=%zu form=%d", activation, kind_name(what), channels, form);
  const mk_norm_gradient n = {
    .channels = channels, .mean = draw_floats(what, channels), .scale = draw_floats(what, channels),
    .shift = draw_floats(what, channels), .factor = draw_floats(what, channels), .tilt = draw_floats(what, channels),
    .offset = draw_floats(what, channels), .activation = activation, .slope = 0.1f, .dst_row = (ptrdiff_t)channels,
    .src_row = (ptrdiff_t)channels, .gradient_row = (ptrdiff_t)channels, .result_row = (ptrdiff_t)channels,
    .kept_row = (ptrdiff_t)channels};
  const size_t count = rows * channels;
  float *gradient = draw_floats(what, count), *kept = draw_floats(what, count);
  const float *src = draw_floats(what, count), *result = draw_floats(what, count);
  double *sums = room(2 * channels * sizeof *sums, 0);
  memset(sums, 0, 2 * channels * sizeof *sums);
  mk_norm_gradient_sums(
    &n, sums, sums + channels, gradient, src, has_result ? result : NULL, keeps ? kept : NULL, rows);
  mk_norm_gradient_rows(&n, gradient, gradient, src, has_result ? result : NULL, rows);
  add_numbers(sums, 2 * channels, MK_FLOAT64);
  add_floats(gradient, count);
  add_floats(kept, count);
  end_fused();
  if (what != SMALL) return;
  // 67 gradients below 1.1, each off by eight units at most, times differences below 2; and the sum's own roundings.
  end_near(0, 3e-4, sums, 2 * channels, MK_FLOAT64);
  if (keeps) end_near(0, 2e-6, kept, channels * 2, MK_FLOAT32);
  end_near(0, 4e-6, gradient, channels * 2, MK_FLOAT32);
}

// Optimizers

static void test_step(mk_optimizer_rule rule, mk_optimizer_average average, int form, mk_float type, size_t count) {
  begin("mk_optimize rule=%d average=%d form=%d %s count=%zu", rule, average, form, format_name(type), count);
  const mk_optimizer optimizer = {
    .rule = rule,
    .average = average,
    .nesterov = form & 1,
    .is_decoupled = form & 1,
    .is_first = form == 2,
    .maximize = form & 2,
    .zeroes_gradient = form & 4,
    .learning_rate = 0.01,
    .weight_decay = form & 2 ? 0.05 : 0,
    .momentum = form == 0 ? 0 : 0.9,
    .dampening = form & 4 ? 0.25 : 0,
    .beta1 = form & 1 ? 0.9 : 0.3,
    .beta2 = 0.999,
    .alpha = form & 1 ? 0.99 : 0.4,
    .eps = 1e-8,
    .first_correction = 0.271,
    .second_correction = 0.054,
    .gradient_scale = form & 1 ? 0.7 : 1,
    .gradient_limit = form & 4 ? 0.125 : INFINITY,
    .average_keep = 0.9,
    .average_weight = form & 2 ? 0.7 : 0.1};
  const kind what = form == 7 ? MIXED : SMALL, root = form == 7 ? MIXED : POSITIVE;
  void *parameter = draw_numbers(what, count, type, 1), *gradient = draw_numbers(what, count, type, 1);
  void *averaged = draw_numbers(what, count, type, 1);
  void *states[3] = {
    draw_numbers(rule == MK_RMSPROP ? root : what, count, type, 1),
    draw_numbers(rule == MK_ADAM ? root : what, count, type, 1),
    draw_numbers(rule == MK_ADAM ? root : SMALL, count, type, 1)};
  void *used[3] = {states[0], rule == MK_SGD ? NULL : states[1], rule == MK_SGD || !(form & 4) ? NULL : states[2]};
  if (rule == MK_SGD && form == 0) used[0] = NULL;
  if (rule == MK_RMSPROP && !(form & 1)) used[1] = NULL;
  mk_optimize(parameter, gradient, used, average == MK_AVERAGE_NONE ? NULL : averaged, count, type, &optimizer);
  void *const all[] = {parameter, gradient, averaged, states[0], states[1], states[2]};
  for (size_t i = 0; i < 6; ++i) add_numbers(all[i], count, type);
  end_same();
}

void test_training(void) {
  static const kind kinds[] = {USUAL, MIXED, ANY}, channel_kinds[] = {SMALL, MIXED, ANY};
  static const size_t row_counts[] = {0, 1, 63, 64, 131};
  FOR_EACH(size_t, count, counts) {
    FOR_EACH_CASE(mk_derivative, function, MK_D_ABS, MK_D_TANH_GELU) test_derivative(function, *count);
    FOR_EACH(kind, what, kinds) {
      test_window(*count, *what);
      test_row_norms(*count, *what);
    }
  }
  FOR_EACH(kind, what, channel_kinds)
  FOR_EACH(size_t, channels, channel_counts) {
    FOR_EACH(size_t, rows, row_counts) test_moments(*rows, *channels, *what);
    FOR_EACH_CASE(mk_activation, activation, MK_NO_ACTIVATION, MK_HARDSWISH) {
      for (int form = 0; form < 3; ++form) test_channels(activation, *channels, form, *what);
      for (int form = 0; form < 4; ++form) test_channel_gradients(activation, *channels, form, *what);
    }
  }
  FOR_EACH_CASE(mk_optimizer_rule, rule, MK_SGD, MK_RMSPROP)
  FOR_EACH_CASE(mk_optimizer_average, average, MK_AVERAGE_NONE, MK_AVERAGE_LERP)
  for (int form = 0; form < 8; ++form)
    FOR_EACH(size_t, count, few_counts) {
      test_step(rule, average, form, MK_FLOAT32, *count);
      test_step(rule, average, form, MK_FLOAT64, *count);
    }
}
