// Loops over weights. Every function is single-threaded, allocates nothing unless it says so, accepts unaligned
// pointers and a count of 0, and gives the same answer at every SIMD level, but for the bits of a NaN that arithmetic
// makes, and the last bits of what is said to be fused where the machine has it. Callers divide work among threads.

#ifndef CKERNELS_H
#define CKERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pictures.h"

// The floating formats, named as PyTorch's dtypes.
typedef enum mk_float {
  MK_FLOAT64,
  MK_FLOAT32,
  MK_FLOAT16,
  MK_BFLOAT16,
  MK_FLOAT8_E4M3FN,
  MK_FLOAT8_E5M2,
} mk_float;

// A contiguous run of `count` floating elements.
typedef struct mk_span {
  const void *data;
  size_t count;
  mk_float type;
} mk_span;

// SIMD

// The instruction set that the kernels chose at run time: "avx512", "avx2", "neon" or "scalar".
const char *mk_simd_level(void);
// The levels, the plain C first.
typedef enum mk_simd { MK_SCALAR, MK_AVX2, MK_AVX512 } mk_simd;
// Restricts the kernels to at most this level (for tests and benchmarks); the last one lifts that again.
void mk_limit_simd(mk_simd most);

// Zeros

// Elements equal to zero, of either sign.
size_t mk_count_zeros(const void *data, size_t count, mk_float type);
// Elements of `size` bytes (1, 2, 4, 8) all of whose bits are zero.
size_t mk_count_zero_words(const void *data, size_t count, size_t size);

// Magnitude pruning

// Which elements are "the k smallest": those with |x| < magnitude, and the first `ties` of those with |x| == magnitude.
// NaN sorts greatest and all NaNs are equal: a NaN magnitude takes every number and `ties` NaNs.
typedef struct mk_threshold {
  double magnitude;
  size_t ties;
} mk_threshold;

// The threshold that takes exactly the `k` smallest magnitudes of the concatenated spans, whose formats may differ.
// k is at most the total count; k == 0 gives {0, 0}. Allocates at most 1/16 of the spans' bytes plus 1 MB;
// returns false when that fails.
bool mk_select_smallest(const mk_span *spans, size_t span_count, size_t k, mk_threshold *threshold);
// Copies src to dst (which may be src itself) with +0 in place of the elements that the threshold takes. The ties it
// uses up are taken from threshold->ties, so that consecutive spans of one selection share a threshold.
void mk_zero_smallest(void *dst, const void *src, size_t count, mk_float type, mk_threshold *threshold);
// Elements whose |x| equals `magnitude`; every NaN equals a NaN magnitude.
size_t mk_count_equal(const void *data, size_t count, mk_float type, double magnitude);
// Keeps the `keep` largest magnitudes of every `group` consecutive elements along the middle axis of [outer, axis,
// inner] and zeroes the rest; among equals the lowest index is zeroed first. A last, shorter group of m elements keeps
// min(keep, m). group is at most 64. dst may be src.
void mk_keep_largest(void *dst, const void *src, size_t outer, size_t axis, size_t inner, size_t keep, size_t group, mk_float type);
// Zeroes the elements whose mask byte is zero. dst may be src.
void mk_apply_mask(void *dst, const void *src, const uint8_t *mask, size_t count, mk_float type);
// The sum of |x|^power in double; power 0 counts the non-zeros, INFINITY gives the maximum (0 of nothing),
// -INFINITY the minimum (Infinity of nothing); NaN wins in both.
double mk_power_sum(const void *data, size_t count, mk_float type, double power);

// Scaling

// dst[r][c] = src[r][c] · scale[r], computed in double for float64 and in float32 for every other format, then rounded
// to the format. dst may be src.
void mk_scale_rows(void *dst, const void *src, size_t rows, size_t columns, const double *scale, mk_float type);

// Activations

// dst[i] = src[i] / (1 + e^-src[i]), plus addend[i] where that is not null, in float32, for float32 and bfloat16; the
// quotient within 4 units in the last place for src[i] > -87, fused where the machine has it. Aligned as their
// elements. dst may be src or the addend.
void mk_silu(void *dst, const void *src, const void *addend, size_t count, mk_float type);

