import ModelCore

/// How the ranks of a data-parallel run meet while they compute.
public struct RankExchange: Sendable {
  /// The ranks.
  public let communicator: any Communicator
  /// Whether batch norms take their statistics over the pictures of all ranks, as torch's SyncBatchNorm; else each over
  /// its own.
  public let synchronizesBatchNorms: Bool
  /// How long a rank waits for the others.
  public let timeout: Duration

  /// Ranks that compute together.
  public init(
    _ communicator: any Communicator, synchronizesBatchNorms: Bool = true, timeout: Duration = .seconds(1800)
  ) {
    self.communicator = communicator
    self.synchronizesBatchNorms = synchronizesBatchNorms
    self.timeout = timeout
  }
}

/// Adds the gradients of all ranks while the backward pass goes on: pieces of their memory, each begun when all in it is
/// made, from the last to the first, which is the order that backward passes make them in.
final class GradientExchange {
  private struct Piece {
    let values: UnsafeMutableBufferPointer<Float>
    /// The last of the steps that write to it.
    let lastStep: Int
  }

  /// In the order in which they are begun, the same on all ranks.
  private let pieces: [Piece]
  private let ranks: RankExchange
  private var begun = 0
  private var pending: [any PendingSum] = []

  /// 4 MiB: large enough that the time goes into bytes, small enough that most are on their way before the pass ends.
  private static let pieceCount = 1 << 20

  /// - Throws: `ModelError` for parameters of other types than float32.
  init(_ program: Program, _ variables: Variables, _ ranks: RankExchange) throws {
    self.ranks = ranks
    for (path, slot) in variables.slots where slot.isParameter && slot.type.dtype != .float32 {
      throw ModelError(
        .unsupported, "is \(slot.type.dtype.rawValue), and ranks add gradients in float32 alone", subject: path)
    }
    let width = MemoryLayout<Float>.stride
    let count = variables.gradients.byteCount / width
    let memory = UnsafeMutableBufferPointer(
      start: variables.gradients.pointer.assumingMemoryBound(to: Float.self), count: count)
    var lastSteps = [Int](repeating: 0, count: (count + Self.pieceCount - 1) / Self.pieceCount)
    for (index, step) in program.steps.enumerated() {
      for buffer in step.writes.map({ program.buffers[$0] }) where buffer.byteCount > 0 {
        guard case .gradient(let offset) = buffer.place else { continue }
        let first = offset / width / Self.pieceCount
        let last = (offset + buffer.byteCount - 1) / width / Self.pieceCount
        for piece in first...last { lastSteps[piece] = index }
      }
    }
    pieces = lastSteps.indices.reversed().map { piece in
      let first = piece * Self.pieceCount
      return Piece(
        values: UnsafeMutableBufferPointer(rebasing: memory[first..<min(first + Self.pieceCount, count)]),
        lastStep: lastSteps[piece])
    }
  }

  /// Begins what the step of this number has completed.
  func didRun(step: Int) throws {
    for sum in pending { try sum.advance() }
    while begun < pieces.count, pieces[begun].lastStep <= step { try beginNext() }
  }

  /// Waits until all is added.
  func finish() throws {
    while begun < pieces.count { try beginNext() }
    for sum in pending { try sum.wait(timeout: ranks.timeout) }
    (pending, begun) = ([], 0)
  }

  private func beginNext() throws {
    pending.append(try ranks.communicator.beginSum(pieces[begun].values))
    begun += 1
  }
}
