import CRuntime
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Seconds on a monotonic clock, once the work of the calling thread's CUDA context is done: torch_utils'
/// `time_synchronized`.
///
/// Only differences mean something: **ours** does not jump when the wall clock, which the original reads, is set. Where
/// nothing has loaded the CUDA driver in this process there is nothing to wait for, and it is not loaded for that.
/// - Throws: `ModelError` when the driver reports that work on the device has failed.
public func timeSynchronized() throws -> Double { try SynchronizedClock.shared.seconds() }

/// The clock, and the driver that it waits for.
package final class SynchronizedClock: Sendable {
  package static let shared = SynchronizedClock(library: CUDADriver.libraryName)

  private struct State {
    var driver: CUDADriver?
    /// How many libraries had been loaded when the driver was last looked for.
    var librariesLoaded: UInt64?
  }

  private let library: String
  private let state = Mutex(State())

  package init(library: String) { self.library = library }

  package func seconds() throws -> Double {
    try loadedDriver()?.synchronize()
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }

  /// The driver if something has loaded it. To look for it takes longer than many an operation that is timed, so that
  /// is done only when a library has come.
  private func loadedDriver() throws -> CUDADriver? {
    try state.withLock { state in
      if let driver = state.driver { return driver }
      let count = mr_libraries_loaded()
      guard count != state.librariesLoaded else { return nil }
      state.librariesLoaded = count
      state.driver = try DynamicLibrary(loaded: library).map { try CUDADriver($0) }
      return state.driver
    }
  }
}
