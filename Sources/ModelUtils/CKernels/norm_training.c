#include "lanes.h"

// Batch norms in training with the activation and the sum behind them, forward and backward. Rows are pixels, columns
// channels that lie side by side.

// NaN stays NaN in all of them.
MK_INLINE mk_lanes activated(mk_activation kind, float slope, mk_lanes z) {
  switch (kind) {
  case MK_RELU: return mk_either(z <= 0.0f, mk_all(0), z);
  case MK_LEAKY_RELU: return mk_either(z > 0.0f, z, z * slope);
  case MK_SILU: return mk_lanes_silu(z);
  case MK_HARDSWISH: {
    mk_lanes gate = z + 3.0f;
    gate = mk_either(gate < 0.0f, mk_all(0), gate);
    gate = mk_either(gate > 6.0f, mk_all(6), gate);
    return z * gate * (1.0f / 6);
  }
  default: return z;
  }
}

MK_INLINE mk_lanes derivative(mk_activation kind, float slope, mk_lanes z) {
  switch (kind) {
  case MK_RELU: return mk_either(z > 0.0f, mk_all(1), mk_all(0));
  case MK_LEAKY_RELU: return mk_either(z > 0.0f, mk_all(1), mk_all(slope));
  case MK_SILU: {
    mk_lanes s = 1.0f / (1.0f + mk_lanes_exp(-z));
    return s * (1.0f + z * (1.0f - s));
  }
  case MK_HARDSWISH: {
    mk_lanes inside = z * (1.0f / 3) + 0.5f;
    inside = mk_either(z > 3.0f, mk_all(1), inside);
    return mk_either(z < -3.0f, mk_all(0), inside);
  }
  default: return mk_all(1);
  }
}

// Rows whose sums are kept in float32 before they go into the totals.
enum { RUN = 64 };

// Channels that are summed side by side: enough for whole cache lines, and for sums that do not wait for each other.
enum { WIDE = 4 };

MK_INLINE void add_wide(double *totals, mk_lanes x, size_t left) {
  size_t count = left < MK_LANES ? left : MK_LANES;
  for (size_t i = 0; i < count; ++i) totals[i] += (double)x[i];
}

// Calls `block(c, blocks, left)` with a constant number of blocks.
#define FOR_EACH_BLOCK(channels, block)                                                                                \
  do {                                                                                                                 \
    size_t c = 0;                                                                                                      \
    for (; c + WIDE * MK_LANES <= (channels); c += WIDE * MK_LANES) block(c, WIDE, WIDE * MK_LANES);                   \
    for (; c < (channels); c += MK_LANES) block(c, 1, (channels) - c);                                                 \
  } while (0)

// Moments: the sums of x - pivot, and of its square.

MK_INLINE void moments_block(
  double *sums, double *squares, const float *src, size_t rows, ptrdiff_t row, const float *pivot, size_t blocks,
  size_t left) {
  mk_lanes center[WIDE], s[WIDE], q[WIDE];
  for (size_t b = 0; b < blocks; ++b) center[b] = mk_load_up_to(pivot + b * MK_LANES, left - b * MK_LANES);
  for (size_t first = 0; first < rows; first += RUN) {
    size_t end = first + RUN < rows ? first + RUN : rows;
    for (size_t b = 0; b < blocks; ++b) s[b] = q[b] = mk_all(0);
    for (size_t r = first; r < end; ++r) {
      const float *from = src + (ptrdiff_t)r * row;
      for (size_t b = 0; b < blocks; ++b) {
        mk_lanes x = mk_load_up_to(from + b * MK_LANES, left - b * MK_LANES) - center[b];
        s[b] += x;
        q[b] += x * x;
      }
    }
    for (size_t b = 0; b < blocks; ++b) {
      add_wide(sums + b * MK_LANES, s[b], left - b * MK_LANES);
      add_wide(squares + b * MK_LANES, q[b], left - b * MK_LANES);
    }
  }
}

MK_INLINE void mk_channel_moments_any(
  double *sums, double *squares, const float *src, size_t rows, size_t channels, ptrdiff_t row, const float *pivot) {
#define MOMENTS(c, blocks, left) moments_block(sums + c, squares + c, src + c, rows, row, pivot + c, blocks, left)
  FOR_EACH_BLOCK(channels, MOMENTS);
}

