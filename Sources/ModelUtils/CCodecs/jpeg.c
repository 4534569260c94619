#include "codecs.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

// libjpeg's error manager, and where its errors go back to.
typedef struct session {
  struct jpeg_error_mgr manager;
  jmp_buf back;
  mc_error *error;
} session;

// A file may describe its pixels anew in any number of scans: more than this is no picture but an attack.
enum { SCAN_LIMIT = 500 };

static void fail(j_common_ptr codec) {
  session *state = (session *)codec->err;
  char message[JMSG_LENGTH_MAX];
  codec->err->format_message(codec, message);
  mc_fail(state->error, message);
  longjmp(state->back, 1);
}

// Warnings tell of damaged data, whose pixels would be made up; only those about what stands around the data are let
// pass.
static void heed(j_common_ptr codec, int level) {
  if (level >= 0) return;
  switch (codec->err->msg_code) {
  case JWRN_EXTRANEOUS_DATA:
  case JWRN_ADOBE_XFORM:
  case JWRN_JFIF_MAJOR: return;
  default: fail(codec);
  }
}

static void say_nothing(j_common_ptr codec) { (void)codec; }

static void count_scans(j_common_ptr codec) {
  if (codec->is_decompressor && ((j_decompress_ptr)codec)->input_scan_number > SCAN_LIMIT) {
    session *state = (session *)codec->err;
    mc_fail(state->error, "the JPEG file has too many scans");
    longjmp(state->back, 1);
  }
}

static void prepare(session *state, mc_error *error) {
  jpeg_std_error(&state->manager);
  state->manager.error_exit = fail;
  state->manager.emit_message = heed;
  state->manager.output_message = say_nothing;
  state->error = error;
}

static int orientation(j_decompress_ptr codec) {
  static const char name[] = "Exif\0";
  for (jpeg_saved_marker_ptr marker = codec->marker_list; marker; marker = marker->next)
    if (marker->marker == JPEG_APP0 + 1 && marker->data_length > sizeof name && !memcmp(marker->data, name, sizeof name))
      return mc_exif_orientation(marker->data + sizeof name, marker->data_length - sizeof name);
  return 1;
}

// Inks as Adobe stores them, inverted: 255 is no ink. RGB is what white paper shows through both: 255 - (ink · light) -
// dark, rounded as Pillow does it.
static void show_inks(uint8_t *out, const uint8_t *in, size_t count) {
  for (size_t i = 0; i < count; ++i, in += 4, out += 3) {
    unsigned light = in[3];
    for (int c = 0; c < 3; ++c) {
      unsigned dark = (255u - in[c]) * light + 128;
      dark = (dark + (dark >> 8)) >> 8;
      out[c] = (uint8_t)(light > dark ? light - dark : 0);
    }
  }
}

// Huffman codes take a bit for a block of 64 pixels at the very least; arithmetic coding has no such bound.
static bool can_hold(j_decompress_ptr codec, size_t size) {
  return codec->arith_code || codec->image_height <= size * 512 / codec->image_width + 1;
}

