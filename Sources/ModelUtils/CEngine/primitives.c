#include "CEngine.h"
#include "dnnl_api.h"

#include <stdlib.h>
#include <string.h>

// API 2 keeps descriptions as structs, API 3 as pointers that are owned.
struct ce_layout {
  dnnl_memory_desc_t description;
};
#if CE_V3
typedef const_dnnl_memory_desc_t description;
static description of(const ce_layout *layout) { return layout ? layout->description : NULL; }
#else
typedef const dnnl_memory_desc_t *description;
static description of(const ce_layout *layout) { return layout ? &layout->description : NULL; }
#endif

struct ce_op {
  dnnl_primitive_desc_t description;
  dnnl_primitive_t primitive;
};

struct ce_binding {
  dnnl_primitive_t primitive;
  int count;
  dnnl_exec_arg_t arguments[];
};

enum { out_of_memory = dnnl_out_of_memory, invalid = dnnl_invalid_arguments };

// MARK: Layouts

static const dnnl_data_type_t types[] = {0, dnnl_f16, dnnl_bf16, dnnl_f32, dnnl_s32, dnnl_s8, dnnl_u8};

int ce_layout_create(ce_layout **out, int rank, const int64_t *lengths, ce_type type, const int64_t *strides) {
  if (rank < 1 || rank > CE_MAX_RANK) return invalid;
  ce_layout *layout = calloc(1, sizeof *layout);
  if (!layout) return out_of_memory;
#if CE_V3
  int status = strides ? ce_dnnl.memory_desc_create_with_strides(&layout->description, rank, lengths, types[type], strides)
                       : ce_dnnl.memory_desc_create_with_tag(&layout->description, rank, lengths, types[type], dnnl_format_tag_any);
#else
  int status = strides ? ce_dnnl.memory_desc_init_by_strides(&layout->description, rank, lengths, types[type], strides)
                       : ce_dnnl.memory_desc_init_by_tag(&layout->description, rank, lengths, types[type], dnnl_format_tag_any);
#endif
  if (status) {
    free(layout);
    return status;
  }
  *out = layout;
  return 0;
}

void ce_layout_destroy(ce_layout *layout) {
#if CE_V3
  if (layout) ce_dnnl.memory_desc_destroy(layout->description);
#endif
  free(layout);
}

size_t ce_layout_bytes(const ce_layout *layout) { return ce_dnnl.memory_desc_get_size(of(layout)); }

// MARK: Attributes

static const dnnl_alg_kind_t functions[] = {
  0, dnnl_eltwise_relu, dnnl_eltwise_swish, dnnl_eltwise_logistic, dnnl_eltwise_tanh, dnnl_eltwise_gelu_erf,
  dnnl_eltwise_gelu_tanh, dnnl_eltwise_hardswish, dnnl_eltwise_clip, dnnl_eltwise_linear, dnnl_eltwise_mish,
  dnnl_eltwise_exp, dnnl_eltwise_elu, dnnl_eltwise_abs, dnnl_eltwise_sqrt, dnnl_eltwise_square, dnnl_eltwise_log,
  dnnl_eltwise_soft_relu,
};
static const dnnl_alg_kind_t binaries[] = {
  0, dnnl_binary_add, dnnl_binary_mul, dnnl_binary_sub, dnnl_binary_div, dnnl_binary_max, dnnl_binary_min,
};
static const dnnl_alg_kind_t pools[] = {
  0, dnnl_pooling_max, dnnl_pooling_avg_exclude_padding, dnnl_pooling_avg_include_padding,
};

static int append(dnnl_post_ops_t list, const ce_post *post) {
  if (post->operand) return ce_dnnl.post_ops_append_binary(list, binaries[post->binary], of(post->operand));
#if CE_V3
  return ce_dnnl.post_ops_append_eltwise(list, functions[post->function], post->alpha, post->beta);
#else
  return ce_dnnl.post_ops_append_eltwise(list, 1, functions[post->function], post->alpha, post->beta);
#endif
}

// Scratch memory is the caller's, so that threads can run one primitive at once.
static int make_attributes(dnnl_primitive_attr_t *out, int count, const ce_post *posts) {
  int status = ce_dnnl.primitive_attr_create(out);
  if (status) return status;
  status = ce_dnnl.primitive_attr_set_scratchpad_mode(*out, dnnl_scratchpad_mode_user);
  dnnl_post_ops_t list = NULL;
  if (!status && count) {
    status = ce_dnnl.post_ops_create(&list);
    for (int i = 0; !status && i < count; i++) status = append(list, &posts[i]);
    if (!status) status = ce_dnnl.primitive_attr_set_post_ops(*out, list);
    if (list) ce_dnnl.post_ops_destroy(list);
  }
  if (status) ce_dnnl.primitive_attr_destroy(*out);
  return status;
}

