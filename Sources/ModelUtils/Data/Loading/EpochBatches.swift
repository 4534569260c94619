import ModelCore

/// The batches of one epoch, in order, while threads make those to come.
///
/// Letting go of it, or `stop`, ends the threads before their next sample and waits for them.
public final class EpochBatches<Element: AnyObject & Sendable>: Sendable {
  private let pipeline: BatchPipeline<Element>

  /// How many batches there are.
  public var count: Int { pipeline.count }

  init(_ pipeline: BatchPipeline<Element>) { self.pipeline = pipeline }

  /// The next batch, when it is ready; nil after the last one, and once stopped.
  /// - Throws: `ModelError` that names the file and the batch, for a sample that cannot be read; the epoch then is over.
  public func next() throws -> Element? { try pipeline.next() }

  /// Ends the threads and waits for them. Batches that were taken stay.
  public func stop() { pipeline.stop() }
}
