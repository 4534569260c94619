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
  let memory: BatchMemory

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
    (cache, memory) = (PictureCache(limit: cachedBytes), BatchMemory(kept: prefetch + 1))
  }

  /// Begins an epoch.
  /// - Parameters:
  ///   - epoch: what the samples' generators are seeded with; the same epoch gives the same inputs again.
  ///   - batches: the samples of each batch, such as `SampleOrder.batches` gives.
  /// - Throws: `ModelError` for samples beyond the set, an empty batch, and inputs that memory cannot hold.
  public func batches(epoch: Int, _ batches: [[Int]]) throws -> EpochBatches {
    for (index, batch) in batches.enumerated() {
      guard !batch.isEmpty, batch.allSatisfy(set.labels.indices.contains) else {
        throw ModelError(.invalid, "batch \(index) is empty, or has samples beyond the \(set.count)", file: set.name)
      }
    }
    guard let first = batches.first else { return try EpochBatches(self, epoch: epoch, batches, size: [1, 1]) }
    let size = try size(first[0], epoch)
    let count = Tensor.elementCount([batches.map(\.count).max() ?? 0, preprocessing.channels] + size)
    try Storage.checkMemory(count ?? .max, elementSize: MemoryLayout<Float>.stride * (prefetch + 2))
    return try EpochBatches(self, epoch: epoch, batches, size: size)
  }

  /// [height, width] of the inputs, which all samples must have.
  private func size(_ index: Int, _ epoch: Int) throws -> [Int] {
    do {
      var generator = generator(of: index, epoch: epoch)
      let picture = try preprocessing.transformed(cache.picture(index, of: set), drawing: &generator)
      return Array(picture.shape.prefix(2))
    } catch let error as ModelError { throw error.inFile(set.location(of: index)) }
  }

  /// Writes a sample's input to its place in a batch.
  func load(_ index: Int, epoch: Int, size: [Int], into planes: UnsafeMutableBufferPointer<Float>) throws {
    do {
      var generator = generator(of: index, epoch: epoch)
      let picture = try preprocessing.transformed(cache.picture(index, of: set), drawing: &generator)
      guard Array(picture.shape.prefix(2)) == size else {
        throw ModelError(.mismatch, "becomes \(picture.shape.prefix(2)) where the batch has \(size)")
      }
      try preprocessing.normalize(picture, into: planes)
    } catch let error as ModelError { throw error.inFile(set.location(of: index)) }
  }

  /// The generator of a sample: its seed mixes seed, epoch and index so that neighbours have nothing in common.
  func generator(of index: Int, epoch: Int) -> TorchGenerator {
    var mixed = seed
    for word in [UInt64(bitPattern: Int64(epoch)), UInt64(bitPattern: Int64(index))] {
      mixed = (mixed ^ word) &+ 0x9e37_79b9_7f4a_7c15
      mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
      mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
      mixed ^= mixed >> 31
    }
    return TorchGenerator(seed: mixed & 0xffff_ffff)
  }
}