// MARK: Primitives

static int finish(ce_op **out, int status, dnnl_primitive_desc_t description, dnnl_primitive_attr_t attributes) {
  ce_dnnl.primitive_attr_destroy(attributes);
  if (status) return status;
  ce_op *op = calloc(1, sizeof *op);
  status = op ? (int)ce_dnnl.primitive_create(&op->primitive, description) : out_of_memory;
  if (status) {
    ce_dnnl.primitive_desc_destroy(description);
    free(op);
    return status;
  }
  op->description = description;
  *out = op;
  return 0;
}

#define BEGIN(count, posts) \
  dnnl_primitive_attr_t attributes; \
  int status = make_attributes(&attributes, count, posts); \
  if (status) return status; \
  dnnl_primitive_desc_t made = NULL

// API 2: a description of the operation first.
#define DESCRIBE(type, init, ...) \
  dnnl_##type##_desc_t operation; \
  status = ce_dnnl.init##_desc_init(&operation, __VA_ARGS__); \
  if (!status) status = ce_dnnl.primitive_desc_create(&made, &operation, attributes, ce_engine, NULL)

typedef struct {
  dnnl_dims_t kernel, stride, dilation, before, after;
} dims;

// The library counts dilation from 0.
static dims widened(const ce_window *window) {
  dims d;
  memset(&d, 0, sizeof d);
  for (int i = 0; i < window->axes && i < 3; i++) {
    d.kernel[i] = window->kernel[i];
    d.stride[i] = window->stride[i];
    d.dilation[i] = window->dilation[i] - 1;
    d.before[i] = window->before[i];
    d.after[i] = window->after[i];
  }
  return d;
}

int ce_convolution(ce_op **out, const ce_layout *src, const ce_layout *weights, const ce_layout *bias, const ce_layout *dst,
  const ce_window *window, int count, const ce_post *posts) {
  BEGIN(count, posts);
  dims d = widened(window);
#if CE_V3
  status = ce_dnnl.convolution_forward_primitive_desc_create(&made, ce_engine, dnnl_forward_inference, dnnl_convolution_direct,
    of(src), of(weights), of(bias), of(dst), d.stride, d.dilation, d.before, d.after, attributes);
#else
  DESCRIBE(convolution, dilated_convolution_forward, dnnl_forward_inference, dnnl_convolution_direct, of(src), of(weights),
    of(bias), of(dst), d.stride, d.dilation, d.before, d.after);
#endif
  return finish(out, status, made, attributes);
}

int ce_deconvolution(ce_op **out, const ce_layout *src, const ce_layout *weights, const ce_layout *bias,
  const ce_layout *dst, const ce_window *window, int count, const ce_post *posts) {
  BEGIN(count, posts);
  dims d = widened(window);
#if CE_V3
  status = ce_dnnl.deconvolution_forward_primitive_desc_create(&made, ce_engine, dnnl_forward_inference,
    dnnl_deconvolution_direct, of(src), of(weights), of(bias), of(dst), d.stride, d.dilation, d.before, d.after, attributes);
#else
  DESCRIBE(deconvolution, dilated_deconvolution_forward, dnnl_forward_inference, dnnl_deconvolution_direct, of(src),
    of(weights), of(bias), of(dst), d.stride, d.dilation, d.before, d.after);
#endif
  return finish(out, status, made, attributes);
}

// The library asks for the forward's description when it makes a backward one.
static int forward_hint(dnnl_primitive_desc_t *hint, bool is_transposed, const ce_layout *src, const ce_layout *weights,
  const ce_layout *dst, dims *d) {
  dnnl_primitive_attr_t attributes;
  int status = make_attributes(&attributes, 0, NULL);
  if (status) return status;
#if CE_V3
  status = is_transposed
    ? ce_dnnl.deconvolution_forward_primitive_desc_create(hint, ce_engine, dnnl_forward_training,
        dnnl_deconvolution_direct, of(src), of(weights), NULL, of(dst), d->stride, d->dilation, d->before, d->after, attributes)
    : ce_dnnl.convolution_forward_primitive_desc_create(hint, ce_engine, dnnl_forward_training, dnnl_convolution_direct,
        of(src), of(weights), NULL, of(dst), d->stride, d->dilation, d->before, d->after, attributes);
#else
  // Both are the same struct.
  dnnl_convolution_desc_t operation;
  status = is_transposed
    ? ce_dnnl.dilated_deconvolution_forward_desc_init(&operation, dnnl_forward_training, dnnl_deconvolution_direct, of(src),
        of(weights), NULL, of(dst), d->stride, d->dilation, d->before, d->after)
    : ce_dnnl.dilated_convolution_forward_desc_init(&operation, dnnl_forward_training, dnnl_convolution_direct, of(src),
        of(weights), NULL, of(dst), d->stride, d->dilation, d->before, d->after);
  if (!status) status = ce_dnnl.primitive_desc_create(hint, &operation, attributes, ce_engine, NULL);
#endif
  ce_dnnl.primitive_attr_destroy(attributes);
  return status;
}

