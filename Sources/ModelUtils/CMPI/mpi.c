#define _POSIX_C_SOURCE 200809L

#include "CMPI.h"

#ifdef MODELUTILS_MPI

#include <mpi.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

// Communicators of our own: what is sent here meets no message of the caller's, and sums that were begun meet none of
// what is waited for at once.
static MPI_Comm ranks = MPI_COMM_NULL, beside = MPI_COMM_NULL;
static bool is_ours;
static bool is_lost;

static int32_t find_machine(mm_world *world) {
  MPI_Comm machine;
  int status = MPI_Comm_split_type(ranks, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &machine);
  if (status != MPI_SUCCESS) return status;
  int rank = 0, size = 0;
  status = MPI_Comm_rank(machine, &rank);
  if (status == MPI_SUCCESS) status = MPI_Comm_size(machine, &size);
  world->local_rank = rank;
  world->local_size = size;
  MPI_Comm_free(&machine);
  return status;
}

static int32_t duplicate(MPI_Comm *result) {
  if (*result != MPI_COMM_NULL) return MPI_SUCCESS;
  int status = MPI_Comm_dup(MPI_COMM_WORLD, result);
  if (status != MPI_SUCCESS) return status;
  return MPI_Comm_set_errhandler(*result, MPI_ERRORS_RETURN);
}

int32_t mm_open(mm_world *world) {
  int is_initialized, status, rank, size;
  if ((status = MPI_Initialized(&is_initialized)) != MPI_SUCCESS) return status;
  if (!is_initialized) {
    int provided;
    if ((status = MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &provided)) != MPI_SUCCESS) return status;
    is_ours = true;
  }
  if ((status = duplicate(&ranks)) != MPI_SUCCESS) return status;
  if ((status = duplicate(&beside)) != MPI_SUCCESS) return status;
  if ((status = MPI_Comm_rank(ranks, &rank)) != MPI_SUCCESS) return status;
  if ((status = MPI_Comm_size(ranks, &size)) != MPI_SUCCESS) return status;
  world->rank = rank;
  world->size = size;
  return find_machine(world);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

// Looks for `spinning` seconds without a pause: those who compute together come at nearly the same time. Then it sleeps
// longer and longer, up to `longest` nanoseconds.
static int32_t wait_for(MPI_Request *request, double seconds, double spinning, long longest) {
  double start = now(), end = start + seconds;
  long pause = 50 * 1000;
  for (;;) {
    int is_done = 0;
    int status = MPI_Test(request, &is_done, MPI_STATUS_IGNORE);
    if (status != MPI_SUCCESS || is_done) return status;
    double time = now();
    if (time >= end) {
      is_lost = true;
      return MM_TIMEOUT;
    }
    if (time - start < spinning) {
      sched_yield();
      continue;
    }
    nanosleep(&(struct timespec){.tv_nsec = pause}, NULL);
    if ((pause += pause / 4) > longest) pause = longest;
  }
}

int32_t mm_maximum(int32_t value, double seconds, int32_t *result) {
  if (is_lost) return MM_TIMEOUT;
  // Not freed when time is up: the others may still come, and MPI writes here then.
  struct { int32_t value, result; } *pair = malloc(sizeof *pair);
  if (!pair) return MPI_ERR_NO_MEM;
  pair->value = value;
  MPI_Request request;
  int status = MPI_Iallreduce(&pair->value, &pair->result, 1, MPI_INT32_T, MPI_MAX, ranks, &request);
  if (status == MPI_SUCCESS) status = wait_for(&request, seconds, 0, 20 * 1000 * 1000);
  if (status == MPI_SUCCESS) {
    *result = pair->result;
    free(pair);
  }
  return status;
}

// As many values as MPI counts in an int, and then some fewer.
static const int64_t most = 1 << 30;

int32_t mm_sum(double *values, int64_t count, double seconds) {
  for (int64_t first = 0; first < count; first += most) {
    if (is_lost) return MM_TIMEOUT;
    int64_t left = count - first;
    MPI_Request request;
    int status = MPI_Iallreduce(
      MPI_IN_PLACE, values + first, (int)(left < most ? left : most), MPI_DOUBLE, MPI_SUM, ranks, &request);
    if (status == MPI_SUCCESS) status = wait_for(&request, seconds, 0.02, 1000 * 1000);
    if (status != MPI_SUCCESS) return status;
  }
  return 0;
}

int32_t mm_broadcast(void *bytes, int64_t count, int32_t root, double seconds) {
  for (int64_t first = 0; first < count; first += most) {
    if (is_lost) return MM_TIMEOUT;
    int64_t left = count - first;
    MPI_Request request;
    int status =
      MPI_Ibcast((char *)bytes + first, (int)(left < most ? left : most), MPI_BYTE, root, ranks, &request);
    if (status == MPI_SUCCESS) status = wait_for(&request, seconds, 0, 1000 * 1000);
    if (status != MPI_SUCCESS) return status;
  }
  return 0;
}

struct mm_pending {
  MPI_Request request;
};

int32_t mm_begin_sum(float *values, int64_t count, mm_pending **result) {
  if (is_lost) return MM_TIMEOUT;
  if (count < 0 || count > most) return MPI_ERR_COUNT;
  mm_pending *pending = malloc(sizeof *pending);
  if (!pending) return MPI_ERR_NO_MEM;
  int status =
    MPI_Iallreduce(MPI_IN_PLACE, values, (int)count, MPI_FLOAT, MPI_SUM, beside, &pending->request);
  if (status == MPI_SUCCESS) {
    *result = pending;
  } else {
    free(pending);
  }
  return status;
}

int32_t mm_advance(mm_pending *pending) {
  if (is_lost) return MM_TIMEOUT;
  int is_done;
  return MPI_Test(&pending->request, &is_done, MPI_STATUS_IGNORE);
}

int32_t mm_finish(mm_pending *pending, double seconds) {
  if (is_lost) return MM_TIMEOUT;
  int status = wait_for(&pending->request, seconds, 0.02, 1000 * 1000);
  if (status == MPI_SUCCESS) free(pending);
  return status;
}

void mm_close(void) {
  int is_finalized;
  if (is_lost || MPI_Finalized(&is_finalized) != MPI_SUCCESS || is_finalized) return;
  if (ranks != MPI_COMM_NULL) MPI_Comm_free(&ranks);
  if (beside != MPI_COMM_NULL) MPI_Comm_free(&beside);
  if (is_ours) MPI_Finalize();
}

void mm_message(int32_t status, char *text, int32_t size) {
  char message[MPI_MAX_ERROR_STRING];
  int length = 0;
  if (MPI_Error_string(status, message, &length) != MPI_SUCCESS) length = 0;
  snprintf(text, (size_t)size, "%.*s", length, message);
}

#endif