// Conversion, layout, statistics

// Converts as PyTorch 2.13's `to(dtype)` does: by way of float32, to nearest even; what overflows becomes Inf, or 448
// in float8_e4m3fn. NaN stays NaN; its bits are float32's and float64's as the hardware makes them, 0x7fc0 in bfloat16,
// sign and 0x7f in float8. dst and src must not overlap unless they are the same and dst's elements are not larger.
void mk_convert(void *dst, mk_float dst_type, const void *src, mk_float src_type, size_t count);
// Reverses the bytes of each word of `size` bytes (1, 2, 4, 8, 16). dst may be src.
void mk_swap_bytes(void *dst, const void *src, size_t count, size_t size);
// Packs the elements (of `size` bytes: 1, 2, 4, 8, 16) of a strided array into dst in row-major order. Strides count
// elements; `rank` is at most 64. The caller has checked that every element lies inside src's storage.
void mk_gather(void *dst, const void *src, size_t size, size_t rank, const int64_t *shape, const int64_t *strides);
// Mean, and the sum of squared deviations from it, in double, in two passes.
void mk_moments(const void *data, size_t count, mk_float type, double *mean, double *squares);
// Whether any element is NaN or infinite.
bool mk_has_nonfinite(const void *data, size_t count, mk_float type);

// Comparison and averages

// How two arrays of the same count differ. NaNs are equal to each other, zeros of either sign too.
typedef struct mk_comparison {
  // Elements that are not equal, and those of them whose distance is no finite number.
  size_t different, nonfinite;
  // The greatest |a - b| and the greatest |a - b| / max(|a|, |b|) among the others; 0 of nothing.
  double max_absolute, max_relative;
  // The sums of a · b, a · a and b · b over the same elements.
  double product, first_squares, second_squares;
} mk_comparison;

// Compares in double. The sums depend on the order of addition; it is the same at every SIMD level.
void mk_compare(mk_comparison *result, const void *a, mk_float a_type, const void *b, mk_float b_type, size_t count);

typedef struct mk_census {
  size_t nan, infinite, zero;
  // Finite elements that rounding to the target makes infinite, and others than zero that it makes zero.
  size_t overflowing, flushed;
} mk_census;

// Counts the elements that are unusual, or would be as elements of the type `target`.
mk_census mk_take_census(const void *data, size_t count, mk_float type, mk_float target);

// Averages. float64 averages are computed in double, all others in float32 and rounded once. `average` and `model` must
// not overlap. They return whether an element of the model is NaN or infinite, or was no finite float32 where it had to
// become one.

// average = average · keep + weight · model, each product and the sum rounded.
bool mk_average_mix(
  void *average, mk_float type, const void *model, mk_float model_type, size_t count, double keep, double weight);
// PyTorch's lerp: fma(weight, model - average, average) below a weight of 0.5, else model - (model - average) · (1 -
// weight), fused.
bool mk_average_lerp(
  void *average, mk_float type, const void *model, mk_float model_type, size_t count, double weight);
// average + (model - average) / divisor, each step rounded.
bool mk_average_running(
  void *average, mk_float type, const void *model, mk_float model_type, size_t count, double divisor);

// Random numbers

enum { MK_TWISTER_WORDS = 624 };

// A Mersenne Twister MT19937: its words, and how many of them have been used; at 624 the next draw makes new ones.
typedef struct mk_twister {
  uint32_t *words;
  size_t used;
} mk_twister;

// The words of a seed; none of them has been made yet, so `used` is 624. With a key of `length` (at least 1) words as
// Python seeds.
void mk_twister_seed(uint32_t *words, uint32_t seed);
void mk_twister_seed_with_key(uint32_t *words, const uint32_t *key, size_t length);
// Makes the words anew when all are used; mk_twister_draw does so itself.
void mk_twister_refill(uint32_t *words);
// The next draws. dst is aligned.
void mk_twister_draw(mk_twister *twister, uint32_t *dst, size_t count);

