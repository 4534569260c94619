import ModelCore

/// What dropouts draw: a function of seed, step, stream and place alone (Philox4x32-10), so that draws depend on no order
/// and the backward pass draws them again instead of keeping them.
package struct DropoutDraws: Sendable {
  private let key: (UInt32, UInt32)
  private let step: UInt32
  private let stream: UInt32
  private let threshold: UInt64
  private let scale: Double

  /// - Parameters:
  ///   - state: the second operand's elements: seed and step, of which 64 and 32 bits count.
  package init(_ dropout: Dropout, state: [Int]) {
    let seed = UInt64(bitPattern: Int64(state.first ?? 0))
    key = (UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
    step = UInt32(truncatingIfNeeded: state.dropFirst().first ?? 0)
    stream = UInt32(truncatingIfNeeded: dropout.stream)
    threshold = UInt64((min(max(dropout.probability, 0), 1) * 0x1p32).rounded())
    scale = dropout.probability < 1 ? 1 / (1 - dropout.probability) : 0
  }

  /// What a unit is multiplied by: 0, or 1 / (1 - probability).
  package func factor(of unit: Int) -> Double {
    let words = block(UInt64(unit / 4))
    return UInt64([words.0, words.1, words.2, words.3][unit % 4]) < threshold ? 0 : scale
  }

  /// The factors of units one behind the other.
  package func fill(_ factors: UnsafeMutableBufferPointer<Float>, from first: Int) {
    var words = block(UInt64(first / 4))
    for index in factors.indices {
      let unit = first + index
      if unit % 4 == 0 { words = block(UInt64(unit / 4)) }
      let word =
        switch unit % 4 {
        case 0: words.0
        case 1: words.1
        case 2: words.2
        default: words.3
        }
      factors[index] = UInt64(word) < threshold ? 0 : Float(scale)
    }
  }

  /// Ten rounds over the place, the step and the stream.
  private func block(_ place: UInt64) -> (UInt32, UInt32, UInt32, UInt32) {
    var words = (UInt32(truncatingIfNeeded: place), UInt32(truncatingIfNeeded: place >> 32), step, stream)
    var key = self.key
    for _ in 0..<10 {
      let low = UInt64(0xd251_1f53) * UInt64(words.0)
      let high = UInt64(0xcd9e_8d57) * UInt64(words.2)
      words = (
        UInt32(truncatingIfNeeded: high >> 32) ^ words.1 ^ key.0, UInt32(truncatingIfNeeded: high),
        UInt32(truncatingIfNeeded: low >> 32) ^ words.3 ^ key.1, UInt32(truncatingIfNeeded: low)
      )
      key = (key.0 &+ 0x9e37_79b9, key.1 &+ 0xbb67_ae85)
    }
    return words
  }
}

extension Dropout {
  /// How many units a tensor has, and how many elements that stand together belong to each.
  package func units(of shape: [Int]) -> (count: Int, size: Int) {
    let axes =
      switch unit {
      case .element: shape.count
      case .channel: min(2, shape.count)
      case .row: min(1, shape.count)
      case .tensor: 0
      }
    return (shape.prefix(axes).reduce(1, *), shape.dropFirst(axes).reduce(1, *))
  }
}
