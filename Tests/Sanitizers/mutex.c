// Swift's Mutex on Linux waits, where another thread holds it, inside a library that ThreadSanitizer has not seen: what one thread wrote and another
// reads behind the same lock would be taken for a race. Preloaded, this tells it of the locks that were waited for.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>

#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"
#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context))

void __tsan_acquire(void *address) __attribute__((weak));
void __tsan_release(void *address) __attribute__((weak));

SWIFT void lock(uint32_t thread, SELF void *handle) __asm__(LOCK);
SWIFT void unlock(SELF void *handle) __asm__(UNLOCK);

SWIFT void lock(uint32_t thread, SELF void *handle) {
  typedef SWIFT void function(uint32_t, SELF void *);
  static _Atomic(function *) real;
  if (!real) real = (function *)dlsym(RTLD_NEXT, LOCK);
  real(thread, handle);
  if (__tsan_acquire) __tsan_acquire(handle);
}

SWIFT void unlock(SELF void *handle) {
  typedef SWIFT void function(SELF void *);
  static _Atomic(function *) real;
  if (!real) real = (function *)dlsym(RTLD_NEXT, UNLOCK);
  if (__tsan_release) __tsan_release(handle);
  real(handle);
}
