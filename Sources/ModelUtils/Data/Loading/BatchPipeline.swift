import ModelCore

/// Batches in order, which threads make some ahead of the one that is taken.
final class BatchPipeline<Batch: AnyObject & Sendable>: Sendable {
  /// How many batches there are.
  let count: Int
  private let progress: Monitor<Progress>
  private let threads: ThreadGroup

  /// Some samples of a batch.
  private struct Assignment: Sendable {
    let batch: Batch
    let positions: Range<Int>
  }

  private struct Progress {
    /// The batches that are begun and not taken, in order, and how many of their samples are missing.
    var begun: [(number: Int, batch: Batch, missing: Int, error: Failure?)] = []
    /// The next sample to assign: its batch's number and its position.
    var next = (batch: 0, position: 0)
    /// How many batches were taken.
    var taken = 0
    var isStopped = false

    mutating func finish(_ assignment: Assignment, _ failure: Failure?) {
      guard let index = begun.firstIndex(where: { $0.batch === assignment.batch }) else { return }
      begun[index].missing -= assignment.positions.count
      guard let failure, failure.position < begun[index].error?.position ?? .max else { return }
      begun[index].error = failure
    }
  }

  /// What went wrong, and where in its batch.
  private struct Failure {
    let position: Int
    let error: any Error
  }

  /// - Parameters:
  ///   - sizes: how many samples each batch has.
  ///   - prefetch: the most batches that are finished or begun before they are taken.
  ///   - stretch: the samples that a thread takes at a time: small pictures should not wait for the lock.
  ///   - begin: makes a batch of its number, whose samples are missing yet.
  ///   - load: makes the sample at a position of a batch.
  /// - Throws: `ModelError` when the system gives no thread.
  init(
    sizes: [Int], threads: Int, prefetch: Int, stretch: Int, begin: @Sendable @escaping (Int) -> Batch,
    load: @Sendable @escaping (Batch, Int) throws -> Void
  ) throws {
    let progress = Monitor(Progress())
    let make: @Sendable (Assignment) -> Void = { assignment in
      var failure: Failure?
      for position in assignment.positions {
        do {
          try Parallel.$threadCount.withValue(1) { try load(assignment.batch, position) }
        } catch {
          failure = Failure(position: position, error: error)
          break
        }
      }
      progress.update { $0.finish(assignment, failure) }
    }
    let assign: @Sendable (inout Progress) -> Assignment? = { progress in
      guard progress.next.batch < sizes.count, progress.next.batch < progress.taken + prefetch else { return nil }
      let (number, position) = progress.next
      if position == 0 { progress.begun.append((number, begin(number), sizes[number], nil)) }
      let end = min(position + stretch, sizes[number])
      progress.next = end == sizes[number] ? (number + 1, 0) : (number, end)
      return progress.begun.last.map { Assignment(batch: $0.batch, positions: position..<end) }
    }
    (count, self.progress) = (sizes.count, progress)
    self.threads = ThreadGroup(min(threads, sizes.reduce(0, +))) {
      while true {
        let assignment = progress.wait { progress -> Assignment?? in
          if progress.isStopped || progress.next.batch == sizes.count { return .some(nil) }
          return assign(&progress).map { .some($0) }
        }
        guard let assignment else { return }
        make(assignment)
      }
    }
    guard self.threads.count > 0 || sizes.isEmpty else {
      throw ModelError(.system, "the system gives no thread to load pictures in")
    }
  }

  /// The next batch, when it is ready; nil after the last one, and once stopped.
  /// - Throws: what the first sample of the batch that could not be made says; the epoch then is over.
  func next() throws -> Batch? {
    let result = progress.wait { progress -> (number: Int, batch: Batch, error: Failure?)?? in
      if progress.isStopped || progress.taken == count { return .some(nil) }
      guard let first = progress.begun.first, first.missing == 0 else { return nil }
      progress.begun.removeFirst()
      progress.taken += 1
      return .some((first.number, first.batch, first.error))
    }
    guard let (number, batch, failure) = result else { return nil }
    progress.update { _ in }
    if let failure {
      stop()
      guard let error = failure.error as? ModelError else { throw failure.error }
      throw error.about("batch \(number)")
    }
    return batch
  }

  /// Ends the threads and waits for them.
  func stop() {
    progress.update { $0.isStopped = true }
    threads.join()
    progress.update { $0.begun = [] }
  }

  deinit { stop() }
}
