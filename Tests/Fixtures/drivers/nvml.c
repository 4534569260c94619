// Stands in for libnvidia-ml.so.1 beside cuda.c. By PCI bus the devices come in the opposite order; device i of CUDA
// has i + 1 GiB free.
//
// STUB_NVML_STATUS: what nvmlInit_v2 returns (0).

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INVALID = 2, NOT_FOUND = 6, THERE = 4 };

static int is_initialized;
static int handles[THERE];

int nvmlInit_v2(void) {
  const char *status = getenv("STUB_NVML_STATUS");
  is_initialized = !status;
  return status ? atoi(status) : 0;
}

int nvmlShutdown(void) {
  is_initialized = 0;
  return 0;
}

int nvmlSystemGetDriverVersion(char *text, unsigned length) {
  snprintf(text, length, "550.54.15");
  return 0;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, void **handle) {
  if (!is_initialized) return INVALID;
  for (int place = 0; place < THERE; ++place) {
    int device = THERE - 1 - place, byte = 16 + device;
    char text[64];
    snprintf(
      text, sizeof text, "GPU-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", byte, byte, byte, byte,
      byte, byte, byte, byte, byte, byte, byte, byte, byte, byte, byte, byte);
    if (strcmp(text, uuid)) continue;
    handles[place] = device;
    *handle = &handles[place];
    return 0;
  }
  return NOT_FOUND;
}

int nvmlDeviceGetMemoryInfo(void *handle, uint64_t memory[3]) {
  int device = *(int *)handle;
  memory[0] = (uint64_t)16 << 30;
  memory[1] = (uint64_t)(device + 1) << 30;
  memory[2] = memory[0] - memory[1];
  return 0;
}