int ce_convolution_data(ce_op **out, bool is_transposed, const ce_layout *src_gradient, const ce_layout *weights,
  const ce_layout *dst_gradient, const ce_window *window) {
  dims d = widened(window);
  dnnl_primitive_desc_t hint = NULL;
  int hinted = forward_hint(&hint, is_transposed, src_gradient, weights, dst_gradient, &d);
  if (hinted) return hinted;
  BEGIN(0, NULL);
#if CE_V3
  status = is_transposed
    ? ce_dnnl.deconvolution_backward_data_primitive_desc_create(&made, ce_engine, dnnl_deconvolution_direct, of(src_gradient),
        of(weights), of(dst_gradient), d.stride, d.dilation, d.before, d.after, hint, attributes)
    : ce_dnnl.convolution_backward_data_primitive_desc_create(&made, ce_engine, dnnl_convolution_direct, of(src_gradient),
        of(weights), of(dst_gradient), d.stride, d.dilation, d.before, d.after, hint, attributes);
#else
  dnnl_convolution_desc_t operation;
  status = is_transposed
    ? ce_dnnl.dilated_deconvolution_backward_data_desc_init(&operation, dnnl_deconvolution_direct, of(src_gradient),
        of(weights), of(dst_gradient), d.stride, d.dilation, d.before, d.after)
    : ce_dnnl.dilated_convolution_backward_data_desc_init(&operation, dnnl_convolution_direct, of(src_gradient), of(weights),
        of(dst_gradient), d.stride, d.dilation, d.before, d.after);
  if (!status) status = ce_dnnl.primitive_desc_create(&made, &operation, attributes, ce_engine, hint);
#endif
  ce_dnnl.primitive_desc_destroy(hint);
  return finish(out, status, made, attributes);
}

int ce_convolution_weights(ce_op **out, bool is_transposed, const ce_layout *src, const ce_layout *weights_gradient,
  const ce_layout *dst_gradient, const ce_window *window) {
  dims d = widened(window);
  dnnl_primitive_desc_t hint = NULL;
  int hinted = forward_hint(&hint, is_transposed, src, weights_gradient, dst_gradient, &d);
  if (hinted) return hinted;
  BEGIN(0, NULL);
#if CE_V3
  status = is_transposed
    ? ce_dnnl.deconvolution_backward_weights_primitive_desc_create(&made, ce_engine, dnnl_deconvolution_direct, of(src),
        of(weights_gradient), NULL, of(dst_gradient), d.stride, d.dilation, d.before, d.after, hint, attributes)
    : ce_dnnl.convolution_backward_weights_primitive_desc_create(&made, ce_engine, dnnl_convolution_direct, of(src),
        of(weights_gradient), NULL, of(dst_gradient), d.stride, d.dilation, d.before, d.after, hint, attributes);
#else
  dnnl_convolution_desc_t operation;
  status = is_transposed
    ? ce_dnnl.dilated_deconvolution_backward_weights_desc_init(&operation, dnnl_deconvolution_direct, of(src),
        of(weights_gradient), NULL, of(dst_gradient), d.stride, d.dilation, d.before, d.after)
    : ce_dnnl.dilated_convolution_backward_weights_desc_init(&operation, dnnl_convolution_direct, of(src),
        of(weights_gradient), NULL, of(dst_gradient), d.stride, d.dilation, d.before, d.after);
  if (!status) status = ce_dnnl.primitive_desc_create(&made, &operation, attributes, ce_engine, hint);
#endif
  ce_dnnl.primitive_desc_destroy(hint);
  return finish(out, status, made, attributes);
}

int ce_pooling(ce_op **out, ce_pool kind, const ce_layout *src, const ce_layout *dst, const ce_window *window) {
  BEGIN(0, NULL);
  dims d = widened(window);
#if CE_V3
  status = ce_dnnl.pooling_forward_primitive_desc_create(&made, ce_engine, dnnl_forward_inference, pools[kind], of(src),
    of(dst), d.stride, d.kernel, d.dilation, d.before, d.after, attributes);
#else
  DESCRIBE(pooling_v2, pooling_v2_forward, dnnl_forward_inference, pools[kind], of(src), of(dst), d.stride, d.kernel,
    d.dilation, d.before, d.after);
#endif
  return finish(out, status, made, attributes);
}

