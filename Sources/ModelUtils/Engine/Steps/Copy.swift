import CKernels
import ModelCore

/// Moves a value's elements into another layout of the same shape.
struct Copy: Sendable {
  private let walk: Walk
  private let width: Int

  /// Neither layout's offset counts: `run` is given where the elements begin.
  init(_ source: Placed, to layout: Layout) {
    walk = Walk([layout, source.layout], isTiled: true)
    width = source.dtype.byteWidth ?? 1
  }

  func run(_ source: UnsafeMutableRawPointer, _ destination: UnsafeMutableRawPointer) {
    nonisolated(unsafe) let (from, to) = (source, destination)
    walk.forEachPlane { starts, plane in mk_move(to + starts[0] * width, from + starts[1] * width, width, &plane) }
  }
}
