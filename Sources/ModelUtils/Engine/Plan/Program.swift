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
    /// At an offset of what training changes, and of its gradients.
    case variable(Int)
    case gradient(Int)
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

/// Memory that does not change, shared by all sessions: a part of a slab.
struct Constant: @unchecked Sendable {
  let byteCount: Int
  let pointer: UnsafeMutableRawPointer
  private let slab: Arena

  /// Constants one behind the other in large pieces of memory, whose pages are large.
  struct Pool {
    private static let slabSize = 16 << 20
    private var slab: Arena?
    private var (used, size) = (0, 0)

    mutating func make(byteCount: Int) throws -> Constant {
      try Storage.checkMemory(byteCount, elementSize: 1)
      let room = max(byteCount, 1) + Arena.alignment
      if used + room > size || slab == nil {
        size = max(room, Self.slabSize)
        (slab, used) = (try Arena(byteCount: size), 0)
      }
      guard let slab else { throw ModelError(.system, "there is no memory for constants") }
      defer { used += (byteCount + Arena.alignment - 1) / Arena.alignment * Arena.alignment }
      return Constant(byteCount: byteCount, pointer: slab.pointer + used, slab: slab)
    }
  }
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
  /// Whom batch norms in training take their statistics with; nil for their own alone.
  var norms: RankExchange?

  func pointer(_ placed: Placed) -> UnsafeMutableRawPointer {
    bases[placed.buffer] + placed.layout.offset * (placed.dtype.byteWidth ?? 1)
  }

  func floats(_ placed: Placed) -> UnsafeMutablePointer<Float> {
    pointer(placed).assumingMemoryBound(to: Float.self)
  }
}
