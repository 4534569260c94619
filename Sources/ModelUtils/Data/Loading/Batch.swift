import ModelCore
import Synchronization

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

  let elements: UnsafeMutableBufferPointer<Float>
  private let memory: BatchMemory

  init(number: Int, indices: [Int], labels: [Int], shape: [Int], _ memory: BatchMemory) {
    (self.number, self.indices, self.labels, self.shape) = (number, indices, labels, shape)
    self.memory = memory
    elements = memory.take(shape.reduce(1, *))
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

  deinit { memory.giveBack(elements) }
}

/// Memory of batches that are done, for those to come.
final class BatchMemory: Sendable {
  private struct Free: @unchecked Sendable { var buffers: [UnsafeMutableBufferPointer<Float>] = [] }

  private let kept: Int
  private let free = Mutex(Free())

  init(kept: Int) { self.kept = kept }

  func take(_ count: Int) -> UnsafeMutableBufferPointer<Float> {
    let known = free.withLock { free -> UnsafeMutableBufferPointer<Float>? in
      free.buffers.firstIndex { $0.count == count }.map { free.buffers.remove(at: $0) }
    }
    if let known { return known }
    let bytes = UnsafeMutableRawPointer.allocate(byteCount: max(1, count) * MemoryLayout<Float>.stride, alignment: 64)
    return UnsafeMutableBufferPointer(start: bytes.bindMemory(to: Float.self, capacity: count), count: count)
  }

  func giveBack(_ buffer: UnsafeMutableBufferPointer<Float>) {
    let superfluous = free.withLock { free -> UnsafeMutableBufferPointer<Float>? in
      free.buffers.append(buffer)
      return free.buffers.count > kept ? free.buffers.removeFirst() : nil
    }
    superfluous.map { UnsafeMutableRawPointer($0.baseAddress!).deallocate() }
  }

  deinit {
    free.withLock { free in
      for buffer in free.buffers { UnsafeMutableRawPointer(buffer.baseAddress!).deallocate() }
      free.buffers = []
    }
  }
}
