#include "CDownload.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What is used of libcurl's binary interface, whose numbers never change.
typedef struct curl_easy curl_easy;
typedef struct curl_list curl_list;

enum {
  OPTION_URL = 10002,
  OPTION_WRITE_DATA = 10001,
  OPTION_WRITE_FUNCTION = 20011,
  OPTION_HEADER_DATA = 10029,
  OPTION_HEADER_FUNCTION = 20079,
  OPTION_ERROR_BUFFER = 10010,
  OPTION_USER_AGENT = 10018,
  OPTION_HTTP_HEADER = 10023,
  OPTION_NO_SIGNAL = 99,
  OPTION_CONNECT_TIMEOUT = 78,
  OPTION_LOW_SPEED_LIMIT = 19,
  OPTION_LOW_SPEED_TIME = 20,
  OPTION_BUFFER_SIZE = 98,
  OPTION_PROTOCOLS = 181,
  OPTION_PROTOCOL_NAMES = 10318,
  INFO_REDIRECT_URL = 0x100000 + 31,
  PROTOCOL_HTTP = 1,
  PROTOCOL_HTTPS = 2,
  GLOBAL_ALL = 3,
  ERROR_SIZE = 256,
};

static struct {
  int (*global_init)(long);
  curl_easy *(*easy_init)(void);
  int (*setopt)(curl_easy *, int, ...);
  int (*perform)(curl_easy *);
  int (*getinfo)(curl_easy *, int, ...);
  void (*cleanup)(curl_easy *);
  const char *(*strerror)(int);
  curl_list *(*list_append)(curl_list *, const char *);
  void (*list_free)(curl_list *);
} curl;
static bool is_loaded;

static bool find(void *library, const char *name, void *function) {
  void *address = dlsym(library, name);
  memcpy(function, &address, sizeof address);
  return address != NULL;
}

static void load(void) {
#if defined(__APPLE__)
  static const char *const names[] = {"libcurl.4.dylib", "/usr/lib/libcurl.4.dylib"};
#else
  static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4"};
#endif
  void *library = NULL;
  for (size_t i = 0; i < sizeof names / sizeof *names && library == NULL; ++i) library = dlopen(names[i], RTLD_NOW);
  is_loaded = library != NULL && find(library, "curl_global_init", &curl.global_init) &&
              find(library, "curl_easy_init", &curl.easy_init) && find(library, "curl_easy_setopt", &curl.setopt) &&
              find(library, "curl_easy_perform", &curl.perform) && find(library, "curl_easy_getinfo", &curl.getinfo) &&
              find(library, "curl_easy_cleanup", &curl.cleanup) &&
              find(library, "curl_easy_strerror", &curl.strerror) &&
              find(library, "curl_slist_append", &curl.list_append) &&
              find(library, "curl_slist_free_all", &curl.list_free) && curl.global_init(GLOBAL_ALL) == 0;
}

typedef struct transfer {
  const md_request *request;
  bool is_stopped;
} transfer;

static size_t on_head(const char *line, size_t size, size_t count, void *context) {
  transfer *transfer = context;
  size_t length = size * count;
  while (length > 0 && (line[length - 1] == '\r' || line[length - 1] == '\n')) --length;
  transfer->is_stopped = !transfer->request->head(transfer->request->context, line, length);
  return transfer->is_stopped ? 0 : size * count;
}

static size_t on_body(const char *bytes, size_t size, size_t count, void *context) {
  transfer *transfer = context;
  transfer->is_stopped = !transfer->request->body(transfer->request->context, (const uint8_t *)bytes, size * count);
  return transfer->is_stopped ? 0 : size * count;
}

// Older libraries take the protocols as bits, newer ones by name.
static bool allow_only_http(curl_easy *handle) {
  return curl.setopt(handle, OPTION_PROTOCOL_NAMES, "http,https") == 0 ||
         curl.setopt(handle, OPTION_PROTOCOLS, (long)(PROTOCOL_HTTP | PROTOCOL_HTTPS)) == 0;
}

static bool prepare(curl_easy *handle, const md_request *request, transfer *transfer, char *error, curl_list **list) {
  for (size_t i = 0; i < request->header_count; ++i) {
    curl_list *longer = curl.list_append(*list, request->headers[i]);
    if (longer == NULL) return false;
    *list = longer;
  }
  // What only makes it better may fail.
  curl.setopt(handle, OPTION_ERROR_BUFFER, error);
  curl.setopt(handle, OPTION_USER_AGENT, request->user_agent);
  curl.setopt(handle, OPTION_BUFFER_SIZE, 262144L);
  return allow_only_http(handle) && curl.setopt(handle, OPTION_URL, request->url) == 0 &&
         curl.setopt(handle, OPTION_HTTP_HEADER, *list) == 0 && curl.setopt(handle, OPTION_NO_SIGNAL, 1L) == 0 &&
         curl.setopt(handle, OPTION_CONNECT_TIMEOUT, 30L) == 0 &&
         curl.setopt(handle, OPTION_LOW_SPEED_LIMIT, 1000L) == 0 &&
         curl.setopt(handle, OPTION_LOW_SPEED_TIME, request->stall_seconds) == 0 &&
         curl.setopt(handle, OPTION_HEADER_FUNCTION, on_head) == 0 &&
         curl.setopt(handle, OPTION_HEADER_DATA, transfer) == 0 &&
         curl.setopt(handle, OPTION_WRITE_FUNCTION, on_body) == 0 &&
         curl.setopt(handle, OPTION_WRITE_DATA, transfer) == 0;
}

md_outcome md_get(const md_request *request, char message[256], char **redirect) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  *message = 0;
  *redirect = NULL;
  pthread_once(&once, load);
  if (!is_loaded) return MD_NO_LIBRARY;
  curl_easy *handle = curl.easy_init();
  if (handle == NULL) {
    snprintf(message, ERROR_SIZE, "libcurl cannot begin");
    return MD_FAILED;
  }
  char error[ERROR_SIZE] = "";
  curl_list *list = NULL;
  transfer transfer = {request, false};
  md_outcome outcome = MD_FAILED;
  if (prepare(handle, request, &transfer, error, &list)) {
    int code = curl.perform(handle);
    char *location = NULL;
    if (code == 0 && curl.getinfo(handle, INFO_REDIRECT_URL, &location) == 0 && location != NULL)
      *redirect = strdup(location);
    outcome = code == 0 ? MD_DONE : transfer.is_stopped ? MD_STOPPED : MD_FAILED;
    if (outcome == MD_FAILED) snprintf(message, ERROR_SIZE, "%s", *error ? error : curl.strerror(code));
  } else {
    snprintf(message, ERROR_SIZE, "libcurl does not take what it is asked");
  }
  curl.cleanup(handle);
  curl.list_free(list);
  return outcome;
}
