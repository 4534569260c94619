#include "codecs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool mc_fail(mc_error *error, const char *message) {
  snprintf(error->message, sizeof error->message, "%s", message);
  return false;
}

bool mc_check_size(size_t width, size_t height, size_t pixel_limit, mc_error *error) {
  if (width == 0 || height == 0) return mc_fail(error, "the picture has no pixels");
  if (width <= pixel_limit && height <= pixel_limit / width) return true;
  snprintf(
    error->message, sizeof error->message, "a picture of %zux%zu has more than the %zu pixels that are allowed", height, width,
    pixel_limit);
  return false;
}

bool mc_reserve(mc_bytes *bytes, size_t *capacity, size_t more) {
  if (more <= *capacity - bytes->size) return true;
  size_t wanted = *capacity + *capacity / 2 + more;
  uint8_t *grown = wanted < more ? NULL : realloc(bytes->data, wanted);
  if (!grown) return false;
  bytes->data = grown;
  *capacity = wanted;
  return true;
}

void mc_free(void *memory) { free(memory); }

// EXIF is a TIFF file: byte order, 42, the offset of a list of entries of twelve bytes.

static uint32_t word(const uint8_t *at, size_t size, bool is_big) {
  uint32_t value = 0;
  for (size_t i = 0; i < size; ++i) value |= (uint32_t)at[i] << 8 * (is_big ? size - 1 - i : i);
  return value;
}

int mc_exif_orientation(const uint8_t *data, size_t size) {
  enum { HEADER = 8, ENTRY = 12, ORIENTATION = 0x112, SHORT = 3 };
  if (size < HEADER || data[0] != data[1] || (data[0] != 'I' && data[0] != 'M')) return 1;
  bool is_big = data[0] == 'M';
  size_t list = word(data + 4, 4, is_big);
  if (word(data + 2, 2, is_big) != 42 || list < HEADER || list > size - 2) return 1;
  size_t count = word(data + list, 2, is_big), room = (size - list - 2) / ENTRY;
  for (size_t i = 0; i < count && i < room; ++i) {
    const uint8_t *entry = data + list + 2 + i * ENTRY;
    if (word(entry, 2, is_big) != ORIENTATION || word(entry + 2, 2, is_big) != SHORT) continue;
    uint32_t value = word(entry + 8, 2, is_big);
    return value >= 1 && value <= 8 ? (int)value : 1;
  }
  return 1;
}

// The orientations of EXIF, as what is done to the picture that stands upright: from 5 on its axes are exchanged.
bool mc_turn(mc_picture *picture, int orientation) {
  size_t pixel = picture->is_wide ? 6 : 3;
  if (orientation <= 1 || orientation > 8) return true;
  bool is_exchanged = orientation >= 5;
  bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  bool from_below = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  size_t width = picture->width, height = picture->height;
  uint8_t *turned = malloc(width * height * pixel);
  if (!turned) return false;
  const uint8_t *in = picture->pixels;
  for (size_t y = 0; y < height; ++y) {
    for (size_t x = 0; x < width; ++x, in += pixel) {
      size_t row = from_below ? height - 1 - y : y, column = from_right ? width - 1 - x : x;
      size_t place = is_exchanged ? column * height + row : row * width + column;
      memcpy(turned + place * pixel, in, pixel);
    }
  }
  free(picture->pixels);
  picture->pixels = turned;
  if (is_exchanged) picture->width = height, picture->height = width;
  return true;
}
