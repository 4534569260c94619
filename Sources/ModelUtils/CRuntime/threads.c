#ifdef __linux__
#define _GNU_SOURCE
#endif

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "CRuntime.h"

int32_t mr_usable_processors(void) {
#ifdef __linux__
  cpu_set_t usable;
  if (sched_getaffinity(0, sizeof usable, &usable) == 0) return CPU_COUNT(&usable);
#endif
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 && online < INT32_MAX ? (int32_t)online : 1;
}

static void *end(void *nothing) { return nothing; }

bool mr_can_start_threads(int32_t count) {
  enum { MOST = 64 };
  pthread_t threads[MOST];
  int32_t started = 0;
  // None is waited for before all have their stacks.
  while (started < count && started < MOST && pthread_create(&threads[started], NULL, end, NULL) == 0) started++;
  for (int32_t i = 0; i < started; i++) pthread_join(threads[i], NULL);
  return started >= (count < MOST ? count : MOST);
}
