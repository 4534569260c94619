#define _GNU_SOURCE

#include "CEngine.h"
#include "dnnl_api.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

ce_api ce_dnnl;
dnnl_engine_t ce_engine;
dnnl_stream_t ce_stream;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char failure[512];
static void (*set_threads)(int);

// libgomp reads its environment when it is loaded. Waiting threads that spin cost everyone else on a shared machine far
// more than they save here.
static void quiet_openmp(void) {
  if (!getenv("OMP_WAIT_POLICY") && !getenv("GOMP_SPINCOUNT")) setenv("GOMP_SPINCOUNT", "1000", 0);
}

static void load(void) {
#define CE_TEXT_(x) #x
#define CE_TEXT(x) CE_TEXT_(x)
  static const char *const names[] = {
    "libdnnl.so." CE_TEXT(DNNL_VERSION_MAJOR), "libdnnl." CE_TEXT(DNNL_VERSION_MAJOR) ".dylib", "libdnnl.dylib",
    "/opt/homebrew/lib/libdnnl.dylib",
  };
  quiet_openmp();
  void *library = NULL;
  for (size_t i = 0; !library && i < sizeof names / sizeof *names; i++) library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    snprintf(failure, sizeof failure, "oneDNN " CE_TEXT(DNNL_VERSION_MAJOR) " is not installed");
    return;
  }
#define X(name) \
  if (!(ce_dnnl.name = (__typeof__(ce_dnnl.name))dlsym(library, "dnnl_" #name))) { \
    snprintf(failure, sizeof failure, "oneDNN lacks the function dnnl_" #name); \
    return; \
  }
  CE_FUNCTIONS(X)
#undef X
  if (ce_dnnl.version()->major != DNNL_VERSION_MAJOR) {
    snprintf(failure, sizeof failure, "oneDNN is of version %d, not " CE_TEXT(DNNL_VERSION_MAJOR), ce_dnnl.version()->major);
    return;
  }
  if (ce_dnnl.engine_create(&ce_engine, dnnl_cpu, 0) || ce_dnnl.stream_create(&ce_stream, ce_engine, dnnl_stream_in_order)) {
    snprintf(failure, sizeof failure, "oneDNN does not start on this processor");
    return;
  }
  // Whatever runtime the library brought along; without OpenMP it has one thread.
  *(void **)&set_threads = dlsym(library, "omp_set_num_threads");
  if (!set_threads) {
    void *gomp = dlopen("libgomp.so.1", RTLD_NOW | RTLD_NOLOAD);
    if (gomp) *(void **)&set_threads = dlsym(gomp, "omp_set_num_threads");
  }
}

bool ce_load(const char **reason) {
  pthread_once(&once, load);
  *reason = failure;
  return !failure[0];
}

void ce_set_threads(int count) {
  if (set_threads) set_threads(count);
}

bool ce_has_bfloat16(void) {
  dnnl_cpu_isa_t isa = ce_dnnl.get_effective_cpu_isa();
  return (isa & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16;
}

const char *ce_status_text(int status) {
  static const char *const texts[] = {
    "success", "there is not enough memory", "invalid arguments", "it has no such primitive on this processor",
    "no further implementation", "it failed", "not required",
  };
  return status >= 0 && status < (int)(sizeof texts / sizeof *texts) ? texts[status] : "an unknown status";
}
