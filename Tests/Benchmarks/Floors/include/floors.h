// What the machine allows: loops that touch each byte once and compute next to nothing.

#ifndef FLOORS_H
#define FLOORS_H

#include <stddef.h>

// Reads, changes and writes every element.
void floor_update(float *values, size_t count, float factor);
// Reads every element.
float floor_read(const float *values, size_t count);

#endif
