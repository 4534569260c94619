import ModelCore
import ModelGraph

/// What a plan does in one run.
struct Program: Sendable {
  var steps: [Step] = []
  /// Of every buffer where it lies.
  var buffers: [Buffer] = []
  var constants: [Constant] = []
  /// Where inputs are put, and where outputs are taken from.
  var inputs: [Placed] = []
  var outputs: [Placed] = []
  var arenaBytes = 0
  /// The most that a step needs while it runs.
  var scratchBytes = 0
}

/// Memory that values lie in.
struct Buffer: Sendable {
  enum Place: Sendable {
    /// At an offset of the session's arena.
    case arena(Int)
    /// In the plan's constants.
    case constant(Int)
  }

  var place: Place
  let byteCount: Int
}

/// A value in a buffer.
struct Placed: Sendable {
  let buffer: Int
  var layout: Layout
  let dtype: DType

  func with(_ layout: Layout) -> Placed { Placed(buffer: buffer, layout: layout, dtype: dtype) }
}

/// Memory that does not change, shared by all sessions.
final class Constant: @unchecked Sendable {
  let byteCount: Int
  let pointer: UnsafeMutableRawPointer

  init(byteCount: Int) throws {
    try Storage.checkMemory(byteCount, elementSize: 1)
    self.byteCount = byteCount
    pointer = .allocate(byteCount: max(byteCount, 1), alignment: Arena.alignment)
  }

  deinit { pointer.deallocate() }
}

/// One thing that a run does.
struct Step: Sendable {
  /// Calls a step's work, again and again.
  typealias Work = () throws -> Void

  /// The dotted path of its module.
  let path: String
  /// The graph's nodes that it computes.
  let nodes: [Int]
  let name: String
  let implementation: String
  /// The buffers that it takes from and writes to.
  let reads: [Int]
  let writes: [Int]
  var scratchBytes = 0
  /// Makes the work for a session's memory.
  let bind: @Sendable (Memory) throws -> Work
}

/// A session's memory, as steps see it.
struct Memory {
  let bases: [UnsafeMutableRawPointer]
  let scratch: UnsafeMutableRawPointer

  func pointer(_ placed: Placed) -> UnsafeMutableRawPointer {
    bases[placed.buffer] + placed.layout.offset * (placed.dtype.byteWidth ?? 1)
  }

  func floats(_ placed: Placed) -> UnsafeMutablePointer<Float> {
    pointer(placed).assumingMemoryBound(to: Float.self)
  }
}
