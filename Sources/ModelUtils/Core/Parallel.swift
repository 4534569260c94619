import Dispatch
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Work divided among threads.
public enum Parallel {
  /// How many threads the library's algorithms use in this task: all processors unless set with `$threadCount.withValue(n) { … }`.
  @TaskLocal public static var threadCount = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))

  /// Calls `body` with each index below `count`; threads take the next index when they are free.
  package static func forEach(_ count: Int, _ body: @Sendable (Int) -> Void) {
    let lanes = min(threadCount, count)
    guard lanes > 1 else {
      for index in 0..<count { body(index) }
      return
    }
    let next = Atomic<Int>(0)
    DispatchQueue.concurrentPerform(iterations: lanes) { _ in
      while true {
        let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        if index >= count { return }
        body(index)
      }
    }
  }
}