// The numbers that torch's CPU generator makes. `type` is float64, float32, float16 or bfloat16.

// Uniform in [from, to): from + u · (to - from), fused, in float32 (float64 in double); in half precision what rounds
// to `to` becomes `from`.
void mk_torch_uniform(mk_twister *twister, void *dst, size_t count, mk_float type, double from, double to);
// Normal numbers, at least 16 of them, by Box and Muller's method over blocks of 16 uniform ones. In float32, and for
// the half formats, torch's own logarithm, sine and cosine for AVX2, bit for bit.
void mk_torch_normal(mk_twister *twister, void *dst, size_t count, mk_float type, double mean, double deviation);
// base + draw % range, as integers of `size` bytes (1, 2, 4, 8); range 0 stands for 2^64. From 2^28 on a draw has 64
// bits.
void mk_torch_integers(mk_twister *twister, void *dst, size_t count, size_t size, uint64_t range, int64_t base);
// A permutation of 0 ..< count. From 2^32 / 20 on a draw has 64 bits and the shuffle runs the other way.
void mk_torch_permutation(mk_twister *twister, int64_t *dst, size_t count);
// Bytes: 1 where a uniform double is below p.
void mk_torch_bernoulli(mk_twister *twister, uint8_t *dst, size_t count, double p);
// The same with a probability for each: of float64 by a uniform double, of another type by a uniform float32.
void mk_torch_bernoulli_each(mk_twister *twister, uint8_t *dst, const void *p, size_t count, mk_float type);

// Puts src's element in place of each of dst's that is below `low` or above `high`; returns how many of the results
// still are. Without src it only counts.
size_t mk_replace_outside(void *dst, const void *src, size_t count, mk_float type, double low, double high);

// Operations of models, on float32, at aligned addresses. Strides count elements, and an operand may be the result where
// they lie alike.

// Rows and columns of up to four arrays, the result's first, with the steps along both.
typedef struct mk_plane {
  size_t rows, columns;
  ptrdiff_t row[4], column[4];
} mk_plane;

// PyTorch's functions of the names. `a` and `b` are their parameters: alpha of MK_CELU and MK_ELU, lambda of the
// shrinks, beta and threshold of MK_SOFTPLUS, threshold and value of MK_THRESHOLD.
typedef enum mk_function {
  MK_CEIL, MK_CELU, MK_COS, MK_ELU, MK_ERF, MK_FLOOR, MK_HARDSHRINK, MK_HARDSIGMOID, MK_LOG_SIGMOID, MK_NEGATE, MK_NOT,
  MK_RECIPROCAL, MK_ROUND, MK_RSQRT, MK_SELU, MK_SIGN, MK_SIN, MK_SOFTPLUS, MK_SOFTSHRINK, MK_SOFTSIGN, MK_TAN,
  MK_TANHSHRINK, MK_THRESHOLD,
} mk_function;
void mk_unary(mk_function function, float a, float b, float *dst, const float *src, size_t count);

// Functions of two elements; a minimum or maximum with NaN is NaN, MK_PRELU is x above 0, else x · y.
typedef enum mk_pair {
  MK_ADD, MK_SUBTRACT, MK_MULTIPLY, MK_DIVIDE, MK_MINIMUM, MK_MAXIMUM, MK_FLOOR_DIVIDE, MK_REMAINDER, MK_AND, MK_OR,
  MK_XOR, MK_PRELU, MK_POWER,
} mk_pair;
void mk_binary(mk_pair function, float *dst, const float *a, const float *b, const mk_plane *p);

