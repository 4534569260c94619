// What the engine asks of oneDNN, whichever of its APIs 2 and 3 the headers are of. Layouts and operations are opaque,
// numbers are this header's own, and every function that can fail returns a status: 0, or the library's.
//
// The library is loaded at run time, so that a process that computes nothing does not pay for it.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// The most axes of a tensor.
enum { CE_MAX_RANK = 6 };

/// How one tensor lies in memory.
typedef struct ce_layout ce_layout;
/// A primitive, made for given layouts. Several threads may run it at once, each with its own bindings.
typedef struct ce_op ce_op;
/// A primitive with the memory that it runs on.
typedef struct ce_binding ce_binding;

typedef enum { CE_FLOAT16 = 1, CE_BFLOAT16, CE_FLOAT32, CE_INT32, CE_INT8, CE_UINT8 } ce_type;

typedef enum {
  CE_RELU = 1, CE_SWISH, CE_LOGISTIC, CE_TANH, CE_GELU_ERF, CE_GELU_TANH, CE_HARDSWISH, CE_CLIP, CE_LINEAR, CE_MISH, CE_EXP,
  CE_ELU, CE_ABS, CE_SQRT, CE_SQUARE, CE_LOG, CE_SOFT_RELU,
} ce_function;

typedef enum { CE_ADD = 1, CE_MULTIPLY, CE_SUBTRACT, CE_DIVIDE, CE_MAXIMUM, CE_MINIMUM } ce_binary;
typedef enum { CE_MAX_POOL = 1, CE_MEAN_WITHOUT_PADDING, CE_MEAN_WITH_PADDING } ce_pool;

/// What a primitive takes and gives. Operands of binary functions behind it are `ce_post_argument(place)`.
typedef enum {
  CE_SRC = 1, CE_SRC_1 = 2, CE_DST = 17, CE_WEIGHTS = 33, CE_BIAS = 41, CE_MEAN = 49, CE_VARIANCE = 50, CE_SCALE = 51,
  CE_SHIFT = 52, CE_SCRATCHPAD = 80, CE_SRC_GRADIENT = 129, CE_DST_GRADIENT = 145, CE_WEIGHTS_GRADIENT = 161,
} ce_argument;

/// Something computed on the result before it is stored.
typedef struct {
  ce_function function;   // of each element, where `operand` is null
  float alpha, beta;
  ce_binary binary;       // with another tensor
  const ce_layout *operand;
} ce_post;

enum { CE_MAX_POSTS = 4 };

/// How a window slides over the spatial axes, the first one first.
typedef struct {
  int axes;
  int64_t kernel[3], stride[3], dilation[3], before[3], after[3];  // a dilation of 1 is none
} ce_window;

/// Loads the library, once. Where that fails, the reason.
bool ce_load(const char **reason);
/// How many threads the library's primitives that this thread makes and runs use.
void ce_set_threads(int count);
/// Whether the processor multiplies bfloat16 by itself.
bool ce_has_bfloat16(void);
/// The status in words.
const char *ce_status_text(int status);

/// A tensor with strides in elements; with no strides the primitive that it is given to chooses.
int ce_layout_create(ce_layout **, int rank, const int64_t *lengths, ce_type, const int64_t *strides);
void ce_layout_destroy(ce_layout *);
size_t ce_layout_bytes(const ce_layout *);

int ce_convolution(ce_op **, const ce_layout *src, const ce_layout *weights, const ce_layout *bias, const ce_layout *dst,
  const ce_window *, int posts, const ce_post *);
int ce_deconvolution(ce_op **, const ce_layout *src, const ce_layout *weights, const ce_layout *bias, const ce_layout *dst,
  const ce_window *, int posts, const ce_post *);
/// The gradient of a convolution's input, and that of its weights.
int ce_convolution_data(ce_op **, bool is_transposed, const ce_layout *src_gradient, const ce_layout *weights,
  const ce_layout *dst_gradient, const ce_window *);
int ce_convolution_weights(ce_op **, bool is_transposed, const ce_layout *src, const ce_layout *weights_gradient,
  const ce_layout *dst_gradient, const ce_window *);
int ce_pooling(ce_op **, ce_pool, const ce_layout *src, const ce_layout *dst, const ce_window *);
int ce_matmul(ce_op **, const ce_layout *a, const ce_layout *b, const ce_layout *bias, const ce_layout *dst, int posts,
  const ce_post *);
int ce_eltwise(ce_op **, ce_function, float alpha, float beta, const ce_layout *src, const ce_layout *dst);
int ce_softmax(ce_op **, const ce_layout *src, const ce_layout *dst, int axis, bool is_logarithm);
int ce_reorder(ce_op **, const ce_layout *from, const ce_layout *to);
void ce_op_destroy(ce_op *);

/// Which of the library's implementations it is, such as `brgconv:avx512_core`; those with `ref` in them are slow.
const char *ce_op_implementation(const ce_op *);
/// The layout of an argument as the primitive chose it; null where it has none.
ce_layout *ce_op_layout(const ce_op *, int argument);
/// The bytes that it needs while it runs.
size_t ce_op_scratchpad(const ce_op *);
/// The number of the operand of the binary function that stands at a place among the posts.
int ce_post_argument(int place);

int ce_bind(ce_binding **, const ce_op *, int count, const int *arguments, void *const *memory);
int ce_run(const ce_binding *);
void ce_binding_destroy(ce_binding *);
