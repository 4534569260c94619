// What the ranks of an MPI world need of it to wait for each other. Empty without the trait MPI.

#ifndef CMPI_H
#define CMPI_H

#include <stdint.h>

// What mm_maximum returns when time is up. Other statuses than 0 are MPI's errors.
enum { MM_TIMEOUT = -1 };

typedef struct mm_world {
  int32_t rank, size;
  // Among the processes that share this machine's memory.
  int32_t local_rank;
} mm_world;

// Initialises MPI unless that was done; all ranks must call it.
int32_t mm_open(mm_world *world);

// The greatest of all ranks' values, once all have called it; sleeps meanwhile rather than spinning.
int32_t mm_maximum(int32_t value, double seconds, int32_t *result);

// Ends MPI, if mm_open has begun it.
void mm_close(void);

// A line about an error; `text` has room for `size` bytes.
void mm_message(int32_t status, char *text, int32_t size);

#endif
