/// PyTorch's CPU generator: the Mersenne Twister MT19937 with torch's ways of making numbers of its 32-bit draws.
public struct TorchGenerator: Sendable {
  private var state: [UInt32]
  private var position: Int

  private static let size = 624
  private static let shift = 397

  /// As `torch.manual_seed`: only the low 32 bits count.
  public init(seed: UInt64) {
    state = [UInt32](repeating: 0, count: Self.size)
    state[0] = UInt32(truncatingIfNeeded: seed)
    for index in 1..<Self.size {
      let previous = state[index - 1]
      state[index] = 1_812_433_253 &* (previous ^ (previous >> 30)) &+ UInt32(index)
    }
    position = Self.size
  }

  /// The next 32 random bits.
  public mutating func next32() -> UInt32 {
    if position == Self.size { refill() }
    var bits = state[position]
    position += 1
    bits ^= bits >> 11
    bits ^= (bits << 7) & 0x9d2c_5680
    bits ^= (bits << 15) & 0xefc6_0000
    return bits ^ (bits >> 18)
  }

  private mutating func refill() {
    for index in 0..<Self.size {
      let mixed =
        (state[index] & 0x8000_0000) | (state[(index + 1) % Self.size] & 0x7fff_ffff)
      let twist: UInt32 = mixed & 1 == 0 ? 0 : 0x9908_b0df
      state[index] = state[(index + Self.shift) % Self.size] ^ (mixed >> 1) ^ twist
    }
    position = 0
  }

  /// `torch.rand` in float32: a multiple of 2^-24 in [0, 1).
  public mutating func uniformFloat32() -> Float {
    Float(next32() & 0xff_ffff) * 0x1p-24
  }
}

extension TorchGenerator {
  /// `torch.rand` in float64: a multiple of 2^-53 in [0, 1), from two draws.
  public mutating func uniformFloat64() -> Double {
    let first = UInt64(next32())
    let bits = first << 32 | UInt64(next32())
    return Double(bits & (1 << 53 - 1)) * 0x1p-53
  }

  /// `torch.rand` in any floating type, widened to double. In half precision a draw that rounds to 1 becomes 0.
  /// - Throws: `ModelError` for a type that torch does not draw.
  public mutating func uniform(_ dtype: DType, _ count: Int) throws -> [Double] {
    switch dtype {
    case .float64: return (0..<count).map { _ in uniformFloat64() }
    case .float32: return (0..<count).map { _ in Double(uniformFloat32()) }
    case .float16, .bfloat16:
      let draws = try Tensor((0..<count).map { _ in uniformFloat32() })
      return try draws.converted(to: dtype).doubles().map { $0 == 1 ? 0 : $0 }
    default: throw ModelError("\(dtype.rawValue) numbers cannot be drawn")
    }
  }
}