typedef enum mk_relation {
  MK_EQUAL, MK_NOT_EQUAL, MK_LESS, MK_LESS_OR_EQUAL, MK_GREATER, MK_GREATER_OR_EQUAL,
} mk_relation;
// Bytes: 1 where the relation holds.
void mk_relate(mk_relation relation, uint8_t *dst, const float *a, const float *b, const mk_plane *p);
// a where the condition is not 0, else b; elements of `size` bytes (1, 2, 4, 8). The plane's arrays: dst, condition, a, b.
void mk_choose(void *dst, const uint8_t *condition, const void *a, const void *b, size_t size, const mk_plane *p);
// src · scale + shift. The plane's arrays: dst, src, scale, shift.
void mk_affine(float *dst, const float *src, const float *scale, const float *shift, const mk_plane *p);
// Copies elements of `size` bytes (1, 2, 4, 8, 16); dst and src do not overlap.
void mk_move(void *dst, const void *src, size_t size, const mk_plane *p);

// What is made of numbers along an axis. MK_DEVIATIONS are squares of differences from the columns' centers.
typedef enum mk_measure { MK_SUM, MK_LARGEST, MK_SMALLEST, MK_PRODUCT, MK_SQUARES, MK_DEVIATIONS } mk_measure;
// Adds each of the columns' rows to its total, in double.
void mk_accumulate(
  mk_measure measure, double *totals, const float *src, size_t rows, size_t columns, ptrdiff_t row, ptrdiff_t column,
  const double *centers);
// Each row of `count` numbers divided by the root of its mean square, which is computed in double, less its mean first
// where it is centered; times weight, plus bias, which may be null.
void mk_normalize(
  float *dst, const float *src, size_t rows, size_t count, double eps, bool is_centered, const float *weight,
  const float *bias);

// How a mask acts on scores: it is added (float32), or a zero byte takes them out.
typedef enum mk_mask { MK_UNMASKED, MK_ADDED_MASK, MK_KEEPING_MASK } mk_mask;
// The softmax of scaled scores, in their place; all 0 where every score is taken out.
void mk_attend(float *scores, size_t count, float scale, mk_mask kind, const void *mask, ptrdiff_t stride);

// The sum of rows of channels, each times a weight.
void mk_mix(float *dst, size_t channels, size_t count, const float *const *rows, const float *weights);

typedef enum mk_cell { MK_RNN_TANH, MK_RNN_RELU, MK_LSTM, MK_GRU } mk_cell;
// The next state of one entry of a batch, from its gates' input and state parts (PyTorch's order, `hidden` numbers a
// gate) and its last state; an LSTM's memory becomes the next one.
void mk_gates(
  mk_cell cell, float *next, float *memory, const float *input, const float *state, const float *last, size_t hidden);

// Gradients, on float32

// gradient · the function's derivative at src, or for MK_D_EXP, MK_D_RECIPROCAL, MK_D_RELU, MK_D_RSQRT, MK_D_SIGMOID,
// MK_D_SQRT and MK_D_TANH at a result. `a` and `b`: the ends of MK_D_CLIP, alpha of MK_D_ELU, the slope of
// MK_D_LEAKY_RELU, beta and threshold of MK_D_SOFTPLUS.
typedef enum mk_derivative {
  MK_D_ABS, MK_D_CLIP, MK_D_ELU, MK_D_EXP, MK_D_GELU, MK_D_HARDSIGMOID, MK_D_HARDSWISH, MK_D_LEAKY_RELU, MK_D_LOG,
  MK_D_LOG_SIGMOID, MK_D_MISH, MK_D_RECIPROCAL, MK_D_RELU, MK_D_RSQRT, MK_D_SIGMOID, MK_D_SILU, MK_D_SOFTPLUS,
  MK_D_SQRT, MK_D_SQUARE, MK_D_TANH, MK_D_TANH_GELU,
} mk_derivative;
void mk_derive(
  mk_derivative kind, float a, float b, float *dst, const float *src, const float *gradient, size_t count);

// Adds the gradient of a window's result to the window's `count` places, each with `channels` side by side: with src
// and result (a maximum's) to the first that equals it, else times the factor to all. `taken` is scratch, a byte for
// each channel.
void mk_window_gradient(
  float *dst, const float *gradient, const float *src, const float *result, uint8_t *taken, size_t channels,
  const ptrdiff_t *places, size_t count, float factor);

