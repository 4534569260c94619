// Stands in for libcuda.so.1 on a machine without one. Tests compile it.
//
// STUB_DEVICES: how many devices there are (2). STUB_STATUS: what cuInit returns (0).
// Device i: UUID of bytes 0x10 + i, "Stub GPU i", 16280.5 MiB and i MiB more.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NOT_INITIALIZED = 3, NO_DEVICE = 100, INVALID_DEVICE = 101, MOST = 16 };

static int is_initialized, count, devices[MOST];

// What tests within one process set in the place of the environment, and ask.
const char *stub_visible;
void *stub_context;
int stub_synchronizations, stub_synchronization_status, stub_initializations;

static int number(const char *name, int standard) {
  const char *text = getenv(name);
  return text ? atoi(text) : standard;
}

static int named(const char *item, size_t length, int there) {
  if (length > 4 && !strncmp(item, "GPU-", 4)) {
    for (int i = 0; i < there; ++i) {
      char start[9];
      snprintf(start, sizeof start, "%02x%02x%02x%02x", 16 + i, 16 + i, 16 + i, 16 + i);
      if (!strncmp(item + 4, start, length - 4 < 8 ? length - 4 : 8)) return i;
    }
    return -1;
  }
  char *end;
  long device = strtol(item, &end, 10);
  return end == item || device < 0 || device >= there ? -1 : (int)device;
}

int cuInit(unsigned flags) {
  (void)flags;
  ++stub_initializations;
  int status = number("STUB_STATUS", 0), there = number("STUB_DEVICES", 2);
  if (status) return status;
  if (is_initialized) return 0;
  const char *visible = stub_visible ? stub_visible : getenv("CUDA_VISIBLE_DEVICES");
  count = 0;
  if (!visible) {
    for (int i = 0; i < there; ++i) devices[count++] = i;
  } else {
    // The first item that names nothing ends the list.
    for (const char *item = visible; *item && count < MOST;) {
      size_t length = strcspn(item, ",");
      int device = named(item, length, there);
      if (device < 0) break;
      devices[count++] = device;
      item += length + (item[length] == ',');
    }
  }
  if (count == 0) return NO_DEVICE;
  is_initialized = 1;
  return 0;
}

int cuDriverGetVersion(int *version) {
  *version = 12040;
  return 0;
}

int cuDeviceGetCount(int *result) {
  if (!is_initialized) return NOT_INITIALIZED;
  *result = count;
  return 0;
}

int cuDeviceGet(int *device, int ordinal) {
  if (!is_initialized) return NOT_INITIALIZED;
  if (ordinal < 0 || ordinal >= count) return INVALID_DEVICE;
  *device = devices[ordinal];
  return 0;
}

int cuDeviceGetName(char *name, int length, int device) {
  snprintf(name, (size_t)length, "Stub GPU %d", device);
  return 0;
}

int cuDeviceGetPCIBusId(char *text, int length, int device) {
  snprintf(text, (size_t)length, "0000:%02x:00.0", 0x80 - device);
  return 0;
}

int cuDeviceTotalMem_v2(size_t *bytes, int device) {
  *bytes = ((size_t)16280 << 20) + ((size_t)device << 20) + (1 << 19);
  return 0;
}

int cuDeviceGetUuid_v2(void *bytes, int device) {
  memset(bytes, 16 + device, 16);
  return 0;
}

int cuDeviceGetAttribute(int *value, int attribute, int device) {
  (void)device;
  switch (attribute) {
  case 16: *value = 132; return 0;
  case 75: *value = 9; return 0;
  case 76: *value = 0; return 0;
  default: return 1;
  }
}

int cuGetErrorName(int status, const char **text) {
  if (status != 999) return 1;
  *text = "CUDA_ERROR_UNKNOWN";
  return 0;
}

int cuGetErrorString(int status, const char **text) {
  if (status != 999) return 1;
  *text = "unknown error";
  return 0;
}

int cuCtxGetCurrent(void **context) {
  if (!is_initialized) return NOT_INITIALIZED;
  *context = stub_context;
  return 0;
}

int cuCtxSynchronize(void) {
  ++stub_synchronizations;
  return stub_synchronization_status;
}
