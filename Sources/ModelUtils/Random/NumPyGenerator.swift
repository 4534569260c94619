import ModelCore

/// NumPy's legacy generator, bit for bit: `np.random.seed` and `np.random.RandomState`.
public struct NumPyGenerator: Sendable, Equatable {
  var twister: MersenneTwister
  /// The second of a pair of normal numbers, kept for the next draw.
  var nextNormal: Double?

  /// As `np.random.seed`.
  /// - Throws: `ModelError` for a seed beyond 32 bits, as NumPy refuses it.
  public init(seed: UInt64) throws {
    guard let seed = UInt32(exactly: seed) else {
      throw ModelError(.invalid, "NumPy's generator takes a seed from 0 to \(UInt32.max), not \(seed)")
    }
    twister = MersenneTwister(seed: seed)
  }

  /// What `RandomState.get_state()` gives, in its order and words.
  public struct State: Sendable, Equatable, Codable {
    /// The 624 words.
    public var key: [UInt32]
    /// How many of them have been used, 0 to 624.
    public var pos: Int
    /// Whether a normal number is kept for the next draw.
    public var hasGauss: Bool
    /// That number; 0 where there is none.
    public var cachedGaussian: Double

    /// A state of its parts; it is checked when a generator takes it.
    public init(key: [UInt32], pos: Int, hasGauss: Bool, cachedGaussian: Double) {
      (self.key, self.pos, self.hasGauss, self.cachedGaussian) = (key, pos, hasGauss, cachedGaussian)
    }
  }

  /// Where the generator stands: `get_state()`.
  public var state: State {
    State(
      key: twister.words, pos: twister.position, hasGauss: nextNormal != nil, cachedGaussian: nextNormal ?? 0)
  }

  /// Goes on where a state was saved.
  /// - Throws: `ModelError` unless there are 624 words and the position is 0 to 624.
  public init(state: State) throws {
    twister = try MersenneTwister(words: state.key, position: state.pos)
    nextNormal = state.hasGauss ? state.cachedGaussian : nil
  }

  /// `random_sample`, `rand`: a multiple of 2^-53 in [0, 1).
  public mutating func uniform() -> Double { twister.uniform53() }

  /// `uniform(low, high)`.
  public mutating func uniform(from low: Double, to high: Double) -> Double { low + (high - low) * uniform() }

  /// `randn`: a normal number by the polar method.
  public mutating func normal() -> Double {
    if let kept = nextNormal {
      nextNormal = nil
      return kept
    }
    while true {
      let (x, y) = (2 * uniform() - 1, 2 * uniform() - 1)
      let square = x * x + y * y
      guard square < 1, square != 0 else { continue }
      let factor = (-2 * CMath.log(square) / square).squareRoot()
      nextNormal = factor * x
      return factor * y
    }
  }

  /// `normal(loc, scale)`.
  public mutating func normal(mean: Double, standardDeviation: Double) -> Double {
    mean + standardDeviation * normal()
  }

  /// `standard_gamma(shape)` of a shape above 1, by Marsaglia and Tsang's method.
  /// - Throws: `ModelError` for another shape.
  public mutating func gamma(shape: Double) throws -> Double {
    guard shape > 1, shape.isFinite else {
      throw ModelError(.invalid, "a gamma distribution of the shape \(shape) is not drawn; it is above 1")
    }
    let b = shape - 1 / 3.0
    let c = 1 / (9 * b).squareRoot()
    while true {
      var (x, v) = (0.0, 0.0)
      repeat {
        x = normal()
        v = 1 + c * x
      } while v <= 0
      v = v * v * v
      let u = uniform()
      if u < 1 - 0.0331 * (x * x) * (x * x) { return b * v }
      if CMath.log(u) < 0.5 * x * x + b * (1 - v + CMath.log(v)) { return b * v }
    }
  }

  /// `beta(a, b)` of numbers above 1.
  /// - Throws: `ModelError` for others.
  public mutating func beta(_ a: Double, _ b: Double) throws -> Double {
    let first = try gamma(shape: a)
    return first / (first + (try gamma(shape: b)))
  }

  /// `permutation(count)`, which shuffles the numbers from 0.
  public mutating func permutation(_ count: Int) -> [Int] {
    var elements = Array(0..<max(0, count))
    shuffle(&elements)
    return elements
  }

  /// `shuffle`.
  public mutating func shuffle<Element>(_ elements: inout [Element]) {
    for last in stride(from: elements.count - 1, to: 0, by: -1) {
      elements.swapAt(last, Int(masked(UInt64(last))))
    }
  }

  /// `randint(low, high, dtype=…)`: numbers in [low, high), drawn as NumPy draws them for that type.
  ///
  /// Every type has a stream of its own: the numbers of 8 and 16 bits, and bools, come from parts of a draw, whose rest
  /// is not kept from one call to the next.
  /// - Throws: `ModelError` for another type than an integer's or bool, an empty range, or one beyond the type.
  public mutating func integers(_ count: Int, dtype: DType = .int64, from low: Int = 0, below high: Int) throws -> [Int]
  {
    guard !dtype.isFloatingPoint else {
      throw ModelError(.invalid, "NumPy's generator draws no \(dtype.rawValue) integers")
    }
    try dtype.checkIntegers(from: low, below: high)
    guard count > 0 else { return [] }
    let span = UInt64(bitPattern: Int64(high - 1)) &- UInt64(bitPattern: Int64(low))
    guard span > 0 else { return [Int](repeating: low, count: count) }
    var parts = DrawParts(bits: dtype == .bool ? 1 : dtype.bitWidth)
    return (0..<count).map { _ in
      let value = parts.bits < 32 ? parts.masked(span, &twister) : masked(span)
      return Int(truncatingIfNeeded: UInt64(bitPattern: Int64(low)) &+ value)
    }
  }

  /// A number from 0 to `limit`: draws, cut to as many bits as it has, until one is not above it.
  private mutating func masked(_ limit: UInt64) -> UInt64 {
    let mask = UInt64.max >> UInt64(limit.leadingZeroBitCount)
    if limit == 0 { return 0 }
    while true {
      let value = (limit <= UInt64(UInt32.max) ? UInt64(twister.next32()) : twister.next64()) & mask
      if value <= limit { return value }
    }
  }
}

/// Draws divided into parts of 1, 8 or 16 bits, the lowest first.
private struct DrawParts {
  let bits: Int
  private var rest: UInt32 = 0
  private var left = 0

  init(bits: Int) { self.bits = bits }

  mutating func masked(_ limit: UInt64, _ twister: inout MersenneTwister) -> UInt64 {
    let mask = UInt64.max >> UInt64(limit.leadingZeroBitCount)
    while true {
      if left == 0 { (rest, left) = (twister.next32(), 32 / bits) } else { rest >>= UInt32(bits) }
      left -= 1
      let value = UInt64(rest) & mask
      if value <= limit { return value }
    }
  }
}
