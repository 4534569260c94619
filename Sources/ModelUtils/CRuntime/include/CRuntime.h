// What of the C runtime Swift does not see.

#ifndef CRUNTIME_H
#define CRUNTIME_H

#include <stdbool.h>
#include <stdint.h>

// How many libraries this process has loaded since it began; the same number means that none has come since. It takes
// no system call.
uint64_t mr_libraries_loaded(void);

// Remembers the path of a file that is of no use yet. Returns a number for mr_unfinished_remove, or -1 where no more can
// be remembered.
int32_t mr_unfinished_add(const char *path);
void mr_unfinished_remove(int32_t slot);

// How many processors this process may use: not those that taskset, a container or a batch system withholds.
int32_t mr_usable_processors(void);

// Whether so many threads could be started beside this one: limits of processes, and of memory for their stacks.
bool mr_can_start_threads(int32_t count);

// From now on a page of a mapped file that cannot be read, because the file was cut short or its disk fails, ends the
// process with status 1: what is unfinished is removed and the message, a line, goes to standard error.
void mr_end_at_lost_pages(const char *message);

#endif
