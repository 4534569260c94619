#define _POSIX_C_SOURCE 200809L

#include "CMPI.h"

#ifdef MODELUTILS_MPI

#include <mpi.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

// A communicator of our own: what is sent here meets no message of the caller's.
static MPI_Comm ranks = MPI_COMM_NULL;
static bool is_ours;

static int32_t local_rank(int32_t *result) {
  MPI_Comm machine;
  int status = MPI_Comm_split_type(ranks, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &machine);
  if (status != MPI_SUCCESS) return status;
  int rank;
  status = MPI_Comm_rank(machine, &rank);
  *result = rank;
  MPI_Comm_free(&machine);
  return status;
}

int32_t mm_open(mm_world *world) {
  int is_initialized, status, rank, size;
  if ((status = MPI_Initialized(&is_initialized)) != MPI_SUCCESS) return status;
  if (!is_initialized) {
    int provided;
    if ((status = MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &provided)) != MPI_SUCCESS) return status;
    is_ours = true;
  }
  if (ranks == MPI_COMM_NULL) {
    if ((status = MPI_Comm_dup(MPI_COMM_WORLD, &ranks)) != MPI_SUCCESS) return status;
    MPI_Comm_set_errhandler(ranks, MPI_ERRORS_RETURN);
  }
  if ((status = MPI_Comm_rank(ranks, &rank)) != MPI_SUCCESS) return status;
  if ((status = MPI_Comm_size(ranks, &size)) != MPI_SUCCESS) return status;
  world->rank = rank;
  world->size = size;
  return local_rank(&world->local_rank);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

int32_t mm_maximum(int32_t value, double seconds, int32_t *result) {
  // Not freed when time is up: the others may still come, and MPI writes here then.
  struct { int32_t value, result; } *pair = malloc(sizeof *pair);
  if (!pair) return MPI_ERR_NO_MEM;
  pair->value = value;
  MPI_Request request;
  int status = MPI_Iallreduce(&pair->value, &pair->result, 1, MPI_INT32_T, MPI_MAX, ranks, &request);
  double end = now() + seconds;
  // Soon after the start the others are likely to be near.
  long pause = 50 * 1000;
  const long longest = 20 * 1000 * 1000;
  for (int is_done = 0; status == MPI_SUCCESS;) {
    if ((status = MPI_Test(&request, &is_done, MPI_STATUS_IGNORE)) != MPI_SUCCESS) break;
    if (is_done) {
      *result = pair->result;
      free(pair);
      return 0;
    }
    if (now() >= end) return MM_TIMEOUT;
    nanosleep(&(struct timespec){.tv_nsec = pause}, NULL);
    if ((pause += pause / 4) > longest) pause = longest;
  }
  return status;
}

void mm_close(void) {
  int is_finalized;
  if (MPI_Finalized(&is_finalized) != MPI_SUCCESS || is_finalized) return;
  if (ranks != MPI_COMM_NULL) MPI_Comm_free(&ranks);
  if (is_ours) MPI_Finalize();
}

void mm_message(int32_t status, char *text, int32_t size) {
  char message[MPI_MAX_ERROR_STRING];
  int length = 0;
  if (MPI_Error_string(status, message, &length) != MPI_SUCCESS) length = 0;
  snprintf(text, (size_t)size, "%.*s", length, message);
}

#endif
