import ModelCore

/// Python's `random`, bit for bit.
public struct PythonGenerator: Sendable, Equatable {
  var twister: MersenneTwister
  /// The second of a pair of normal numbers, kept for the next `gauss`.
  var nextNormal: Double?

  /// As `random.seed(int)`: a seed and its negative are the same.
  public init(seed: Int64) { self.init(seed: seed.magnitude) }

  /// As `random.seed(int)`.
  public init(seed: UInt64) {
    let words = [UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32)]
    twister = MersenneTwister(key: words[1] == 0 ? [words[0]] : words)
  }

  /// What `random.getstate()` gives: version 3, the 624 words and the position, and the kept normal number.
  public struct State: Sendable, Equatable, Codable {
    /// 3, as Python's is.
    public var version = 3
    /// The 624 words, and how many of them have been used.
    public var internalState: [UInt32]
    /// The normal number that is kept for the next `gauss`; nil where there is none.
    public var gaussNext: Double?

    /// A state of its parts; it is checked when a generator takes it.
    public init(internalState: [UInt32], gaussNext: Double?) {
      (self.internalState, self.gaussNext) = (internalState, gaussNext)
    }
  }

  /// Where the generator stands: `random.getstate()`.
  public var state: State {
    State(internalState: twister.words + [UInt32(twister.position)], gaussNext: nextNormal)
  }

  /// Goes on where a state was saved, as `random.setstate`.
  /// - Throws: `ModelError` for another version, or unless there are 624 words and a position from 0 to 624.
  public init(state: State) throws {
    guard state.version == 3, let position = state.internalState.last else {
      throw ModelError(
        .malformed, "a state of version \(state.version) is none of Python's generator, whose version is 3")
    }
    twister = try MersenneTwister(words: state.internalState.dropLast(), position: Int(position))
    nextNormal = state.gaussNext
  }

  /// `random()`: a multiple of 2^-53 in [0, 1).
  public mutating func random() -> Double { twister.uniform53() }

  /// `uniform(a, b)`.
  public mutating func uniform(_ a: Double, _ b: Double) -> Double { a + (b - a) * random() }

  /// `gauss(mu, sigma)`.
  public mutating func gauss(mean: Double = 0, standardDeviation: Double = 1) -> Double {
    let value: Double
    if let kept = nextNormal {
      value = kept
      nextNormal = nil
    } else {
      let angle = random() * (2 * Double.pi)
      let radius = (-2 * CMath.log(1 - random())).squareRoot()
      value = CMath.cos(angle) * radius
      nextNormal = CMath.sin(angle) * radius
    }
    return mean + value * standardDeviation
  }

  /// `getrandbits(count)` for as many bits as a word has, 0 to 64; more count as 64.
  public mutating func randomBits(_ count: Int) -> UInt64 {
    if count <= 0 { return 0 }
    if count <= 32 { return UInt64(twister.next32() >> UInt32(32 - count)) }
    let lower = UInt64(twister.next32())
    return lower | UInt64(twister.next32() >> UInt32(64 - min(64, count))) << 32
  }

  /// `randrange(low, high)`: a number in [low, high).
  /// - Throws: `ModelError` for an empty range.
  public mutating func randrange(_ low: Int = 0, _ high: Int) throws -> Int {
    guard low < high else { throw ModelError(.invalid, "the range from \(low) to below \(high) is empty") }
    let span = UInt64(bitPattern: Int64(high)) &- UInt64(bitPattern: Int64(low))
    return Int(truncatingIfNeeded: UInt64(bitPattern: Int64(low)) &+ below(span))
  }

  /// `shuffle`.
  public mutating func shuffle<Element>(_ elements: inout [Element]) {
    for last in stride(from: elements.count - 1, to: 0, by: -1) {
      elements.swapAt(last, Int(below(UInt64(last) + 1)))
    }
  }

  /// `choices(range(count), k=draws)`: places below `count`, each drawn anew.
  /// - Throws: `ModelError` where there is nothing to choose from.
  public mutating func choices(_ count: Int, draws: Int) throws -> [Int] {
    guard count > 0 else { throw ModelError(.invalid, "there is nothing to choose from") }
    return (0..<max(0, draws)).map { _ in Int((random() * Double(count)).rounded(.down)) }
  }

  /// `sample(population, count)`: `count` of the elements in random order.
  /// - Throws: `ModelError` when there are not so many.
  public mutating func sample<Element>(_ population: [Element], _ count: Int) throws -> [Element] {
    guard (0...population.count).contains(count) else {
      throw ModelError(.invalid, "\(count) elements cannot be taken of \(population.count)")
    }
    // Python chooses between two ways by the memory they take in it.
    var setSize = 21
    if count > 5 {
      var power = 1
      while power < 3 * count { power *= 4 }
      setSize += power
    }
    if population.count <= setSize {
      var pool = population
      return (0..<count).map { taken in
        let place = Int(below(UInt64(population.count - taken)))
        let element = pool[place]
        pool[place] = pool[population.count - taken - 1]
        return element
      }
    }
    var chosen: Set<Int> = []
    return (0..<count).map { _ in
      var place = Int(below(UInt64(population.count)))
      while !chosen.insert(place).inserted { place = Int(below(UInt64(population.count))) }
      return population[place]
    }
  }

  /// A number below `limit`, which is at least 1: draws of as many bits as the limit has until one is below it.
  private mutating func below(_ limit: UInt64) -> UInt64 {
    let bits = UInt64.bitWidth - limit.leadingZeroBitCount
    while true {
      let value = randomBits(bits)
      if value < limit { return value }
    }
  }
}