int ce_matmul(ce_op **out, const ce_layout *a, const ce_layout *b, const ce_layout *bias, const ce_layout *dst, int count,
  const ce_post *posts) {
  BEGIN(count, posts);
#if CE_V3
  status = ce_dnnl.matmul_primitive_desc_create(&made, ce_engine, of(a), of(b), of(bias), of(dst), attributes);
#else
  DESCRIBE(matmul, matmul, of(a), of(b), of(bias), of(dst));
#endif
  return finish(out, status, made, attributes);
}

int ce_eltwise(ce_op **out, ce_function function, float alpha, float beta, const ce_layout *src, const ce_layout *dst) {
  BEGIN(0, NULL);
#if CE_V3
  status = ce_dnnl.eltwise_forward_primitive_desc_create(&made, ce_engine, dnnl_forward_inference, functions[function],
    of(src), of(dst), alpha, beta, attributes);
#else
  (void)dst;
  DESCRIBE(eltwise, eltwise_forward, dnnl_forward_inference, functions[function], of(src), alpha, beta);
#endif
  return finish(out, status, made, attributes);
}

int ce_softmax(ce_op **out, const ce_layout *src, const ce_layout *dst, int axis, bool is_logarithm) {
  BEGIN(0, NULL);
  dnnl_alg_kind_t kind = is_logarithm ? dnnl_softmax_log : dnnl_softmax_accurate;
#if CE_V3
  status = ce_dnnl.softmax_forward_primitive_desc_create(&made, ce_engine, dnnl_forward_inference, kind, of(src), of(dst),
    axis, attributes);
#else
  DESCRIBE(softmax_v2, softmax_v2_forward, dnnl_forward_inference, kind, of(src), of(dst), axis);
#endif
  return finish(out, status, made, attributes);
}

int ce_reorder(ce_op **out, const ce_layout *from, const ce_layout *to) {
  BEGIN(0, NULL);
  status = ce_dnnl.reorder_primitive_desc_create(&made, of(from), ce_engine, of(to), ce_engine, attributes);
  return finish(out, status, made, attributes);
}

void ce_op_destroy(ce_op *op) {
  if (!op) return;
  ce_dnnl.primitive_destroy(op->primitive);
  ce_dnnl.primitive_desc_destroy(op->description);
  free(op);
}

// MARK: Asking

const char *ce_op_implementation(const ce_op *op) {
  const char *text = NULL;
  ce_dnnl.primitive_desc_query(op->description, dnnl_query_impl_info_str, 0, (void *)&text);
  return text ? text : "";
}

ce_layout *ce_op_layout(const ce_op *op, int argument) {
  description found = ce_dnnl.primitive_desc_query_md(op->description, dnnl_query_exec_arg_md, argument);
  ce_layout *layout = found ? calloc(1, sizeof *layout) : NULL;
  if (!layout) return NULL;
#if CE_V3
  if (ce_dnnl.memory_desc_clone(&layout->description, found)) {
    free(layout);
    return NULL;
  }
#else
  layout->description = *found;
#endif
  return layout;
}

size_t ce_op_scratchpad(const ce_op *op) {
  description found = ce_dnnl.primitive_desc_query_md(op->description, dnnl_query_scratchpad_md, 0);
  return found ? ce_dnnl.memory_desc_get_size(found) : 0;
}

int ce_post_argument(int place) { return DNNL_ARG_ATTR_MULTIPLE_POST_OP(place) | DNNL_ARG_SRC_1; }

// MARK: Running

int ce_bind(ce_binding **out, const ce_op *op, int count, const int *arguments, void *const *memory) {
  ce_binding *binding = calloc(1, sizeof *binding + (size_t)count * sizeof(dnnl_exec_arg_t));
  if (!binding) return out_of_memory;
  binding->primitive = op->primitive;
  for (int i = 0; i < count; i++) {
    description found = ce_dnnl.primitive_desc_query_md(op->description, dnnl_query_exec_arg_md, arguments[i]);
    int status = found ? (int)ce_dnnl.memory_create(&binding->arguments[i].memory, found, ce_engine, memory[i]) : invalid;
    if (status) {
      ce_binding_destroy(binding);
      return status;
    }
    binding->arguments[i].arg = arguments[i];
    binding->count++;
  }
  *out = binding;
  return 0;
}

int ce_run(const ce_binding *binding) {
  return ce_dnnl.primitive_execute(binding->primitive, ce_stream, binding->count, binding->arguments);
}

void ce_binding_destroy(ce_binding *binding) {
  if (!binding) return;
  for (int i = 0; i < binding->count; i++) ce_dnnl.memory_destroy(binding->arguments[i].memory);
  free(binding);
}
