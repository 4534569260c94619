#include "cases.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROOM = 1 << 24, ALIGNMENT = 64, NAME = 256 };

static _Alignas(ALIGNMENT) char memory[ROOM];
static size_t used;

// AddressSanitizer finds what reaches out of a room.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
void __asan_poison_memory_region(const volatile void *, size_t);
void __asan_unpoison_memory_region(const volatile void *, size_t);
#define forbid __asan_poison_memory_region
#define allow __asan_unpoison_memory_region
#endif
#endif
#ifndef forbid
static void forbid(const void *start, size_t bytes) { (void)start, (void)bytes; }
static void allow(const void *start, size_t bytes) { (void)start, (void)bytes; }
#endif

static char name[NAME];
static uint64_t state, hash;

// Formats

static const struct format {
  const char *name;
  unsigned exponent, fraction;
} formats[] = {
  {"float64", 11, 52}, {"float32", 8, 23},      {"float16", 5, 10},
  {"bfloat16", 8, 7},  {"float8_e4m3fn", 4, 3}, {"float8_e5m2", 5, 2},
};

const char *format_name(mk_float type) { return formats[type].name; }

const char *kind_name(kind what) {
  static const char *const names[] = {"any", "usual", "small", "positive", "tied", "mixed"};
  return names[what];
}

size_t format_size(mk_float type) { return (1 + formats[type].exponent + formats[type].fraction) / 8; }

static uint64_t load(const char *data, size_t size) {
  uint64_t bits = 0;
  memcpy(&bits, data, size);
  return bits;
}

static uint64_t without_sign(uint64_t bits, mk_float type) {
  return bits & (((uint64_t)1 << (8 * format_size(type) - 1)) - 1);
}

static bool is_nan(uint64_t bits, mk_float type) {
  uint64_t fraction = ((uint64_t)1 << formats[type].fraction) - 1, key = without_sign(bits, type);
  uint64_t infinite = (((uint64_t)1 << formats[type].exponent) - 1) << formats[type].fraction;
  return type == MK_FLOAT8_E4M3FN ? key == (infinite | fraction) : key > infinite;
}

// FNV-1a.
static void mix(const void *data, size_t bytes) {
  for (const uint8_t *byte = data; bytes; --bytes) hash = (hash ^ *byte++) * 0x100000001b3;
}

void begin(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(name, sizeof name, format, arguments);
  va_end(arguments);
  hash = 0xcbf29ce484222325;
  mix(name, (size_t)length);
  state = hash;
  used = 0;
  forbid(memory, sizeof memory);
}

void *room(size_t bytes, size_t shift) {
  size_t start = used + shift;
  used = (start + bytes + 2 * ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  if (used > sizeof memory) {
    fprintf(stderr, "%s: no room\n", name);
    exit(2);
  }
  allow(memory + start, bytes);
  memset(memory + start, 0x5a, bytes);
  return memory + start;
}

// SplitMix64.
uint64_t draw(void) {
  uint64_t z = state += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

size_t draw_below(size_t count) { return (size_t)(draw() % count); }

void *draw_bytes(size_t bytes, size_t shift) {
  uint8_t *result = room(bytes, shift);
  for (size_t i = 0; i < bytes; ++i) result[i] = (uint8_t)draw();
  return result;
}

static uint64_t draw_number(kind what, mk_float type) {
  const struct format f = formats[type];
  const uint64_t top = ((uint64_t)1 << f.exponent) - 1, bias = top / 2, all = ((uint64_t)1 << f.fraction) - 1;
  uint64_t sign = draw() & 1, exponent = bias - 6, fraction = draw() & all;
  bool is_special = (what == ANY && draw_below(4) == 0) || (what == MIXED && draw_below(8) == 0);
  if (is_special) {
    exponent = (const uint64_t[]){0, 1, bias, top - 1, top}[draw_below(5)];
    fraction = (const uint64_t[]){0, 1, all, (all + 1) / 2}[draw_below(4)];
  } else {
    switch (what) {
    case ANY: exponent = draw() & top; break;
    case USUAL:
    case MIXED: exponent += draw_below(9); break;
    case POSITIVE: sign = 0; [[fallthrough]];
    case SMALL: exponent += draw_below(6); break;
    case TIED:
      exponent = (const uint64_t[]){0, bias, bias + 1}[draw_below(3)];
      fraction = exponent && draw_below(2) ? (all + 1) / 2 : 0;
    }
  }
  return sign << (f.exponent + f.fraction) | exponent << f.fraction | fraction;
}

void *draw_numbers(kind what, size_t count, mk_float type, size_t shift) {
  size_t size = format_size(type);
  char *result = room(count * size, shift);
  for (size_t i = 0; i < count; ++i) {
    uint64_t bits = draw_number(what, type);
    memcpy(result + i * size, &bits, size);
  }
  return result;
}

float *draw_floats(kind what, size_t count) { return draw_numbers(what, count, MK_FLOAT32, 0); }

void *copied(const void *src, size_t bytes, size_t shift) { return memcpy(room(bytes, shift), src, bytes); }

// Results

void add_bytes(const void *data, size_t bytes) { mix(data, bytes); }

void add_whole(uint64_t value) { mix(&value, sizeof value); }

void add_numbers(const void *data, size_t count, mk_float type) {
  size_t size = format_size(type);
  const uint64_t nan = INT64_MAX;
  for (size_t i = 0; i < count; ++i) {
    uint64_t bits = load((const char *)data + i * size, size);
    mix(is_nan(bits, type) ? &nan : &bits, size);
  }
}

void add_floats(const float *data, size_t count) { add_numbers(data, count, MK_FLOAT32); }

void add_double(double value) { add_numbers(&value, 1, MK_FLOAT64); }

static void print_hash(const char *how) { printf("%s %s: %016" PRIx64 "\n", how, name, hash); }

void end_same(void) { print_hash("same"); }

static bool is_fused(void) {
#if defined(__x86_64__)
  return strcmp(mk_simd_level(), "scalar") != 0 && __builtin_cpu_supports("fma");
#else
  return true;
#endif
}

void end_fused(void) {
  if (is_fused()) print_hash("fused");
}

void end_near(double relative, double absolute, const void *data, size_t count, mk_float type) {
  printf("near %g %g %s:", relative, absolute, name);
  size_t size = format_size(type);
  for (size_t i = 0; i < count; ++i) {
    uint64_t bits = load((const char *)data + i * size, size);
    if (is_nan(bits, type)) {
      printf(" nan");
      continue;
    }
    double wide;
    float narrow;
    uint32_t word = (uint32_t)(type == MK_BFLOAT16 ? bits << 16 : bits);
    memcpy(&wide, &bits, sizeof wide);
    memcpy(&narrow, &word, sizeof narrow);
    if (type == MK_FLOAT64) printf(" %.17g", wide);
    else printf(" %.9g", (double)narrow);
  }
  printf("\n");
}
