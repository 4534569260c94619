#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Seconds on a monotonic clock, once the work of the calling thread's CUDA context is done: torch_utils' `time_synchronized`.
///
/// Only differences mean something: **ours** does not jump when the wall clock, which the original reads, is set. Where nothing has loaded
/// the CUDA driver in this process there is nothing to wait for, and it is not loaded for that.
/// - Throws: `ModelError` when the driver reports that work on the device has failed.
public func timeSynchronized() throws -> Double { try timeSynchronized(library: CUDADriver.libraryName) }

package func timeSynchronized(library: String) throws -> Double {
  if let library = DynamicLibrary(loaded: library) { try CUDADriver(library).synchronize() }
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
