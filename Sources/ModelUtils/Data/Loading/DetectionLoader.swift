import ModelCore
import ModelRandom

/// Makes batches of a detection set in threads of its own, some ahead of the one that is taken.
///
/// Decoded pictures are kept, resized, as far as memory is allowed for them; augmentation never changes what is kept.
/// Whatever the threads and their number, the batches are the same.
public final class DetectionLoader: Sendable {
  /// The pictures.
  public let set: DetectionSet
  /// The side of square inputs, and the length that the longer side of pictures gets, in pixels.
  public let imageSize: Int
  /// What is done to pictures in training; nil fits them alone.
  public let augmentation: DetectionAugmentation?
  /// How pictures that are judged are resized.
  public let fit: PictureFit
  /// uint8 or float32.
  public let dtype: DType
  /// What the samples' generators are seeded with, together with epoch and position.
  public let seed: UInt64
  /// How many threads load.
  public let threads: Int
  /// How many batches are made ahead.
  public let prefetch: Int
  private let maker: SampleMaker
  private let memory: BatchMemory

  /// The longest side of inputs.
  static let sideLimit = 1 << 14

  /// A loader.
  /// - Parameters:
  ///   - imageSize: 8 to 16384 pixels.
  ///   - augmentation: for training; with nil, for judging, pictures become smaller by the mean of what a pixel covers.
  ///   - fit: how pictures that are judged are resized.
  ///   - dtype: uint8 for bytes, float32 for bytes / 255.
  ///   - threads: 1 to 1024.
  ///   - prefetch: the most batches that are finished or begun before they are taken, at least 1; memory for one more is
  ///     kept for the next.
  ///   - cachedBytes: how many bytes of resized pictures are kept between epochs.
  /// - Throws: `ModelError` for numbers out of their ranges, and another type.
  public init(
    _ set: DetectionSet, imageSize: Int = 640, augmentation: DetectionAugmentation?, fit: PictureFit = .yolov6,
    dtype: DType = .float32, seed: UInt64 = 0, threads: Int = Parallel.threadCount, prefetch: Int = 2,
    cachedBytes: Int = 1 << 30
  ) throws {
    guard (1...1024).contains(threads), (1...1024).contains(prefetch), cachedBytes >= 0 else {
      throw ModelError(
        .invalid, "a loader cannot have \(threads) threads, \(prefetch) batches ahead and \(cachedBytes) bytes kept")
    }
    guard (8...Self.sideLimit).contains(imageSize) else {
      throw ModelError(.invalid, "inputs have sides of 8 to \(Self.sideLimit) pixels, not \(imageSize)")
    }
    guard dtype == .uint8 || dtype == .float32 else {
      throw ModelError(.unsupported, "inputs are uint8 or float32, not \(dtype.rawValue)")
    }
    try augmentation?.check()
    (self.set, self.imageSize, self.augmentation, self.dtype) = (set, imageSize, augmentation, dtype)
    (self.fit, self.seed, self.threads, self.prefetch) = (fit, seed, threads, prefetch)
    memory = BatchMemory(kept: prefetch + 1)
    maker = SampleMaker(
      set: set, side: imageSize, fit: augmentation == nil ? fit : nil, cache: PictureCache(limit: cachedBytes))
  }

