// oneDNN's functions as a table that is filled at run time.
#pragma once

#if __has_include(<oneapi/dnnl/dnnl.h>)
#include <oneapi/dnnl/dnnl.h>
#elif __has_include("/opt/homebrew/include/oneapi/dnnl/dnnl.h")
#include "/opt/homebrew/include/oneapi/dnnl/dnnl.h"
#else
#error "oneDNN's headers are missing: make deps installs them (apt's libdnnl-dev, brew's onednn)"
#endif

#define CE_V3 (DNNL_VERSION_MAJOR >= 3)

#define CE_COMMON(X) \
  X(version) X(engine_create) X(stream_create) X(primitive_attr_create) X(primitive_attr_destroy) \
  X(primitive_attr_set_scratchpad_mode) X(primitive_attr_set_post_ops) X(post_ops_create) X(post_ops_destroy) \
  X(post_ops_append_eltwise) X(post_ops_append_binary) X(primitive_create) X(primitive_destroy) \
  X(primitive_desc_destroy) X(primitive_desc_query) X(primitive_desc_query_md) X(memory_desc_get_size) \
  X(memory_create) X(memory_destroy) X(primitive_execute) X(reorder_primitive_desc_create) \
  X(get_effective_cpu_isa)

#if CE_V3
#define CE_FUNCTIONS(X) CE_COMMON(X) \
  X(memory_desc_create_with_strides) X(memory_desc_create_with_tag) X(memory_desc_clone) X(memory_desc_destroy) \
  X(convolution_forward_primitive_desc_create) X(deconvolution_forward_primitive_desc_create) \
  X(convolution_backward_data_primitive_desc_create) X(convolution_backward_weights_primitive_desc_create) \
  X(deconvolution_backward_data_primitive_desc_create) X(deconvolution_backward_weights_primitive_desc_create) \
  X(pooling_forward_primitive_desc_create) X(matmul_primitive_desc_create) X(eltwise_forward_primitive_desc_create) \
  X(softmax_forward_primitive_desc_create)
#else
#define CE_FUNCTIONS(X) CE_COMMON(X) \
  X(memory_desc_init_by_strides) X(memory_desc_init_by_tag) X(primitive_desc_create) \
  X(dilated_convolution_forward_desc_init) X(dilated_deconvolution_forward_desc_init) \
  X(dilated_convolution_backward_data_desc_init) X(dilated_convolution_backward_weights_desc_init) \
  X(dilated_deconvolution_backward_data_desc_init) X(dilated_deconvolution_backward_weights_desc_init) \
  X(pooling_v2_forward_desc_init) X(matmul_desc_init) X(eltwise_forward_desc_init) \
  X(softmax_v2_forward_desc_init)
#endif

typedef struct {
#define X(name) __typeof__(dnnl_##name) *name;
  CE_FUNCTIONS(X)
#undef X
} ce_api;

extern ce_api ce_dnnl;
extern dnnl_engine_t ce_engine;
extern dnnl_stream_t ce_stream;
