import ModelCore

/// The batches of one epoch, in order, while threads make those to come.
///
/// Letting go of it, or `stop`, ends the threads before their next sample and waits for them.
public final class EpochBatches: Sendable {
  /// How many batches there are.
  public let count: Int
  private let progress: Monitor<Progress>
  private let threads: ThreadGroup

  /// Samples that a thread takes at a time: small pictures should not wait for the lock.
  private static let stretch = 8

  /// Some samples of a batch.
  private struct Assignment: Sendable {
    let batch: Batch
    let positions: Range<Int>
  }

  private struct Progress {
    /// The batches that are begun and not taken, in order, and how many of their samples are missing.
    var begun: [(batch: Batch, missing: Int, error: Failure?)] = []
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

  init(_ loader: BatchLoader, epoch: Int, _ batches: [[Int]], size: [Int]) throws {
    let progress = Monitor(Progress())
    let make: @Sendable (Assignment) -> Void = { assignment in
      var failure: Failure?
      for position in assignment.positions {
        do {
          try Parallel.$threadCount.withValue(1) {
            try loader.load(
              assignment.batch.indices[position], epoch: epoch, size: size, into: assignment.batch.planes(position))
          }
        } catch {
          failure = Failure(position: position, error: error)
          break
        }
      }
      progress.update { $0.finish(assignment, failure) }
    }
    let assign: @Sendable (inout Progress) -> Assignment? = { progress in
      guard progress.next.batch < batches.count, progress.next.batch < progress.taken + loader.prefetch else {
        return nil
      }
      let (number, position) = progress.next
      let indices = batches[number]
      if position == 0 {
        let shape = [indices.count, loader.preprocessing.channels] + size
        let labels = indices.map { loader.set.labels[$0] }
        let batch = Batch(number: number, indices: indices, labels: labels, shape: shape, loader.memory)
        progress.begun.append((batch, indices.count, nil))
      }
      let end = min(position + Self.stretch, indices.count)
      progress.next = end == indices.count ? (number + 1, 0) : (number, end)
      return progress.begun.last.map { Assignment(batch: $0.batch, positions: position..<end) }
    }
    (count, self.progress) = (batches.count, progress)
    threads = ThreadGroup(min(loader.threads, batches.reduce(0) { $0 + $1.count })) {
      while true {
        let assignment = progress.wait { progress -> Assignment?? in
          if progress.isStopped || progress.next.batch == batches.count { return .some(nil) }
          return assign(&progress).map { .some($0) }
        }
        guard let assignment else { return }
        make(assignment)
      }
    }
    guard threads.count > 0 || batches.isEmpty else {
      throw ModelError(.system, "the system gives no thread to load pictures in")
    }
  }

  /// The next batch, when it is ready; nil after the last one, and once stopped.
  /// - Throws: `ModelError` that names the file and the batch, for a sample that cannot be read; the epoch then is over.
  public func next() throws -> Batch? {
    let result = progress.wait { progress -> (batch: Batch, error: Failure?)?? in
      if progress.isStopped || progress.taken == count { return .some(nil) }
      guard let first = progress.begun.first, first.missing == 0 else { return nil }
      progress.begun.removeFirst()
      progress.taken += 1
      return .some((first.batch, first.error))
    }
    guard let (batch, failure) = result else { return nil }
    progress.update { _ in }
    if let failure {
      stop()
      guard let error = failure.error as? ModelError else { throw failure.error }
      throw error.about("batch \(batch.number)")
    }
    return batch
  }

  /// Ends the threads and waits for them. Batches that were taken stay.
  public func stop() {
    progress.update { $0.isStopped = true }
    threads.join()
    progress.update { $0.begun = [] }
  }

  deinit { stop() }
}
