#define _GNU_SOURCE

#include "CRuntime.h"

#if defined(__linux__)

#include <link.h>
#include <stddef.h>

// Every library's record holds the count: the first is enough.
static int take_count(struct dl_phdr_info *library, size_t size, void *count) {
  if (size >= offsetof(struct dl_phdr_info, dlpi_adds) + sizeof library->dlpi_adds) *(uint64_t *)count = library->dlpi_adds;
  return 1;
}

uint64_t mr_libraries_loaded(void) {
  uint64_t count = 0;
  dl_iterate_phdr(take_count, &count);
  return count;
}

#else

uint64_t mr_libraries_loaded(void) { return 0; }

#endif
