import CFloors
import ModelUtils

/// Passes over as many bytes as a model's parameters have, with as many threads as the library uses.
final class Floors {
  private let source: UnsafeMutableBufferPointer<Float>
  private let target: UnsafeMutableBufferPointer<Float>
  private static let chunk = 256 << 10

  init(byteCount: Int) {
    let count = byteCount / MemoryLayout<Float>.stride
    (source, target) = (.allocate(capacity: count), .allocate(capacity: count))
    source.initialize(repeating: 1.5)
    target.initialize(repeating: 0)
  }

  deinit {
    source.deallocate()
    target.deallocate()
  }

  /// One memory to another.
  func copy() {
    forEachChunk { source, target, count in target.update(from: source, count: count) }
  }

  /// Read, changed and written in place.
  func update() {
    forEachChunk { _, target, count in floor_update(target, count, 0.5) }
  }

  /// Two read, one of them averaged in place.
  func average() {
    forEachChunk { source, target, count in floor_average(target, source, count, 0.9) }
  }

  /// Read only.
  func read() {
    forEachChunk { source, _, count in _ = floor_read(source, count) }
  }

  private func forEachChunk(
    _ body: @Sendable (UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>, Int) -> Void
  ) {
    guard let source = source.baseAddress, let target = target.baseAddress else { return }
    let count = self.source.count
    nonisolated(unsafe) let (from, to) = (source, target)
    Parallel.forEach((count + Self.chunk - 1) / Self.chunk) { index in
      let start = index * Self.chunk
      body(from + start, to + start, min(Self.chunk, count - start))
    }
  }
}
