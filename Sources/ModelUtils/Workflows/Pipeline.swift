import Dispatch
import ModelCore
import Synchronization

/// Does three things with many items at once: while one is worked on, the next ones are read and the last ones written.
///
/// Items are begun in their order, and `work` is called on the caller's thread, one after the other. No more than
/// `ahead` items wait before it and behind it.
/// - Parameters:
///   - read: what can be done beforehand, on a thread of its own.
///   - work: what needs the machine.
///   - write: what can be done afterwards, on a thread of its own.
///   - finished: is called with each item's place and how it went, in any order, one at a time.
public func pipelined<Item: Sendable, Input: Sendable, Output: Sendable>(
  _ items: [Item], ahead: Int = 2, read: @escaping @Sendable (Item) throws -> Input,
  work: (Item, Input) throws -> Output, write: @escaping @Sendable (Item, Output) throws -> Void,
  finished: @escaping @Sendable (Int, Result<Output, any Error>) -> Void
) {
  let (readers, writers) = (DispatchQueue(label: "read"), DispatchQueue(label: "write"))
  let (mayRead, isRead, mayWrite) = (
    DispatchSemaphore(value: max(1, ahead)), DispatchSemaphore(value: 0), DispatchSemaphore(value: max(1, ahead))
  )
  let inputs = Mutex<[Int: Result<Input, any Error>]>([:])
  let lock = Mutex(())
  let threads = Parallel.threadCount
  readers.async {
    Parallel.$threadCount.withValue(threads) {
      for (index, item) in items.enumerated() {
        mayRead.wait()
        let input = Result { try read(item) }
        inputs.withLock { $0[index] = input }
        isRead.signal()
      }
    }
  }
  for (index, item) in items.enumerated() {
    isRead.wait()
    let input = inputs.withLock { $0.removeValue(forKey: index) }
    mayRead.signal()
    let output = Result { () throws -> Output in
      guard let input else { throw ModelError(.missing, "was not read") }
      return try work(item, input.get())
    }
    mayWrite.wait()
    writers.async {
      Parallel.$threadCount.withValue(threads) {
        let result = output.flatMap { output in Result { try write(item, output) }.map { output } }
        lock.withLock { _ in finished(index, result) }
        mayWrite.signal()
      }
    }
  }
  writers.sync {}
}
