// What is done to pictures: resampling, moving, colours. Included by CKernels.h.
#ifndef CKERNELS_PICTURES_H
#define CKERNELS_PICTURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The elements of pictures: bytes, whose 255 stands for 1, or floats.
typedef enum mk_sample { MK_SAMPLE_UINT8, MK_SAMPLE_FLOAT16, MK_SAMPLE_BFLOAT16, MK_SAMPLE_FLOAT32 } mk_sample;

// A plane resampled bilinearly, then padded on the right and at the bottom.
typedef struct mk_resampling {
  size_t in_height, in_width;
  // The part of the resampled plane that is kept: at most out_height x out_width.
  size_t height, width;
  // The result.
  size_t out_height, out_width;
  // From mk_resample_taps; row_* has `height` elements, column_* `width`.
  const int32_t *row_index, *column_index;
  const float *row_weight, *column_weight;
  // The axis does not change: its elements are copied, not weighted.
  bool same_height, same_width;
  float fill;
} mk_resampling;

// For the first `count` of `out` places along an axis of `in` (1 to 2^24) elements: the lower neighbour's index and the
// upper one's weight, as torch's interpolate (bilinear, align_corners=False) has them. The upper neighbour is min(index
// + 1, in - 1).
void mk_resample_taps(int32_t *index, float *weight, size_t count, size_t in, size_t out);
// The bytes of scratch memory that mk_resample_rows needs.
size_t mk_resample_scratch(const mk_resampling *plan);
// Rows first ..< first + count of the result, at dst, from the whole plane src. Computed in float32; bytes are read as
// value / 255 and become float32, floats keep their type and are rounded once.
void mk_resample_rows(
  void *dst, const void *src, mk_sample type, const mk_resampling *plan, size_t first, size_t count, void *scratch);

// Interleaved pixels (of 3 bytes, or 3 uint16) to three float32 planes `stride` floats apart: value / 255 or / 65535.
void mk_planes_from_pixels(float *dst, size_t stride, const void *src, size_t pixels, bool is_wide);
// The reverse: rounded to nearest (halves to even), clamped to [0, 1] first; NaN becomes 0.
void mk_pixels_from_planes(void *dst, const float *src, size_t stride, size_t pixels, bool is_wide);

// Reverses each row of `columns` elements of `size` bytes (1, 2 or 4): left and right exchanged. dst is not src.
void mk_reverse_rows(void *dst, const void *src, size_t rows, size_t columns, size_t size);

// Rows first ..< first + count of a picture of `width` x `height` pixels of 3 bytes, resampled from in_width x
// in_height as OpenCV's resize does with INTER_LINEAR, bit for bit. dst_stride is in bytes. Scratch:
// mk_resize_pixels_scratch bytes. Sizes are 1 to 2^24.
size_t mk_resize_pixels_scratch(size_t width);
void mk_resize_pixels(
  uint8_t *dst, size_t dst_stride, size_t width, size_t height, const uint8_t *src, size_t in_width, size_t in_height,
  size_t first, size_t count, void *scratch);
// The same with INTER_AREA for sizes that are not above in_width and in_height, within 1 of OpenCV 5. Rows lie side by
// side. Scratch: mk_shrink_pixels_scratch bytes.
size_t mk_shrink_pixels_scratch(size_t width);
void mk_shrink_pixels(
  uint8_t *dst, size_t width, size_t height, const uint8_t *src, size_t in_width, size_t in_height, size_t first,
  size_t count, void *scratch);

// Rows first ..< first + count, of `width` pixels of 3 bytes side by side, of a picture that an affine map makes of
// another, bilinearly, with a grey where there is none: OpenCV 5's warpAffine, bit for bit. The inverse gives for (x, y)
// the place (i0 x + i1 y + i2, i3 x + i4 y + i5) in the source. Sides of the source are below 2^24.
void mk_warp_pixels(
  uint8_t *dst, size_t width, const uint8_t *src, size_t in_width, size_t in_height, const float inverse[6], uint8_t border,
  size_t first, size_t count);

// Passes pixels of red, green and blue through tables of 256 for hue (0 to 179), saturation and value, as OpenCV
// 5 converts bytes there and back, bit for bit where rows have a multiple of 32 pixels: the rest of a row it rounds
// otherwise, by 1. The tables' hues are below 180.
void mk_adjust_hsv(uint8_t *pixels, size_t count, const uint8_t *hue, const uint8_t *saturation, const uint8_t *value);

// dst * share + other * (1 - share) in double, cut to a byte. The share is from 0 to 1.
void mk_mix_bytes(uint8_t *dst, const uint8_t *other, size_t count, double share);

#endif
