#include "CResources.h"

static const unsigned char default_model[] = {
#embed "default-model.pt"
};

const unsigned char *mu_default_model(void) { return default_model; }
size_t mu_default_model_size(void) { return sizeof default_model; }
