#include "CResources.h"

static const unsigned char default_model[] = {
#embed "default-model.pt"
};

static const unsigned char sample_picture[] = {
#embed "sample.jpg"
};

const unsigned char *mu_default_model(void) { return default_model; }
size_t mu_default_model_size(void) { return sizeof default_model; }
const unsigned char *mu_sample_picture(void) { return sample_picture; }
size_t mu_sample_picture_size(void) { return sizeof sample_picture; }
