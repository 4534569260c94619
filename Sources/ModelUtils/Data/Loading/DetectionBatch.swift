import ModelCore
import Synchronization
import SystemPackage

/// Inputs and objects of some pictures. Its memory goes back to the loader with it.
public final class DetectionBatch: @unchecked Sendable {
  /// The batch's number in its epoch, from 0.
  public let number: Int
  /// The samples, by their places in the set.
  public let indices: [Int]
  /// The files of the samples.
  public let files: [FilePath]
  /// [samples, 3, height, width].
  public let shape: [Int]
  /// uint8 of 0 to 255, or float32 of 0 to 1.
  public let dtype: DType
  /// The inputs, of `dtype` and `shape` in row-major order, red first, as long as the batch lives.
  public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(elements) }

  private let elements: UnsafeMutableRawBufferPointer
  private let memory: BatchMemory
  private let made: Mutex<[Made]>

  /// What is known of a sample once it is made.
  private struct Made: Sendable {
    var labels: [BoxLabel] = []
    var placement: PicturePlacement?
  }

  init(number: Int, indices: [Int], of set: DetectionSet, size: [Int], dtype: DType, _ memory: BatchMemory) {
    (self.number, self.indices, self.dtype, self.memory) = (number, indices, dtype, memory)
    shape = [indices.count, 3] + size
    files = indices.map { set.samples[$0].path }
    made = Mutex([Made](repeating: Made(), count: indices.count))
    elements = memory.take(shape.reduce(dtype.bitWidth / 8, *))
  }

  /// A copy of the inputs.
  public func tensor() throws -> Tensor { try Tensor(dtype, shape) { $0.copyMemory(from: bytes) } }

  /// The objects, float32 [objects, 6]: the picture's position in the batch, the class, and the box's middle, width and
  /// height as shares of the input's sides.
  public func targets() throws -> Tensor {
    let rows = made.withLock { made in
      made.enumerated().flatMap { position, sample in
        sample.labels.flatMap { [Float(position), Float($0.classIndex), $0.x, $0.y, $0.width, $0.height] }
      }
    }
    return try Tensor(rows, [rows.count / 6, 6])
  }

  /// The objects of each picture, their boxes as shares of the input's sides.
  public var labels: [[BoxLabel]] { made.withLock { $0.map(\.labels) } }

  /// Where each picture stands in its input; nil for augmented ones.
  public var placements: [PicturePlacement?] { made.withLock { $0.map(\.placement) } }

  /// Puts a sample to its place.
  /// - Throws: `ModelError` for one of another size.
  func put(_ sample: DetectionSample, at position: Int) throws {
    guard sample.pixels.shape == [shape[2], shape[3], 3] else {
      throw ModelError(.mismatch, "becomes \(sample.pixels.shape) where the batch has \(shape)")
    }
    let plane = shape[2] * shape[3]
    var pixels = sample.pixels
    if let gains = sample.gains { pixels = try gains(pixels) }
    let start = position * 3 * plane
    try pixels.withContiguousBytes { source in
      let writer = PlaneWriter(
        source: source, height: shape[2], width: shape[3], isFlippedUpDown: sample.isFlippedUpDown,
        isFlippedLeftRight: sample.isFlippedLeftRight)
      if dtype == .uint8 {
        writer.write(to: elements.bindMemory(to: UInt8.self), start, (0...255).map { $0 })
      } else {
        writer.write(to: elements.bindMemory(to: Float.self), start, (0...255).map { Float($0) / 255 })
      }
    }
    made.withLock { $0[position] = Made(labels: sample.labels, placement: sample.placement) }
  }

  deinit { memory.giveBack(elements) }
}

/// Interleaved pixels to planes, perhaps turned over and mirrored.
private struct PlaneWriter {
  let source: UnsafeRawBufferPointer
  let height: Int, width: Int
  let isFlippedUpDown: Bool, isFlippedLeftRight: Bool

  /// - Parameters:
  ///   - first: the place of the first plane.
  ///   - values: what each byte becomes.
  func write<Value>(to target: UnsafeMutableBufferPointer<Value>, _ first: Int, _ values: [Value]) {
    values.withUnsafeBufferPointer { values in
      for row in 0..<height {
        let line = (isFlippedUpDown ? height - 1 - row : row) * width * 3
        for channel in 0..<3 {
          let start = first + (channel * height + row) * width
          if isFlippedLeftRight {
            for column in 0..<width {
              target[start + column] = values[Int(source[line + (width - 1 - column) * 3 + channel])]
            }
          } else {
            for column in 0..<width { target[start + column] = values[Int(source[line + column * 3 + channel])] }
          }
        }
      }
    }
  }
}
