import ModelCore

/// The state that `torch.get_rng_state()` gives and `torch.set_rng_state()` takes: a C structure as it lies in the
/// memory of a little-endian 64-bit machine.
///
/// | bytes | what |
/// |---|---|
/// | 0..<8 | the seed |
/// | 8..<12 | draws left, the one that makes new words included |
/// | 12..<16 | 1: seeded |
/// | 16..<24 | the index of the next word |
/// | 24..<5016 | the 624 words, 8 bytes each |
/// | 5016..<5048 | unused double, the kept normal number, unused double, whether one is kept |
/// | 5048..<5056 | the kept float32 normal number, whether one is kept |
extension TorchGenerator {
  /// The bytes that a saved state has.
  public static let stateByteCount = 5056

  private static let wordsStart = 24
  private static let normalStart = 5024
  private static let hasNormalStart = 5040
  private static let floatNormalStart = 5048
  private static let hasFloatNormalStart = 5052

  /// The state as `torch.get_rng_state()` gives it, 5056 bytes.
  public var state: [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Self.stateByteCount)
    func put<T: FixedWidthInteger>(_ value: T, at start: Int) {
      bytes.withUnsafeMutableBytes { $0.storeBytes(of: value.littleEndian, toByteOffset: start, as: T.self) }
    }
    put(seed, at: 0)
    put(Int32(MersenneTwister.wordCount + 1 - twister.position), at: 8)
    put(Int32(1), at: 12)
    put(UInt64(isFresh ? 0 : twister.position), at: 16)
    for (index, word) in twister.words.enumerated() { put(UInt64(word), at: Self.wordsStart + 8 * index) }
    if let nextNormal {
      put(nextNormal.bitPattern, at: Self.normalStart)
      put(Int32(1), at: Self.hasNormalStart)
    }
    if let nextFloatNormal {
      put(nextFloatNormal.bitPattern, at: Self.floatNormalStart)
      bytes[Self.hasFloatNormalStart] = 1
    }
    return bytes
  }

  /// Goes on where a state saved by `torch.get_rng_state()`, or by `state`, was taken.
  /// - Throws: `ModelError` for bytes that are no such state.
  public init(state bytes: [UInt8]) throws {
    guard bytes.count == Self.stateByteCount else {
      throw ModelError(
        .malformed,
        "a state of \(bytes.count) bytes is none of torch's CPU generator, which has \(Self.stateByteCount)")
    }
    func get<T: FixedWidthInteger>(_ type: T.Type, at start: Int) -> T {
      bytes.withUnsafeBytes { T(littleEndian: $0.loadUnaligned(fromByteOffset: start, as: T.self)) }
    }
    let count = MersenneTwister.wordCount
    let (left, next) = (get(Int32.self, at: 8), get(UInt64.self, at: 16))
    guard get(Int32.self, at: 12) != 0, (1...Int32(count)).contains(left),
      next == UInt64(count + 1 - Int(left)) || (left == 1 && next == 0)
    else {
      throw ModelError(
        .malformed,
        "the state of torch's CPU generator is invalid: \(left) draws left, the next is \(next)", offset: 8)
    }
    var words: [UInt32] = []
    for index in 0..<count {
      let start = Self.wordsStart + 8 * index
      guard let word = UInt32(exactly: get(UInt64.self, at: start)) else {
        throw ModelError(
          .malformed, "the state of torch's CPU generator is invalid: a word has more than 32 bits", offset: start)
      }
      words.append(word)
    }
    self.init(
      seed: get(UInt64.self, at: 0), twister: try MersenneTwister(words: words, position: count + 1 - Int(left)))
    isFresh = next == 0
    if get(Int32.self, at: Self.hasNormalStart) != 0 {
      nextNormal = Double(bitPattern: get(UInt64.self, at: Self.normalStart))
    }
    if bytes[Self.hasFloatNormalStart] != 0 {
      nextFloatNormal = Float(bitPattern: get(UInt32.self, at: Self.floatNormalStart))
    }
  }
}
