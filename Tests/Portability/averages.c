#include "cases.h"

static void test_power_sums(mk_float type, size_t count, kind what) {
  static const double exact[] = {0, 1, 2, INFINITY, -INFINITY}, other[] = {0.5, 3, -1, 2.7};
  FOR_EACH(double, power, exact) {
    begin("mk_power_sum %s %s count=%zu power=%g", format_name(type), kind_name(what), count, *power);
    add_double(mk_power_sum(draw_numbers(what, count, type, 1), count, type, *power));
    end_same();
  }
  // pow is off by one unit in the last place of a double at most. Rounding lifts that to a unit of each of the sixteen
  // sums' up to 129 terms here, all of one sign.
  FOR_EACH(double, power, other) {
    begin("mk_power_sum %s %s count=%zu power=%g", format_name(type), kind_name(what), count, *power);
    double sum = mk_power_sum(draw_numbers(what, count, type, 1), count, type, *power);
    end_near(3e-14, 0, &sum, 1, MK_FLOAT64);
  }
  begin("mk_moments %s %s count=%zu", format_name(type), kind_name(what), count);
  double mean, squares;
  mk_moments(draw_numbers(what, count, type, 1), count, type, &mean, &squares);
  add_double(mean);
  add_double(squares);
  end_same();
}

static void test_comparison(mk_float first, mk_float second, size_t count, kind what) {
  begin("mk_compare %s %s %s count=%zu", format_name(first), format_name(second), kind_name(what), count);
  const void *a = draw_numbers(what, count, first, 1), *b = draw_numbers(what, count, second, 1);
  mk_comparison found;
  mk_compare(&found, a, first, b, second, count);
  add_whole(found.different);
  add_whole(found.nonfinite);
  const double numbers[] = {
    found.max_absolute, found.max_relative, found.product, found.first_squares, found.second_squares};
  add_numbers(numbers, 5, MK_FLOAT64);
  end_same();
}

static void test_mixing(mk_float type, mk_float model_type, size_t count, kind what) {
  static const double weights[] = {0, 0.1, 0.5, 0.9, 1};
  FOR_EACH(double, weight, weights) {
#define BEGIN(kernel)                                                                                                  \
  begin(                                                                                                               \
    kernel " %s of %s %s count=%zu weight=%g", format_name(type), format_name(model_type), kind_name(what), count,     \
    *weight);                                                                                                          \
  void *average = draw_numbers(what, count, type, 1);                                                                  \
  const void *model = draw_numbers(what, count, model_type, 1)
#define END                                                                                                            \
  add_numbers(average, count, type);                                                                                   \
  end_same()
    {
      BEGIN("mk_average_mix");
      add_whole(mk_average_mix(average, type, model, model_type, count, 1 - *weight, *weight));
      END;
    }
    {
      BEGIN("mk_average_lerp");
      add_whole(mk_average_lerp(average, type, model, model_type, count, *weight));
      END;
    }
    {
      BEGIN("mk_average_running");
      add_whole(mk_average_running(average, type, model, model_type, count, 1 + 7 * *weight));
      END;
    }
#undef BEGIN
#undef END
  }
}

void test_averages(void) {
  static const kind kinds[] = {USUAL, MIXED};
  FOR_EACH(kind, what, kinds)
  FOR_EACH_FORMAT(type) {
    FOR_EACH(size_t, count, counts) test_power_sums(type, *count, *what);
    FOR_EACH_FORMAT(other)
    FOR_EACH(size_t, count, few_counts) {
      test_comparison(type, other, *count, *what);
      test_mixing(type, other, *count, *what);
    }
  }
}
