#include <pthread.h>

#include "CRuntime.h"

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
