#include "cases.h"

static const mk_float drawn_formats[] = {MK_FLOAT64, MK_FLOAT32, MK_FLOAT16, MK_BFLOAT16};

// A generator in the state that the name gives, with some words used.
static mk_twister drawn_twister(void) {
  uint32_t *words = room(MK_TWISTER_WORDS * sizeof *words, 0);
  mk_twister_seed(words, (uint32_t)draw());
  size_t used = draw_below(MK_TWISTER_WORDS + 1);
  return (mk_twister){words, used};
}

static void add_twister(const mk_twister *twister) {
  add_bytes(twister->words, MK_TWISTER_WORDS * sizeof *twister->words);
  add_whole(twister->used);
}

static void test_words(void) {
  static const uint32_t seeds[] = {0, 1, 5489, UINT32_MAX};
  static const size_t lengths[] = {1, 2, 623, 624, 625, 1000};
  uint32_t words[MK_TWISTER_WORDS];
  FOR_EACH(uint32_t, seed, seeds) {
    begin("mk_twister_seed %u", *seed);
    mk_twister_seed(words, *seed);
    add_bytes(words, sizeof words);
    end_same();
    begin("mk_twister_refill of seed %u", *seed);
    mk_twister_refill(words);
    add_bytes(words, sizeof words);
    end_same();
  }
  FOR_EACH(size_t, length, lengths) {
    begin("mk_twister_seed_with_key length=%zu", *length);
    mk_twister_seed_with_key(words, draw_bytes(*length * 4, 0), *length);
    add_bytes(words, sizeof words);
    end_same();
  }
  FOR_EACH(size_t, count, counts) {
    begin("mk_twister_draw count=%zu", *count);
    mk_twister twister = drawn_twister();
    uint32_t *dst = room(*count * sizeof *dst, 0);
    mk_twister_draw(&twister, dst, *count);
    add_bytes(dst, *count * sizeof *dst);
    add_twister(&twister);
    end_same();
  }
}

static void test_uniform(mk_float type, size_t count) {
  static const double ends[][2] = {{0, 1}, {-1, 1}, {-0.3, 1e4}, {5, 5}, {-1e-3, 0}};
  for (size_t i = 0; i < sizeof ends / sizeof *ends; ++i) {
    begin("mk_torch_uniform %s count=%zu from %g to %g", format_name(type), count, ends[i][0], ends[i][1]);
    mk_twister twister = drawn_twister();
    void *dst = room(count * format_size(type), 1);
    mk_torch_uniform(&twister, dst, count, type, ends[i][0], ends[i][1]);
    add_numbers(dst, count, type);
    add_twister(&twister);
    end_same();
  }
}

static void test_normal(mk_float type, size_t count) {
  begin("mk_torch_normal %s count=%zu", format_name(type), count);
  mk_twister twister = drawn_twister();
  void *dst = room(count * format_size(type), 0);
  mk_torch_normal(&twister, dst, count, type, 0.25, 1.5);
  if (type == MK_FLOAT64) {
    // log, sin and cos are off by a unit in the last place at most, and the radius by less than it: three units of
    // what the mean is added to, which is less than 16.
    end_near(1e-15, 1e-14, dst, count, type);
  } else {
    add_numbers(dst, count, type);
    add_twister(&twister);
    end_same();
  }
}

static void test_integers(size_t count) {
  static const uint64_t ranges[] = {1, 2, 1000003, (1 << 28) - 1, 1 << 28, UINT64_MAX, 0};
  static const size_t sizes[] = {1, 2, 4, 8};
  FOR_EACH(uint64_t, range, ranges)
  FOR_EACH(size_t, size, sizes) {
    begin("mk_torch_integers count=%zu size=%zu range=%llu", count, *size, (unsigned long long)*range);
    mk_twister twister = drawn_twister();
    void *dst = room(count * *size, 1);
    mk_torch_integers(&twister, dst, count, *size, *range, -5);
    add_bytes(dst, count * *size);
    add_twister(&twister);
    end_same();
  }
  begin("mk_torch_permutation count=%zu", count);
  mk_twister twister = drawn_twister();
  int64_t *places = room(count * sizeof *places, 0);
  mk_torch_permutation(&twister, places, count);
  add_bytes(places, count * sizeof *places);
  add_twister(&twister);
  end_same();
}

static void test_bernoulli(size_t count) {
  static const double probabilities[] = {0, 0.3, 1, NAN};
  FOR_EACH(double, p, probabilities) {
    begin("mk_torch_bernoulli count=%zu p=%g", count, *p == *p ? *p : -1);
    mk_twister twister = drawn_twister();
    uint8_t *dst = room(count, 1);
    mk_torch_bernoulli(&twister, dst, count, *p);
    add_bytes(dst, count);
    end_same();
  }
  FOR_EACH_FORMAT(type) {
    begin("mk_torch_bernoulli_each %s count=%zu", format_name(type), count);
    mk_twister twister = drawn_twister();
    uint8_t *dst = room(count, 1);
    mk_torch_bernoulli_each(&twister, dst, draw_numbers(POSITIVE, count, type, 1), count, type);
    add_bytes(dst, count);
    add_twister(&twister);
    end_same();
  }
}

void test_random(void) {
  static const size_t normal_counts[] = {16, 17, 31, 64, 1031, 2053};
  test_words();
  FOR_EACH(mk_float, type, drawn_formats) {
    FOR_EACH(size_t, count, counts) test_uniform(*type, *count);
    FOR_EACH(size_t, count, normal_counts) test_normal(*type, *count);
  }
  FOR_EACH(size_t, count, counts) {
    test_integers(*count);
    test_bernoulli(*count);
  }
}
