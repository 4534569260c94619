#include "codecs.h"

#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

// What libpng's callbacks see. It lives outside of the functions that setjmp returns to.
typedef struct session {
  mc_error *error;
  const uint8_t *data;
  size_t size, position;
  mc_bytes *result;
  size_t capacity;
} session;

// libpng's own longjmp goes back to the setjmp in the function that called it.
static void fail(png_structp png, png_const_charp message) {
  session *state = png_get_error_ptr(png);
  mc_fail(state->error, message);
  png_longjmp(png, 1);
}

static void ignore(png_structp png, png_const_charp message) { (void)png, (void)message; }

static void read_bytes(png_structp png, png_bytep to, size_t count) {
  session *state = png_get_io_ptr(png);
  if (count > state->size - state->position) png_error(png, "the PNG file is truncated");
  memcpy(to, state->data + state->position, count);
  state->position += count;
}

static void write_bytes(png_structp png, png_bytep from, size_t count) {
  session *state = png_get_io_ptr(png);
  if (!mc_reserve(state->result, &state->capacity, count)) png_error(png, "out of memory");
  memcpy(state->result->data + state->result->size, from, count);
  state->result->size += count;
}

static void flush(png_structp png) { (void)png; }

// Everything becomes RGB, or RGBA where something is transparent, of 8 or 16 bits.
static void choose_transforms(png_structp png, png_infop info, bool is_wide) {
  int type = png_get_color_type(png, info);
  if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
  if (type == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(png);
  if (png_get_valid(png, info, PNG_INFO_tRNS)) png_set_tRNS_to_alpha(png);
  if (!(type & PNG_COLOR_MASK_COLOR)) png_set_gray_to_rgb(png);
  if (is_wide) {
    const uint16_t one = 1;
    if (*(const uint8_t *)&one) png_set_swap(png);
  }
}

// Over black: c · alpha, rounded to nearest. In place: three channels take the place of four.
static void composite(void *pixels, size_t count, bool is_wide) {
  if (is_wide) {
    const uint16_t *in = pixels;
    uint16_t *out = pixels;
    for (size_t i = 0; i < count; ++i, in += 4) {
      uint64_t alpha = in[3];
      for (int c = 0; c < 3; ++c) *out++ = (uint16_t)((in[c] * alpha + 32767) / 65535);
    }
  } else {
    const uint8_t *in = pixels;
    uint8_t *out = pixels;
    for (size_t i = 0; i < count; ++i, in += 4) {
      unsigned alpha = in[3];
      for (int c = 0; c < 3; ++c) *out++ = (uint8_t)((in[c] * alpha + 127) / 255);
    }
  }
}

// Deflate makes at most 1032 bytes of one: a file that is shorter than its rows need is refused before memory is taken
// for them.
static bool can_hold(png_structp png, png_infop info, size_t size, size_t width, size_t height) {
  size_t bits = (size_t)png_get_bit_depth(png, info) * png_get_channels(png, info);
  size_t row = (width * bits + 7) / 8;
  return height <= size * 1032 / row + 1;
}

static uint32_t big_endian(const uint8_t *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

// What the first eXIf chunk says, before the pixels or behind them. libpng has skipped it, its checksum apart, and may
// be too old to know it.
static int orientation(const uint8_t *data, size_t size) {
  enum { SIGNATURE = 8, HEAD = 8, CHECKSUM = 4 };
  for (size_t at = SIGNATURE; at < size && size - at >= HEAD + CHECKSUM;) {
    size_t length = big_endian(data + at), room = size - at - HEAD - CHECKSUM;
    const uint8_t *name = data + at + 4;
    if (length > room || !memcmp(name, "IEND", 4)) break;
    if (!memcmp(name, "eXIf", 4)) return mc_exif_orientation(data + at + HEAD, length);
    at += HEAD + length + CHECKSUM;
  }
  return 1;
}

bool mc_read_png(const uint8_t *data, size_t size, size_t pixel_limit, mc_picture *picture, mc_error *error) {
  session state = {.error = error, .data = data, .size = size};
  memset(picture, 0, sizeof *picture);
  mc_fail(error, "cannot be decoded");
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &state, fail, ignore);
  if (!png) return mc_fail(error, "out of memory");
  png_infop volatile info = png_create_info_struct(png);
  void *volatile pixels = NULL;
  png_bytep *volatile rows = NULL;
  if (!info || setjmp(png_jmpbuf(png))) {
    png_infop made = info;
    png_destroy_read_struct(&png, &made, NULL);
    free(pixels);
    free(rows);
    return false;
  }
  png_set_read_fn(png, &state, read_bytes);
  png_set_user_limits(png, 0x7fffffff, 0x7fffffff);
  png_set_chunk_malloc_max(png, 8 << 20);
  png_set_chunk_cache_max(png, 1000);
  // A wrong checksum is an error in every chunk.
  png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  // What is not needed for the pixels is skipped.
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
  static const png_byte skipped[] = "iCCP\0zTXt\0iTXt\0tEXt\0sPLT\0eXIf\0hIST";
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, skipped, 7);
  png_read_info(png, info);
  size_t width = png_get_image_width(png, info), height = png_get_image_height(png, info);
  if (!mc_check_size(width, height, pixel_limit, error)) png_longjmp(png, 1);
  if (!can_hold(png, info, size, width, height)) png_error(png, "the PNG file is truncated: it is too short for its size");
  bool is_wide = png_get_bit_depth(png, info) == 16;
  choose_transforms(png, info, is_wide);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  size_t step = png_get_rowbytes(png, info), channels = png_get_channels(png, info);
  if ((channels != 3 && channels != 4) || step != width * channels * (is_wide ? 2 : 1)) png_error(png, "an unknown kind of PNG");
  pixels = malloc(step * height);
  rows = malloc(height * sizeof *rows);
  if (!pixels || !rows) png_error(png, "out of memory");
  for (size_t y = 0; y < height; ++y) rows[y] = (png_bytep)pixels + y * step;
  png_read_image(png, rows);
  png_read_end(png, NULL);
  png_infop made = info;
  png_destroy_read_struct(&png, &made, NULL);
  free(rows);
  if (channels == 4) composite(pixels, width * height, is_wide);
  *picture = (mc_picture){.width = width, .height = height, .is_wide = is_wide, .pixels = pixels};
  if (mc_turn(picture, orientation(data, size))) return true;
  free(picture->pixels);
  picture->pixels = NULL;
  return mc_fail(error, "out of memory");
}

