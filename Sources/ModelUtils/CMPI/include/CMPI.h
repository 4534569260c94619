// What the ranks of an MPI world need of it to meet. Empty without the trait MPI.

#ifndef CMPI_H
#define CMPI_H

#include <stdint.h>

// What is returned when time is up. Other statuses than 0 are MPI's errors. Once time was up nothing but that is
// returned: memory that MPI may still write to is never touched again.
enum { MM_TIMEOUT = -1 };

typedef struct mm_world {
  int32_t rank, size;
  // Among the processes that share this machine's memory.
  int32_t local_rank, local_size;
} mm_world;

// Initialises MPI unless that was done; all ranks must call it.
int32_t mm_open(mm_world *world);

// The greatest of all ranks' values, once all have called it; sleeps meanwhile rather than spinning.
int32_t mm_maximum(int32_t value, double seconds, int32_t *result);

// Puts the sums over all ranks in the values' places.
int32_t mm_sum(double *values, int64_t count, double seconds);

// Puts the bytes of the rank `root` in those of the others.
int32_t mm_broadcast(void *bytes, int64_t count, int32_t root, double seconds);

// A sum that is under way beside all else. At most 2^30 values at a time.
typedef struct mm_pending mm_pending;
int32_t mm_begin_sum(float *values, int64_t count, mm_pending **pending);
// Takes it further, and returns at once.
int32_t mm_advance(mm_pending *pending);
// Waits for it, and frees it unless time is up.
int32_t mm_finish(mm_pending *pending, double seconds);

// Ends MPI, if mm_open has begun it.
void mm_close(void);

// A line about an error; `text` has room for `size` bytes.
void mm_message(int32_t status, char *text, int32_t size);

#endif
