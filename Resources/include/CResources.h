// Files that are compiled into the program, so that it needs no bundle beside it.

#ifndef CRESOURCES_H
#define CRESOURCES_H

#include <stddef.h>

// The small JPEG picture that make_sample.py drew.
const unsigned char *mu_sample_picture(void);
size_t mu_sample_picture_size(void);

// The small detector that make_detector.py taught.
const unsigned char *mu_sample_detector(void);
size_t mu_sample_detector_size(void);

#endif