MK_INLINE void normalized_rows(
  mk_activation kind, const mk_normalization *n, float *dst, const float *src, const float *addend, size_t rows) {
  size_t channels = n->channels;
  for (size_t r = 0; r < rows; ++r) {
    const float *from = src + (ptrdiff_t)r * n->src_row;
    const float *added = addend ? addend + (ptrdiff_t)r * n->addend_row : NULL;
    float *to = dst + (ptrdiff_t)r * n->dst_row;
    for (size_t c = 0; c < channels; c += MK_LANES) {
      size_t left = channels - c;
      mk_lanes z = mk_load_up_to(from + c, left) * mk_load_up_to(n->scale + c, left) + mk_load_up_to(n->shift + c, left);
      mk_lanes a = added ? mk_load_up_to(added + c, left) : mk_all(0);
      if (added && n->adds_before) z += a;
      z = activated(kind, n->slope, z);
      if (added && !n->adds_before) z += a;
      mk_store_up_to(to + c, z, left);
    }
  }
}

MK_INLINE void mk_normalize_channels_any(
  const mk_normalization *n, float *dst, const float *src, const float *addend, size_t rows) {
  switch (n->activation) {
  case MK_RELU: return normalized_rows(MK_RELU, n, dst, src, addend, rows);
  case MK_LEAKY_RELU: return normalized_rows(MK_LEAKY_RELU, n, dst, src, addend, rows);
  case MK_SILU: return normalized_rows(MK_SILU, n, dst, src, addend, rows);
  case MK_HARDSWISH: return normalized_rows(MK_HARDSWISH, n, dst, src, addend, rows);
  case MK_NO_ACTIVATION: return normalized_rows(MK_NO_ACTIVATION, n, dst, src, addend, rows);
  }
}

// Backward: the gradient of the activation's operand.

MK_INLINE mk_lanes inner_gradient(
  mk_activation kind, float slope, mk_lanes gradient, mk_lanes x, mk_lanes scale, mk_lanes shift, mk_lanes result,
  bool has_result) {
  if (kind == MK_NO_ACTIVATION) return gradient;
  // By the result where there is one: a sum may have come between.
  return gradient * derivative(kind, slope, has_result ? result : x * scale + shift);
}

MK_INLINE void gradient_sums_block(
  mk_activation kind, const mk_norm_gradient *n, double *sums, double *products, const float *gradient, const float *src,
  const float *result, float *kept, size_t rows, size_t c, size_t blocks, size_t left) {
  mk_lanes scale[WIDE], shift[WIDE], mean[WIDE], s[WIDE], p[WIDE];
  for (size_t b = 0; b < blocks; ++b) {
    size_t place = b * MK_LANES;
    scale[b] = mk_load_up_to(n->scale + c + place, left - place);
    shift[b] = mk_load_up_to(n->shift + c + place, left - place);
    mean[b] = mk_load_up_to(n->mean + c + place, left - place);
  }
  for (size_t first = 0; first < rows; first += RUN) {
    size_t end = first + RUN < rows ? first + RUN : rows;
    for (size_t b = 0; b < blocks; ++b) s[b] = p[b] = mk_all(0);
    for (size_t r = first; r < end; ++r) {
      for (size_t b = 0; b < blocks; ++b) {
        ptrdiff_t place = (ptrdiff_t)(c + b * MK_LANES);
        size_t rest = left - b * MK_LANES;
        mk_lanes x = mk_load_up_to(src + (ptrdiff_t)r * n->src_row + place, rest);
        mk_lanes y = result ? mk_load_up_to(result + (ptrdiff_t)r * n->result_row + place, rest) : mk_all(0);
        mk_lanes g = mk_load_up_to(gradient + (ptrdiff_t)r * n->gradient_row + place, rest);
        g = inner_gradient(kind, n->slope, g, x, scale[b], shift[b], y, result != NULL);
        if (kept) mk_store_up_to(kept + (ptrdiff_t)r * n->kept_row + place, g, rest);
        s[b] += g;
        p[b] += g * (x - mean[b]);
      }
    }
    for (size_t b = 0; b < blocks; ++b) {
      add_wide(sums + c + b * MK_LANES, s[b], left - b * MK_LANES);
      add_wide(products + c + b * MK_LANES, p[b], left - b * MK_LANES);
    }
  }
}

