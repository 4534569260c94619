import CKernels
import ModelCore

/// The Mersenne Twister MT19937, under torch's, NumPy's and Python's generators alike: 624 words, and the place of the
/// next among them.
public struct MersenneTwister: Sendable, Equatable {
  /// How many words the state has: 624.
  public static let wordCount = Int(MK_TWISTER_WORDS)

  /// The words, before tempering.
  public private(set) var words: [UInt32]
  /// How many of the words have been used: at 624 the next draw makes new ones.
  public private(set) var position: Int

  /// As the algorithm's authors seed it with one number (`init_genrand`).
  public init(seed: UInt32) {
    words = [UInt32](repeating: 0, count: Self.wordCount)
    mk_twister_seed(&words, seed)
    position = Self.wordCount
  }

  /// As the algorithm's authors seed it with an array (`init_by_array`). An empty key counts as `[0]`.
  public init(key: [UInt32]) {
    words = [UInt32](repeating: 0, count: Self.wordCount)
    let key = key.isEmpty ? [0] : key
    mk_twister_seed_with_key(&words, key, key.count)
    position = Self.wordCount
  }

  /// A state saved earlier.
  /// - Throws: `ModelError` unless there are 624 words and the position is 0 to 624.
  public init(words: [UInt32], position: Int) throws {
    guard words.count == Self.wordCount else {
      throw ModelError(.malformed, "a Mersenne Twister has \(Self.wordCount) words, not \(words.count)")
    }
    guard (0...Self.wordCount).contains(position) else {
      throw ModelError(
        .malformed, "the position \(position) in a Mersenne Twister's words is not 0 to \(Self.wordCount)")
    }
    self.words = words
    self.position = position
  }

  /// The next 32 random bits.
  public mutating func next32() -> UInt32 {
    if position == Self.wordCount {
      mk_twister_refill(&words)
      position = 0
    }
    var bits = words[position]
    position += 1
    bits ^= bits >> 11
    bits ^= (bits << 7) & 0x9d2c_5680
    bits ^= (bits << 15) & 0xefc6_0000
    return bits ^ (bits >> 18)
  }

  /// The next 64 random bits: the first draw is the upper half.
  public mutating func next64() -> UInt64 {
    let upper = UInt64(next32())
    return upper << 32 | UInt64(next32())
  }

  /// NumPy's and Python's number in [0, 1): a multiple of 2^-53 from two draws.
  mutating func uniform53() -> Double {
    let (upper, lower) = (next32() >> 5, next32() >> 6)
    return (Double(upper) * 0x1p26 + Double(lower)) * 0x1p-53
  }

  /// Lets a loop of the kernels draw.
  mutating func draw(_ body: (UnsafeMutablePointer<mk_twister>) -> Void) {
    let before = position
    position = words.withUnsafeMutableBufferPointer { words in
      var twister = mk_twister(words: words.baseAddress, used: before)
      body(&twister)
      return twister.used
    }
  }
}
