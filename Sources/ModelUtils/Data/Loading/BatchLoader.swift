import ModelCore
import ModelRandom

/// Makes batches of a set in threads of its own, some ahead of the one that is taken.
///
/// Each sample is transformed with a generator of its own, seeded by seed, epoch and sample: neither the number of
/// threads nor what was loaded before changes it.
public final class BatchLoader: Sendable {
  /// The pictures.
  public let set: ClassificationSet
  /// What makes inputs of them.
  public let preprocessing: PicturePreprocessing
  /// What the samples' generators are seeded with, together with epoch and index.
  public let seed: UInt64
  /// How many threads load.
  public let threads: Int
  /// How many batches are made ahead.
  public let prefetch: Int
  private let cache: PictureCache
  private let memory: BatchMemory

  /// Samples that a thread takes at a time.
  private static let stretch = 8

  /// A loader.
  /// - Parameters:
  ///   - threads: 1 to 1024.
  ///   - prefetch: the most batches that are finished or begun before they are taken, at least 1; memory for one more is
  ///     kept for the next.
  ///   - cachedBytes: how many bytes of decoded pictures are kept between epochs, for sets in files.
  /// - Throws: `ModelError` for numbers out of their ranges, and for preprocessing that leaves pictures of different
  ///   sizes.
  public init(
    _ set: ClassificationSet, _ preprocessing: PicturePreprocessing, seed: UInt64 = 0,
    threads: Int = Parallel.threadCount, prefetch: Int = 2, cachedBytes: Int = 1 << 30
  ) throws {
    guard (1...1024).contains(threads), (1...1024).contains(prefetch), cachedBytes >= 0 else {
      throw ModelError(
        .invalid, "a loader cannot have \(threads) threads, \(prefetch) batches ahead and \(cachedBytes) bytes kept")
    }
    guard set.isInFiles == false || preprocessing.transforms.contains(where: { $0.size != nil }) else {
      throw ModelError(
        .invalid, "pictures of different sizes make no batch", file: set.name, advice: "resize or crop them to one size"
      )
    }
    (self.set, self.preprocessing, self.seed) = (set, preprocessing, seed)
    (self.threads, self.prefetch) = (threads, prefetch)
    (cache, memory) = (PictureCache(limit: set.isInFiles ? cachedBytes : 0), BatchMemory(kept: prefetch + 1))
  }

  /// Begins an epoch.
  /// - Parameters:
  ///   - epoch: what the samples' generators are seeded with; the same epoch gives the same inputs again.
  ///   - batches: the samples of each batch, such as `SampleOrder.batches` gives.
  /// - Throws: `ModelError` for samples beyond the set, an empty batch, and inputs that memory cannot hold.
  public func batches(epoch: Int, _ batches: [[Int]]) throws -> EpochBatches<Batch> {
    for (index, batch) in batches.enumerated() {
      guard !batch.isEmpty, batch.allSatisfy(set.labels.indices.contains) else {
        throw ModelError(.invalid, "batch \(index) is empty, or has samples beyond the \(set.count)", file: set.name)
      }
    }
    let size = try batches.first.map { try self.size($0[0], epoch) } ?? [1, 1]
    let count = Tensor.elementCount([batches.map(\.count).max() ?? 0, preprocessing.channels] + size)
    try Storage.checkMemory(count ?? .max, elementSize: MemoryLayout<Float>.stride * (prefetch + 2))
    let begin: @Sendable (Int) -> Batch = { [set, memory, channels = preprocessing.channels] number in
      let indices = batches[number]
      return Batch(
        number: number, indices: indices, labels: indices.map { set.labels[$0] },
        shape: [indices.count, channels] + size, memory)
    }
    return EpochBatches(
      try BatchPipeline(
        sizes: batches.map(\.count), threads: threads, prefetch: prefetch, stretch: Self.stretch, begin: begin
      ) { [self] batch, position in
        try load(batch.indices[position], epoch: epoch, size: size, into: batch.planes(position))
      })
  }

  /// [height, width] of the inputs, which all samples must have.
  private func size(_ index: Int, _ epoch: Int) throws -> [Int] {
    do {
      var generator = generator(of: index, epoch: epoch)
      let picture = try preprocessing.transformed(cache.picture(index, set.picture), drawing: &generator)
      return Array(picture.shape.prefix(2))
    } catch let error as ModelError { throw error.inFile(set.location(of: index)) }
  }

  /// Writes a sample's input to its place in a batch.
  private func load(_ index: Int, epoch: Int, size: [Int], into planes: UnsafeMutableBufferPointer<Float>) throws {
    do {
      var generator = generator(of: index, epoch: epoch)
      let picture = try preprocessing.transformed(cache.picture(index, set.picture), drawing: &generator)
      guard Array(picture.shape.prefix(2)) == size else {
        throw ModelError(.mismatch, "becomes \(picture.shape.prefix(2)) where the batch has \(size)")
      }
      try preprocessing.normalize(picture, into: planes)
    } catch let error as ModelError { throw error.inFile(set.location(of: index)) }
  }

  /// The generator of a sample.
  private func generator(of index: Int, epoch: Int) -> TorchGenerator {
    TorchGenerator(seed: SampleSeed.mixed(seed, epoch: epoch, place: index))
  }
}