MK_INLINE void gradient_sums(
  mk_activation kind, const mk_norm_gradient *n, double *sums, double *products, const float *gradient, const float *src,
  const float *result, float *kept, size_t rows) {
#define SUMS_OF(c, blocks, left)                                                                                       \
  gradient_sums_block(kind, n, sums, products, gradient, src, result, kept, rows, c, blocks, left)
  FOR_EACH_BLOCK(n->channels, SUMS_OF);
}

// dx = factor · g + slope · (x - mean) + offset, for each channel.
MK_INLINE void gradient_rows(
  mk_activation kind, const mk_norm_gradient *n, float *dst, const float *gradient, const float *src,
  const float *result, size_t rows) {
  for (size_t r = 0; r < rows; ++r) {
    const float *x_row = src + (ptrdiff_t)r * n->src_row, *g_row = gradient + (ptrdiff_t)r * n->gradient_row;
    const float *y_row = result ? result + (ptrdiff_t)r * n->result_row : NULL;
    float *to = dst + (ptrdiff_t)r * n->dst_row;
    for (size_t c = 0; c < n->channels; c += MK_LANES) {
      size_t left = n->channels - c;
      mk_lanes x = mk_load_up_to(x_row + c, left), y = y_row ? mk_load_up_to(y_row + c, left) : mk_all(0);
      mk_lanes g = inner_gradient(
        kind, n->slope, mk_load_up_to(g_row + c, left), x, mk_load_up_to(n->scale + c, left),
        mk_load_up_to(n->shift + c, left), y, y_row != NULL);
      mk_lanes centred = x - mk_load_up_to(n->mean + c, left);
      g = mk_load_up_to(n->factor + c, left) * g + mk_load_up_to(n->tilt + c, left) * centred;
      mk_store_up_to(to + c, g + mk_load_up_to(n->offset + c, left), left);
    }
  }
}

#define FOR_EACH_KIND(call)                                                                                            \
  switch (n->activation) {                                                                                             \
  case MK_RELU: return call(MK_RELU);                                                                                  \
  case MK_LEAKY_RELU: return call(MK_LEAKY_RELU);                                                                      \
  case MK_SILU: return call(MK_SILU);                                                                                  \
  case MK_HARDSWISH: return call(MK_HARDSWISH);                                                                        \
  case MK_NO_ACTIVATION: return call(MK_NO_ACTIVATION);                                                                \
  }

MK_INLINE void mk_norm_gradient_sums_any(
  const mk_norm_gradient *n, double *sums, double *products, const float *gradient, const float *src,
  const float *result, float *kept, size_t rows) {
#define SUMS(kind) gradient_sums(kind, n, sums, products, gradient, src, result, kept, rows)
  FOR_EACH_KIND(SUMS)
}

MK_INLINE void mk_norm_gradient_rows_any(
  const mk_norm_gradient *n, float *dst, const float *gradient, const float *src, const float *result, size_t rows) {
#define ROWS(kind) gradient_rows(kind, n, dst, gradient, src, result, rows)
  FOR_EACH_KIND(ROWS)
}

MK_PER_FUSED_LEVEL(
  mk_channel_moments,
  (double *sums, double *squares, const float *src, size_t rows, size_t channels, ptrdiff_t row, const float *pivot),
  (sums, squares, src, rows, channels, row, pivot))
MK_PER_FUSED_LEVEL(
  mk_normalize_channels,
  (const mk_normalization *n, float *dst, const float *src, const float *addend, size_t rows),
  (n, dst, src, addend, rows))
MK_PER_FUSED_LEVEL(
  mk_norm_gradient_sums,
  (const mk_norm_gradient *n, double *sums, double *products, const float *gradient, const float *src,
   const float *result, float *kept, size_t rows),
  (n, sums, products, gradient, src, result, kept, rows))
MK_PER_FUSED_LEVEL(
  mk_norm_gradient_rows,
  (const mk_norm_gradient *n, float *dst, const float *gradient, const float *src, const float *result, size_t rows),
  (n, dst, gradient, src, result, rows))
