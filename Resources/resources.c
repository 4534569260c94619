#include "CResources.h"

static const unsigned char sample_picture[] = {
#embed "sample.jpg"
};

const unsigned char *mu_sample_picture(void) { return sample_picture; }
size_t mu_sample_picture_size(void) { return sizeof sample_picture; }

static const unsigned char sample_detector[] = {
#embed "detector.pt"
};

const unsigned char *mu_sample_detector(void) { return sample_detector; }
size_t mu_sample_detector_size(void) { return sizeof sample_detector; }
