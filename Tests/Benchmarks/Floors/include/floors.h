// What the machine allows: loops that touch each byte once and compute next to nothing.

#ifndef FLOORS_H
#define FLOORS_H

#include <stddef.h>

// Reads, changes and writes every element.
void floor_update(float *values, size_t count, float factor);
// An exponential moving average: v = v * decay; v += (1 - decay) * m.
void floor_average(float *average, const float *model, size_t count, float decay);
// Reads every element.
float floor_read(const float *values, size_t count);

#endif