bool mc_read_jpeg(const uint8_t *data, size_t size, size_t pixel_limit, mc_picture *picture, mc_error *error) {
  struct jpeg_decompress_struct codec = {0};
  struct jpeg_progress_mgr progress = {.progress_monitor = count_scans};
  session state = {0};
  memset(picture, 0, sizeof *picture);
  mc_fail(error, "cannot be decoded");
  prepare(&state, error);
  codec.err = &state.manager;
  uint8_t *volatile pixels = NULL;
  if (setjmp(state.back)) {
    jpeg_destroy_decompress(&codec);
    free(pixels);
    return false;
  }
  jpeg_create_decompress(&codec);
  codec.progress = &progress;
  jpeg_mem_src(&codec, (unsigned char *)data, size);
  jpeg_save_markers(&codec, JPEG_APP0 + 1, 0xffff);
  jpeg_read_header(&codec, TRUE);
  size_t width = codec.image_width, height = codec.image_height;
  if (!mc_check_size(width, height, pixel_limit, error)) longjmp(state.back, 1);
  if (!can_hold(&codec, size)) {
    mc_fail(error, "the JPEG file is truncated: it is too short for its size");
    longjmp(state.back, 1);
  }
  bool has_inks = codec.num_components == 4;
  codec.out_color_space = has_inks ? JCS_CMYK : JCS_RGB;
  jpeg_start_decompress(&codec);
  size_t step = width * 3;
  pixels = malloc(step * height);
  JSAMPARRAY inks = has_inks ? codec.mem->alloc_sarray((j_common_ptr)&codec, JPOOL_IMAGE, codec.output_width * 4, 1) : NULL;
  if (!pixels) {
    mc_fail(error, "out of memory");
    longjmp(state.back, 1);
  }
  while (codec.output_scanline < height) {
    uint8_t *row = pixels + codec.output_scanline * step;
    if (jpeg_read_scanlines(&codec, has_inks ? inks : &row, 1) != 1) break;
    if (has_inks) show_inks(row, inks[0], width);
  }
  int turned = orientation(&codec);
  jpeg_finish_decompress(&codec);
  jpeg_destroy_decompress(&codec);
  *picture = (mc_picture){.width = width, .height = height, .pixels = pixels};
  if (mc_turn(picture, turned)) return true;
  free(picture->pixels);
  picture->pixels = NULL;
  return mc_fail(error, "out of memory");
}

// Where the encoder's bytes go.
typedef struct target {
  struct jpeg_destination_mgr manager;
  mc_bytes *result;
  size_t capacity;
} target;

enum { PART = 64 << 10 };

static void offer_room(j_compress_ptr codec) {
  target *to = (target *)codec->dest;
  if (!mc_reserve(to->result, &to->capacity, PART)) ERREXIT1(codec, JERR_OUT_OF_MEMORY, 0);
  to->manager.next_output_byte = to->result->data + to->result->size;
  to->manager.free_in_buffer = to->capacity - to->result->size;
}

static boolean take_all(j_compress_ptr codec) {
  target *to = (target *)codec->dest;
  to->result->size = to->capacity;
  offer_room(codec);
  return TRUE;
}

static void take_rest(j_compress_ptr codec) {
  target *to = (target *)codec->dest;
  to->result->size = to->capacity - to->manager.free_in_buffer;
}

bool mc_write_jpeg(const mc_picture *picture, int quality, mc_bytes *result, mc_error *error) {
  *result = (mc_bytes){0};
  if (picture->is_wide) return mc_fail(error, "JPEG pictures have 8 bits");
  if (picture->width == 0 || picture->height == 0 || picture->width > 65500 || picture->height > 65500)
    return mc_fail(error, "JPEG pictures have sides of 1 to 65500 pixels");
  struct jpeg_compress_struct codec = {0};
  session state = {0};
  target to = {
    .manager = {.init_destination = offer_room, .empty_output_buffer = take_all, .term_destination = take_rest},
    .result = result};
  mc_fail(error, "cannot be encoded");
  prepare(&state, error);
  codec.err = &state.manager;
  if (setjmp(state.back)) {
    jpeg_destroy_compress(&codec);
    free(result->data);
    *result = (mc_bytes){0};
    return false;
  }
  jpeg_create_compress(&codec);
  codec.dest = &to.manager;
  codec.image_width = (JDIMENSION)picture->width;
  codec.image_height = (JDIMENSION)picture->height;
  codec.input_components = 3;
  codec.in_color_space = JCS_RGB;
  jpeg_set_defaults(&codec);
  jpeg_set_quality(&codec, quality, TRUE);
  jpeg_start_compress(&codec, TRUE);
  size_t step = picture->width * 3;
  while (codec.next_scanline < picture->height) {
    JSAMPROW row = (JSAMPROW)picture->pixels + codec.next_scanline * step;
    jpeg_write_scanlines(&codec, &row, 1);
  }
  jpeg_finish_compress(&codec);
  jpeg_destroy_compress(&codec);
  return true;
}
