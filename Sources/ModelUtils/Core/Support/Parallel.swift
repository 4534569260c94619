import CRuntime
import Dispatch
import Synchronization

/// Work divided among threads.
public enum Parallel {
  /// How many threads the library's algorithms use in this task: as many as this process may use processors, unless set
  /// with `$threadCount.withValue(n) { … }`.
  @TaskLocal public static var threadCount = max(1, Int(mr_usable_processors()))

  /// Dispatch waits for ever for a thread that it cannot have.
  private static let canStartThreads = mr_can_start_threads(min(max(2, mr_usable_processors()), 16) - 1)

  /// Calls `body` with each index below `count`; threads take the next index when they are free.
  package static func forEach(_ count: Int, _ body: @Sendable (Int) -> Void) {
    let lanes = min(threadCount, count)
    guard lanes > 1, canStartThreads else {
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

extension Parallel {
  /// Calls `body` with each element, to change it in place. Of several errors the first element's is thrown, after all
  /// are done.
  package static func update<Element>(
    _ elements: inout [Element], _ body: @Sendable (inout Element) throws -> Void
  ) throws {
    let errors = Mutex<[Int: any Error]>([:])
    elements.withUnsafeMutableBufferPointer { buffer in
      nonisolated(unsafe) let elements = buffer
      forEach(elements.count) { index in
        do { try body(&elements[index]) } catch { errors.withLock { $0[index] = error } }
      }
    }
    if let first = errors.withLock({ $0.min { $0.key < $1.key } }) { throw first.value }
  }
}
