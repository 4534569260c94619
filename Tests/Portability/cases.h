// Cases: a name, numbers drawn from it, and a line that says what a kernel made of them. A line begins with
//   same   what must be equal everywhere: the FNV-1a hash of all results;
//   fused  what must be equal wherever multiplications and additions are fused; printed only there;
//   near   the numbers themselves, behind the differences that they may have: relative to the greater, and absolute.
// The bits of a NaN count only where a header says what they are.

#ifndef PORTABILITY_CASES_H
#define PORTABILITY_CASES_H

#include "CKernels.h"

#include <math.h>
#include <string.h>

// What is drawn must not depend on what a machine fuses.
#pragma STDC FP_CONTRACT OFF

#define FOR_EACH(type, name, array)                                                                                    \
  for (const type *name = (array); name < (array) + sizeof(array) / sizeof *(array); ++name)
#define FOR_EACH_CASE(type, name, first, last) for (type name = first; name <= last; ++name)
#define FOR_EACH_FORMAT(name) FOR_EACH_CASE(mk_float, name, MK_FLOAT64, MK_FLOAT8_E5M2)

static const size_t counts[] = {0, 1, 2, 7, 17, 64, 127, 1031, 2053};
static const size_t few_counts[] = {0, 1, 17, 1031};

// What is drawn: any bits, many of them special; from 2^-6 to 8; to 1; the same without a sign; a few numbers again and
// again; one special number among eight.
typedef enum kind { ANY, USUAL, SMALL, POSITIVE, TIED, MIXED } kind;

const char *format_name(mk_float type);
const char *kind_name(kind what);
size_t format_size(mk_float type);

// The memory of the last case is free then.
void begin(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Memory that begins `shift` bytes after an aligned address.
void *room(size_t bytes, size_t shift);
uint64_t draw(void);
size_t draw_below(size_t count);
void *draw_bytes(size_t bytes, size_t shift);
void *draw_numbers(kind what, size_t count, mk_float type, size_t shift);
float *draw_floats(kind what, size_t count);
void *copied(const void *src, size_t bytes, size_t shift);

void add_bytes(const void *data, size_t bytes);
void add_whole(uint64_t value);
// Every NaN as the same one.
void add_numbers(const void *data, size_t count, mk_float type);
void add_floats(const float *data, size_t count);
void add_double(double value);

void end_same(void);
void end_fused(void);
// Of float64, float32 and bfloat16.
void end_near(double relative, double absolute, const void *data, size_t count, mk_float type);

void test_weights(void);
void test_averages(void);
void test_random(void);
void test_operations(void);
void test_sums(void);
void test_training(void);
void test_pictures(void);

#endif