// The gradient of what mk_normalize normalises. Where they are not null, adds those of the weight to `products` and
// those of the bias to `sums`. dst may be the gradient.
void mk_norm_rows_gradient(
  float *dst, const float *gradient, const float *src, size_t rows, size_t count, double eps, bool is_centered,
  const float *weight, double *products, double *sums);

// What follows a norm. MK_SILU is off by a few units in the last place.
typedef enum mk_activation { MK_NO_ACTIVATION, MK_RELU, MK_LEAKY_RELU, MK_SILU, MK_HARDSWISH } mk_activation;

// Adds, for each of `channels` that lie side by side, the sums of x - pivot and of its square over the rows. Up to 64
// rows are summed in float32, the rest in double. Squares are fused where the machine has it.
void mk_channel_moments(
  double *sums, double *squares, const float *src, size_t rows, size_t channels, ptrdiff_t row, const float *pivot);

typedef struct mk_normalization {
  size_t channels;
  const float *scale, *shift;
  mk_activation activation;
  float slope;
  // Whether the addend comes before the activation.
  bool adds_before;
  // The steps from one row to the next.
  ptrdiff_t dst_row, src_row, addend_row;
} mk_normalization;
// activation(src · scale + shift), with an addend before or behind where that is not null; fused where the machine has
// it.
void mk_normalize_channels(
  const mk_normalization *n, float *dst, const float *src, const float *addend, size_t rows);

typedef struct mk_norm_gradient {
  size_t channels;
  const float *mean, *scale, *shift;
  // Of the input's gradient: factor · g + tilt · (x - mean) + offset.
  const float *factor, *tilt, *offset;
  mk_activation activation;
  float slope;
  ptrdiff_t dst_row, src_row, gradient_row, result_row, kept_row;
} mk_norm_gradient;
// g is the gradient times the activation's derivative: at the result where that is not null, else at src · scale +
// shift. Adds the sums of g and of g · (x - mean), and puts g into `kept` where that is not null. Fused where the
// machine has it, as is what follows.
void mk_norm_gradient_sums(
  const mk_norm_gradient *n, double *sums, double *products, const float *gradient, const float *src,
  const float *result, float *kept, size_t rows);
// The input's gradient. dst may be the gradient.
void mk_norm_gradient_rows(
  const mk_norm_gradient *n, float *dst, const float *gradient, const float *src, const float *result, size_t rows);

// Optimizers

// PyTorch's rules. The states, in order: SGD's momentum_buffer; Adam's exp_avg, exp_avg_sq and, for AMSGrad,
// max_exp_avg_sq; RMSprop's square_avg, momentum_buffer with momentum, grad_avg where it is centered; null for the rest.
typedef enum mk_optimizer_rule { MK_SGD, MK_ADAM, MK_RMSPROP } mk_optimizer_rule;
typedef enum mk_optimizer_average { MK_AVERAGE_NONE, MK_AVERAGE_MIX, MK_AVERAGE_LERP } mk_optimizer_average;
typedef struct mk_optimizer {
  mk_optimizer_rule rule;
  mk_optimizer_average average;
  // is_decoupled: AdamW's decay. is_first: SGD's buffer becomes the gradient.
  bool nesterov, is_decoupled, is_first, maximize, zeroes_gradient;
  double learning_rate, weight_decay, momentum, dampening, beta1, beta2, alpha, eps;
  // Adam's 1 - beta1^t and sqrt(1 - beta2^t).
  double first_correction, second_correction;
  // The gradient is multiplied by one (1 leaves it), then clamped to the other (INFINITY leaves it).
  double gradient_scale, gradient_limit;
  // What mk_average_mix and mk_average_lerp take.
  double average_keep, average_weight;
} mk_optimizer;
// One step over float32 or float64 elements, each with PyTorch's roundings: the parameter, its states, then its average
// (which may be null), and the gradient, which is only written to be zeroed. None of them may overlap.
void mk_optimize(
  void *parameter, void *gradient, void *const states[3], void *average, size_t count, mk_float type,
  const mk_optimizer *optimizer);

// Digests

// SHA-256 of the bytes.
void mk_sha256(const void *data, size_t count, uint8_t digest[32]);

#endif
