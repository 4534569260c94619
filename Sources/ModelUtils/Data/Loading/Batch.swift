import ModelCore

/// Inputs and classes of some samples. Its memory goes back to the loader with it.
public final class Batch: @unchecked Sendable {
  /// The batch's number in its epoch, from 0.
  public let number: Int
  /// The samples, by their places in the set.
  public let indices: [Int]
  /// Their classes.
  public let labels: [Int]
  /// [samples, channels, height, width].
  public let shape: [Int]
  /// The inputs, float32 of `shape` in row-major order, as long as the batch lives.
  public var inputs: UnsafeBufferPointer<Float> { UnsafeBufferPointer(elements) }

  private let elements: UnsafeMutableBufferPointer<Float>
  private let memory: BatchMemory

  init(number: Int, indices: [Int], labels: [Int], shape: [Int], _ memory: BatchMemory) {
    (self.number, self.indices, self.labels, self.shape) = (number, indices, labels, shape)
    self.memory = memory
    elements = memory.take(shape.reduce(MemoryLayout<Float>.stride, *)).bindMemory(to: Float.self)
  }

  /// A copy of the inputs, float32 of `shape`.
  public func tensor() throws -> Tensor {
    try Tensor(.float32, shape) { $0.copyMemory(from: UnsafeRawBufferPointer(elements)) }
  }

  /// The part of a sample.
  func planes(_ position: Int) -> UnsafeMutableBufferPointer<Float> {
    let count = shape.dropFirst().reduce(1, *)
    return UnsafeMutableBufferPointer(rebasing: elements[position * count..<(position + 1) * count])
  }

  deinit { memory.giveBack(UnsafeMutableRawBufferPointer(elements)) }
}
