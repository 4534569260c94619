#include "simd.h"

#include <math.h>

#pragma STDC FP_CONTRACT OFF

enum { CHANNELS = 3, COLUMN = CHANNELS };

// Affine: OpenCV 5's warpAffine with INTER_LINEAR, in float, and one grey beyond the picture.

typedef struct place {
  long x, y;
  float right, down;
} place;

static float sample(const uint8_t *src, size_t width, size_t height, place at, size_t channel, float border) {
  float corners[2][2];
  for (int row = 0; row < 2; ++row)
    for (int column = 0; column < 2; ++column) {
      long x = at.x + column, y = at.y + row;
      bool is_inside = x >= 0 && y >= 0 && (size_t)x < width && (size_t)y < height;
      corners[row][column] = is_inside ? src[((size_t)y * width + (size_t)x) * CHANNELS + channel] : border;
    }
  float above = corners[0][0] + at.right * (corners[0][1] - corners[0][0]);
  float below = corners[1][0] + at.right * (corners[1][1] - corners[1][0]);
  return above + at.down * (below - above);
}

MK_INLINE uint8_t byte_of(float value) {
  // Adding 2^23 leaves no room for a fraction: the sum is rounded to nearest even.
  value = (value + 8388608.f) - 8388608.f;
  return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

void mk_warp_pixels(
  uint8_t *dst, size_t width, const uint8_t *src, size_t in_width, size_t in_height, const float inverse[6], uint8_t border,
  size_t first, size_t count) {
  size_t step = in_width * CHANNELS;
  float right_end = (float)in_width, lower_end = (float)in_height;
  for (size_t y = first; y < first + count; ++y) {
    float row_x = inverse[1] * (float)y + inverse[2], row_y = inverse[4] * (float)y + inverse[5];
    for (size_t x = 0; x < width; ++x, dst += CHANNELS) {
      // The original rounds product and sum at once; of floats the product is whole in double.
      float at_x = (float)((double)inverse[0] * (double)x + (double)row_x);
      float at_y = (float)((double)inverse[3] * (double)x + (double)row_y);
      // Not a number is outside too.
      if (!(at_x > -1 && at_x < right_end && at_y > -1 && at_y < lower_end)) {
        for (size_t c = 0; c < CHANNELS; ++c) dst[c] = border;
        continue;
      }
      place at = {.x = (long)at_x, .y = (long)at_y};
      at.x -= (float)at.x > at_x;
      at.y -= (float)at.y > at_y;
      at.right = at_x - (float)at.x;
      at.down = at_y - (float)at.y;
      if (at.x >= 0 && at.y >= 0 && (size_t)at.x + 1 < in_width && (size_t)at.y + 1 < in_height) {
        const uint8_t *from = src + (size_t)at.y * step + (size_t)at.x * CHANNELS;
        for (size_t c = 0; c < CHANNELS; ++c, ++from) {
          float above = from[0] + at.right * (float)(from[COLUMN] - from[0]);
          float below = from[step] + at.right * (float)(from[step + COLUMN] - from[step]);
          dst[c] = byte_of(above + at.down * (below - above));
        }
      } else {
        for (size_t c = 0; c < CHANNELS; ++c) dst[c] = byte_of(sample(src, in_width, in_height, at, c, border));
      }
    }
  }
}

// Hue, saturation and value as OpenCV has them for bytes: to them by division tables of 12 bits, back in float.

enum { HUES = 180, SHIFT = 12, HALF = 1 << (SHIFT - 1) };

typedef struct hsv {
  uint8_t hue, saturation, value;
} hsv;

static hsv hsv_of(const uint8_t *rgb, const int *saturations, const int *hues) {
  int r = rgb[0], g = rgb[1], b = rgb[2];
  int high = r > g ? r : g, low = r < g ? r : g;
  high = high > b ? high : b;
  low = low < b ? low : b;
  int range = high - low;
  int hue = high == r ? g - b : high == g ? b - r + 2 * range : r - g + 4 * range;
  hue = (hue * hues[range] + HALF) >> SHIFT;
  return (hsv){
    (uint8_t)(hue < 0 ? hue + HUES : hue), (uint8_t)((range * saturations[high] + HALF) >> SHIFT), (uint8_t)high};
}

static void rgb_of(uint8_t *rgb, hsv pixel) {
  // Which of the four levels blue, green and red have, for each sixth of the circle.
  static const uint8_t levels[6][CHANNELS] = {{1, 3, 0}, {1, 0, 2}, {3, 0, 1}, {0, 2, 1}, {0, 1, 3}, {2, 1, 0}};
  float hue = pixel.hue * (float)(6 / 180.), s = pixel.saturation * (float)(1 / 255.), v = pixel.value * (float)(1 / 255.);
  int sixth = (int)hue;
  float part = hue - (float)sixth;
  // 1 - s · part is rounded once; of floats the product is whole in double.
  double share = s;
  float level[4] = {
    v, v * (1 - s), v * (float)(1 - share * (double)part), v * (float)(1 - share * (double)(1 - part))};
  for (size_t c = 0; c < CHANNELS; ++c) rgb[c] = (uint8_t)(level[levels[sixth % 6][CHANNELS - 1 - c]] * 255);
}

void mk_adjust_hsv(uint8_t *pixels, size_t count, const uint8_t *hue, const uint8_t *saturation, const uint8_t *value) {
  int saturations[256] = {0}, hues[256] = {0};
  for (int i = 1; i < 256; ++i) {
    saturations[i] = (int)lrint((255 << SHIFT) / (double)i);
    hues[i] = (int)lrint((HUES << SHIFT) / (6. * i));
  }
  for (size_t i = 0; i < count; ++i, pixels += CHANNELS) {
    hsv pixel = hsv_of(pixels, saturations, hues);
    rgb_of(pixels, (hsv){hue[pixel.hue], saturation[pixel.saturation], value[pixel.value]});
  }
}

void mk_mix_bytes(uint8_t *dst, const uint8_t *other, size_t count, double share) {
  double rest = 1 - share;
  MK_INDEPENDENT
  for (size_t i = 0; i < count; ++i) dst[i] = (uint8_t)(dst[i] * share + other[i] * rest);
}

// OpenCV's resize with INTER_AREA of a picture that becomes smaller: each pixel is the mean of what it covers.

typedef struct cell {
  size_t low, high;
  float first, inner, last;
} cell;

// The elements low ..< high, of which the first and the last may be covered in part.
static cell cell_at(size_t place, size_t in, double scale) {
  double start = (double)place * scale, end = start + scale;
  double width = scale < (double)in - start ? scale : (double)in - start;
  double low = ceil(start), high = floor(end);
  if (high > (double)in - 1) high = (double)in - 1;
  if (low > high) low = high;
  cell result = {(size_t)low, (size_t)high, 0, (float)(1 / width), 0};
  if (low - start > 1e-3) {
    --result.low;
    result.first = (float)((low - start) / width);
  } else {
    result.first = result.inner;
  }
  if (end - high > 1e-3) {
    double part = end - high < 1 ? end - high : 1;
    result.last = (float)((part < width ? part : width) / width);
    ++result.high;
  } else {
    result.last = result.inner;
  }
  // What is the only one is covered as the last, or as the first.
  if (result.high == result.low + 1 && low == high) result.first = low - start > 1e-3 ? result.first : result.last;
  return result;
}

static float share_of(const cell *cell, size_t index) {
  return index == cell->low ? cell->first : index + 1 == cell->high ? cell->last : cell->inner;
}

static void shrink_row(float *dst, const uint8_t *src, const cell *cells, size_t width) {
  for (size_t x = 0; x < width; ++x, dst += CHANNELS) {
    float sums[CHANNELS] = {0};
    for (size_t i = cells[x].low; i < cells[x].high; ++i) {
      float share = share_of(&cells[x], i);
      for (size_t c = 0; c < CHANNELS; ++c) sums[c] = sums[c] + src[i * CHANNELS + c] * share;
    }
    for (size_t c = 0; c < CHANNELS; ++c) dst[c] = sums[c];
  }
}

static void average_row(uint8_t *dst, const uint8_t *src, size_t width, size_t in_width, size_t across, size_t down) {
  float scale = 1.f / (float)(across * down);
  for (size_t x = 0; x < width; ++x)
    for (size_t c = 0; c < CHANNELS; ++c) {
      size_t sum = 0;
      for (size_t y = 0; y < down; ++y)
        for (size_t i = 0; i < across; ++i) sum += src[(y * in_width + x * across + i) * CHANNELS + c];
      *dst++ = across == 2 && down == 2 ? (uint8_t)((sum + 2) >> 2) : byte_of((float)sum * scale);
    }
}

size_t mk_shrink_pixels_scratch(size_t width) { return width * (sizeof(cell) + 2 * CHANNELS * sizeof(float)); }

void mk_shrink_pixels(
  uint8_t *dst, size_t width, size_t height, const uint8_t *src, size_t in_width, size_t in_height, size_t first,
  size_t count, void *scratch) {
  if (in_width % width == 0 && in_height % height == 0) {
    size_t across = in_width / width, down = in_height / height;
    for (size_t y = first; y < first + count; ++y, dst += width * CHANNELS)
      average_row(dst, src + y * down * in_width * CHANNELS, width, in_width, across, down);
    return;
  }
  cell *cells = scratch;
  float *row = (float *)(cells + width), *sums = row + width * CHANNELS;
  double across = 1. / ((double)width / (double)in_width), down = 1. / ((double)height / (double)in_height);
  for (size_t x = 0; x < width; ++x) cells[x] = cell_at(x, in_width, across);
  for (size_t y = first; y < first + count; ++y) {
    cell lines = cell_at(y, in_height, down);
    for (size_t line = lines.low; line < lines.high; ++line) {
      shrink_row(row, src + line * in_width * CHANNELS, cells, width);
      float share = share_of(&lines, line);
      for (size_t i = 0; i < width * CHANNELS; ++i) {
        float value = share * row[i];
        sums[i] = line == lines.low ? value : sums[i] + value;
      }
    }
    for (size_t i = 0; i < width * CHANNELS; ++i) *dst++ = byte_of(sums[i]);
  }
}
