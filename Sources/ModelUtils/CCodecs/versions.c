#include "CCodecs.h"

#include <stdio.h>

#include <jpeglib.h>

#include <jerror.h>
#include <png.h>

#define TEXT(x) #x
#define VALUE(x) TEXT(x)

mc_version mc_png_version(void) { return (mc_version){PNG_LIBPNG_VER_STRING, png_get_libpng_ver(NULL)}; }

mc_version mc_jpeg_version(void) {
#ifdef LIBJPEG_TURBO_VERSION
  const char *header = "libjpeg-turbo " VALUE(LIBJPEG_TURBO_VERSION);
#else
  const char *header = "libjpeg " VALUE(JPEG_LIB_VERSION);
#endif
  struct jpeg_error_mgr errors;
  jpeg_std_error(&errors);
  return (mc_version){header, errors.jpeg_message_table[JMSG_VERSION]};
}
