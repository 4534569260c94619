// What the codecs share.

#ifndef CCODECS_CODECS_H
#define CCODECS_CODECS_H

#include "CCodecs.h"

// Sets the message and returns false.
bool mc_fail(mc_error *error, const char *message);
// Refuses what has no pixels or more than the limit.
bool mc_check_size(size_t width, size_t height, size_t pixel_limit, mc_error *error);
// Makes room for `more` bytes after size; false when there is no memory.
bool mc_reserve(mc_bytes *bytes, size_t *capacity, size_t more);
// Turns a picture upright from one of EXIF's eight orientations; false when there is no memory.
bool mc_turn(mc_picture *picture, int orientation);

#endif