bool mc_write_png(const mc_picture *picture, int level, mc_bytes *result, mc_error *error) {
  *result = (mc_bytes){0};
  session state = {.error = error, .result = result};
  mc_fail(error, "cannot be encoded");
  if (picture->width == 0 || picture->height == 0 || picture->width > 1000000 || picture->height > 1000000)
    return mc_fail(error, "PNG pictures have sides of 1 to 1000000 pixels");
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &state, fail, ignore);
  if (!png) return mc_fail(error, "out of memory");
  png_infop volatile info = png_create_info_struct(png);
  if (!info || setjmp(png_jmpbuf(png))) {
    png_infop made = info;
    png_destroy_write_struct(&png, &made);
    free(result->data);
    *result = (mc_bytes){0};
    return false;
  }
  png_set_write_fn(png, &state, write_bytes, flush);
  png_set_compression_level(png, level);
  png_set_IHDR(
    png, info, (png_uint_32)picture->width, (png_uint_32)picture->height, picture->is_wide ? 16 : 8, PNG_COLOR_TYPE_RGB,
    PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  const uint16_t one = 1;
  if (picture->is_wide && *(const uint8_t *)&one) png_set_swap(png);
  size_t step = picture->width * (picture->is_wide ? 6 : 3);
  for (size_t y = 0; y < picture->height; ++y) png_write_row(png, (png_const_bytep)picture->pixels + y * step);
  png_write_end(png, NULL);
  png_infop made = info;
  png_destroy_write_struct(&png, &made);
  return true;
}
