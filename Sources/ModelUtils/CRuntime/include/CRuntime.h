// What of the C runtime Swift does not see.

#ifndef CRUNTIME_H
#define CRUNTIME_H

#include <stdint.h>

// How many libraries this process has loaded since it began; the same number means that none has come since. It takes
// no system call.
uint64_t mr_libraries_loaded(void);

#endif
