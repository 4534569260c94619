// PNG and JPEG by libpng and libjpeg. Errors are values: no longjmp leaves these functions, nothing is printed, and
// memory is bounded by the limits. Every function may run on several threads at once.

#ifndef CCODECS_H
#define CCODECS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Why a call returned false: one line.
typedef struct mc_error {
  char message[200];
} mc_error;

// Interleaved pixels: 3 channels, of one byte or of two in the machine's order.
typedef struct mc_picture {
  size_t width, height;
  bool is_wide;
  // Of malloc; mc_free releases it.
  void *pixels;
} mc_picture;

// An encoded file, of malloc.
typedef struct mc_bytes {
  uint8_t *data;
  size_t size;
} mc_bytes;

// Decodes a whole file. Pictures of more than `pixel_limit` pixels are refused before memory is taken for them, and so
// are those that the file is too short to hold. A picture is turned upright as its EXIF data says. Transparent
// pixels are composited over black. Damage of any kind is an error.
bool mc_read_png(const uint8_t *data, size_t size, size_t pixel_limit, mc_picture *picture, mc_error *error);
bool mc_read_jpeg(const uint8_t *data, size_t size, size_t pixel_limit, mc_picture *picture, mc_error *error);

// Encodes a picture. `level` is zlib's, 0 to 9; `quality` is libjpeg's, 1 to 100 (bytes only).
bool mc_write_png(const mc_picture *picture, int level, mc_bytes *result, mc_error *error);
bool mc_write_jpeg(const mc_picture *picture, int quality, mc_bytes *result, mc_error *error);

void mc_free(void *memory);

// The orientation in the body of an EXIF segment (from its TIFF header on), 1 where there is none that makes sense.
int mc_exif_orientation(const uint8_t *data, size_t size);

// The versions of a library: of the header that this was compiled with, and of what is loaded now.
typedef struct mc_version {
  const char *header;
  const char *loaded;
} mc_version;

mc_version mc_png_version(void);
// Loaded, libjpeg tells of the interface that it has alone, which is 6b for libjpeg-turbo of any version.
mc_version mc_jpeg_version(void);

#endif
