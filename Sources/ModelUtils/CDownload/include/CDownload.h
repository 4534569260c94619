// HTTP by libcurl, which is loaded when it is first needed: nothing of it is needed to build.

#ifndef CDOWNLOAD_H
#define CDOWNLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum md_outcome {
  MD_DONE,
  // A callback returned false.
  MD_STOPPED,
  // There is no libcurl.
  MD_NO_LIBRARY,
  MD_FAILED,
} md_outcome;

// One GET, of http:// or https:// and nothing else. Redirects are not followed, certificates are checked, and the
// environment's proxies are used. Connecting may take 30 seconds; a transfer of fewer than 1000 bytes a second for `stall_seconds`
// fails.
typedef struct md_request {
  const char *url;
  const char *user_agent;
  // "Name: value" each.
  const char *const *headers;
  size_t header_count;
  long stall_seconds;
  void *context;
  // A line of the answer's head without its end, the status line first; there may be several heads, the last of which
  // counts.
  bool (*head)(void *context, const char *line, size_t count);
  bool (*body)(void *context, const uint8_t *bytes, size_t count);
} md_request;

// - message: on MD_FAILED, why, in one line.
// - redirect: where the answer sends on, of malloc, or NULL.
md_outcome md_get(const md_request *request, char message[256], char **redirect);

#endif
