#include "floors.h"

#include <stdint.h>
#include <string.h>

void floor_update(float *values, size_t count, float factor) {
  for (size_t i = 0; i < count; ++i) values[i] *= factor;
}

void floor_average(float *restrict average, const float *restrict model, size_t count, float decay) {
  float rest = 1 - decay;
  for (size_t i = 0; i < count; ++i) {
    float value = average[i] * decay;
    average[i] = value + rest * model[i];
  }
}

float floor_read(const float *values, size_t count) {
  uint32_t bits = 0;
  for (size_t i = 0; i < count; ++i) {
    uint32_t word;
    memcpy(&word, &values[i], sizeof word);
    bits |= word;
  }
  float result;
  memcpy(&result, &bits, sizeof result);
  return result;
}