  /// Begins an epoch of square inputs. Each sample has generators of its own, seeded by seed, epoch and the sample's
  /// position in the epoch.
  /// - Parameters:
  ///   - batches: the samples of each batch, such as `SampleOrder.batches` gives.
  ///   - first: the position of the first sample, of an epoch that goes on.
  ///   - other: what is done to the pictures of this epoch instead of `augmentation`, where the loader has one.
  /// - Throws: `ModelError` for samples beyond the set, an empty batch, and inputs that memory cannot hold.
  public func batches(
    epoch: Int, _ batches: [[Int]], from first: Int = 0, augmentation other: DetectionAugmentation? = nil
  ) throws -> EpochBatches<DetectionBatch> {
    guard let own = augmentation else { return try fitted(batches, square) }
    let augmentation = other ?? own
    try augmentation.check()
    let positions = batches.reduce(into: [first]) { $0.append(($0.last ?? 0) + $1.count) }
    return try made(batches, sizes: square) { [self] batch, position in
      let seed = SampleSeed.mixed(seed, epoch: epoch, place: positions[batch.number] + position)
      var generators = try AugmentationGenerators(seed: seed)
      let draws = try augmentation.draws(
        of: batch.indices[position], count: set.count, side: imageSize, drawing: &generators)
      return try maker.sample(draws)
    }
  }

  /// Begins an epoch of square inputs whose samples draw from one stream, in their order: YOLOv6's batches with 0
  /// workers. All is drawn at once; the generators stand behind the epoch then.
  /// - Throws: as `batches(epoch:_:)`, and for a loader without augmentation.
  public func batches(
    _ batches: [[Int]], drawing generators: inout AugmentationGenerators
  ) throws -> EpochBatches<DetectionBatch> {
    guard let augmentation else {
      throw ModelError(.invalid, "nothing is drawn without augmentation", file: set.name)
    }
    try check(batches)
    let draws = try batches.map { batch in
      try batch.map { try augmentation.draws(of: $0, count: set.count, side: imageSize, drawing: &generators) }
    }
    return try made(batches, sizes: square) { [self] batch, position in
      try maker.sample(draws[batch.number][position])
    }
  }

  /// Begins to go through a set in inputs of its pictures' proportions, without augmentation.
  /// - Throws: as `batches(epoch:_:)`, and for a loader with augmentation.
  public func batches(_ batches: RectangularBatches) throws -> EpochBatches<DetectionBatch> {
    guard augmentation == nil else {
      throw ModelError(.invalid, "augmented pictures are square", file: set.name)
    }
    return try fitted(batches.indices) { batches.sizes[$0] }
  }

  /// The size of every batch's inputs.
  private var square: @Sendable (Int) -> [Int] { { [imageSize] _ in [imageSize, imageSize] } }

  private func fitted(
    _ batches: [[Int]], _ sizes: @Sendable @escaping (Int) -> [Int]
  ) throws -> EpochBatches<DetectionBatch> {
    try made(batches, sizes: sizes) { [self] batch, position in
      try maker.sample(batch.indices[position], size: Array(batch.shape.suffix(2)))
    }
  }

  private func check(_ batches: [[Int]]) throws {
    for (index, batch) in batches.enumerated() {
      guard !batch.isEmpty, batch.allSatisfy(set.samples.indices.contains) else {
        throw ModelError(.invalid, "batch \(index) is empty, or has samples beyond the \(set.count)", file: set.name)
      }
    }
  }

  private func made(
    _ batches: [[Int]], sizes: @Sendable @escaping (Int) -> [Int],
    _ sample: @Sendable @escaping (DetectionBatch, Int) throws -> DetectionSample
  ) throws -> EpochBatches<DetectionBatch> {
    try check(batches)
    let largest = batches.enumerated().map { Tensor.elementCount([$1.count, 3] + sizes($0)) ?? .max }.max() ?? 0
    let (count, overflow) = largest.multipliedReportingOverflow(by: prefetch + 2)
    try Storage.checkMemory(overflow ? .max : count, elementSize: dtype.bitWidth / 8)
    return EpochBatches(
      try BatchPipeline(
        sizes: batches.map(\.count), threads: threads, prefetch: prefetch, stretch: 1,
        begin: { [set, dtype, memory] number in
          DetectionBatch(
            number: number, indices: batches[number], of: set, size: sizes(number), dtype: dtype, memory)
        },
        load: { batch, position in
          do { try batch.put(sample(batch, position), at: position) } catch let error as ModelError {
            throw error.inFile(batch.files[position].string)
          }
        }))
  }
}
