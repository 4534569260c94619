import CKernels
import ModelCore

/// How gradients are bounded before a step.
public enum GradientClipping: Sendable, Hashable {
  /// `torch.nn.utils.clip_grad_norm_`: every gradient is multiplied by maximum / (norm + 1e-6) where that is below 1.
  /// A norm that is not finite goes into the gradients, as in the original, unless it is refused.
  case norm(maximum: Double, refusesNonFinite: Bool = false)
  /// `torch.nn.utils.clip_grad_value_`: every element is clamped to -limit … limit.
  case value(limit: Double)

  func check() throws {
    switch self {
    case .norm(let maximum, _):
      guard maximum >= 0 else { throw ModelError(.invalid, "gradients cannot be clipped to the norm \(maximum)") }
    case .value(let limit):
      guard limit >= 0 else { throw ModelError(.invalid, "gradients cannot be clipped to the value \(limit)") }
    }
  }

  /// What gradients of a norm are multiplied by, in float32 as the original.
  static func coefficient(norm: Double, maximum: Double) -> Double {
    let coefficient = Float(maximum) / (Float(norm) + Float(1e-6))
    return Double(coefficient < 1 || coefficient.isNaN ? coefficient : 1)
  }
}

/// The Euclidean norm of all gradients together: of each the norm, rounded to its type, and of these the norm.
///
/// The squares are added in double in blocks of a fixed size and in a fixed order, so the result does not depend on the
/// number of threads. The original adds in float32, and its last digits do depend on them.
public func gradientNorm<Scalar: OptimizedScalar>(_ gradients: [UnsafeMutableBufferPointer<Scalar>]) -> Double {
  let pieces = FlatPiece.all(gradients.map(\.count))
  var sums = [Double](repeating: 0, count: pieces.count)
  sums.withUnsafeMutableBufferPointer { buffer in
    nonisolated(unsafe) let (sums, gradients) = (buffer, gradients)
    Parallel.forEach(pieces.count) { index in
      let piece = pieces[index]
      guard let start = gradients[piece.owner].baseAddress else { return }
      sums[index] = mk_power_sum(start + piece.first, piece.count, Scalar.format, 2)
    }
  }
  var squares = [Double](repeating: 0, count: gradients.count)
  for (piece, sum) in zip(pieces, sums) { squares[piece.owner] += sum }
  let total = squares.reduce(0) { sum, square in
    let norm = Double(Scalar(square.squareRoot()))
    return sum + norm * norm
  }
  return Double(Scalar(total.squareRoot()))
}

/// A part of one of several arrays: what a thread takes at a time. The size is fixed, so results cannot depend on the
/// number of threads.
struct FlatPiece: Sendable {
  let owner: Int
  let first: Int
  let count: Int

  static let size = 1 << 15

  static func all(_ counts: [Int]) -> [FlatPiece] {
    counts.enumerated().flatMap { owner, count in
      stride(from: 0, to: count, by: size).map { FlatPiece(owner: owner, first: $0, count: min(size, count - $0)) }
    }
  }
}
