import CKernels
import TestSupport
import Testing

/// The root of every test here. Restricting the kernels to plain C is a process-wide switch, so they run one at a time.
@Suite(.serialized) enum Kernels {}

let sizes = [0, 1, 2, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 127, 1000, 1009, 65537]
/// Where the oracle is slow: two of the kernels' blocks instead of many.
let fewerSizes = sizes.filter { $0 < 2000 } + [2051]
let formats = [MK_FLOAT64, MK_FLOAT32, MK_FLOAT16, MK_BFLOAT16, MK_FLOAT8_E4M3FN, MK_FLOAT8_E5M2]

/// Bytes at a chosen distance from an aligned address, with a fence on both sides that nobody may write to.
final class Memory {
  private static let fence = 64
  private let whole: UnsafeMutableRawBufferPointer
  let pointer: UnsafeMutableRawPointer
  let count: Int

  init(_ bytes: [UInt8], offset: Int = 0) {
    count = bytes.count
    whole = .allocate(byteCount: count + 2 * Self.fence + offset, alignment: 64)
    whole.initializeMemory(as: UInt8.self, repeating: 0xa5)
    pointer = whole.baseAddress! + Self.fence + offset
    bytes.withUnsafeBytes { if let base = $0.baseAddress { pointer.copyMemory(from: base, byteCount: count) } }
  }

  convenience init(count: Int, offset: Int = 0) { self.init([UInt8](repeating: 0x5a, count: count), offset: offset) }

  var bytes: [UInt8] { [UInt8](UnsafeRawBufferPointer(start: pointer, count: count)) }

  var isFenced: Bool {
    let start = pointer - whole.baseAddress!
    return whole[..<start].allSatisfy { $0 == 0xa5 } && whole[(start + count)...].allSatisfy { $0 == 0xa5 }
  }

  deinit { whole.deallocate() }
}

/// What `body` gives at the machine's own level, after checking that plain C and the level between give the same.
func atEveryLevel<Result: Equatable>(
  _ comment: @autoclosure () -> Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation, _ body: () -> Result
) -> Result {
  let fast = body()
  defer { mk_limit_simd(MK_AVX512) }
  for level in [MK_SCALAR, MK_AVX2] {
    mk_limit_simd(level)
    if body() != fast { Issue.record(comment() ?? "the levels differ", sourceLocation: sourceLocation) }
  }
  return fast
}

/// The formats, described apart from the kernels: by their widths alone.
struct Format {
  let type: mk_float
  let size: Int
  let exponentBits: Int
  let fractionBits: Int
  let hasInfinity: Bool

  init(_ type: mk_float) {
    self.type = type
    switch type {
    case MK_FLOAT64: (size, exponentBits, fractionBits) = (8, 11, 52)
    case MK_FLOAT32: (size, exponentBits, fractionBits) = (4, 8, 23)
    case MK_FLOAT16: (size, exponentBits, fractionBits) = (2, 5, 10)
    case MK_BFLOAT16: (size, exponentBits, fractionBits) = (2, 8, 7)
    case MK_FLOAT8_E4M3FN: (size, exponentBits, fractionBits) = (1, 4, 3)
    default: (size, exponentBits, fractionBits) = (1, 5, 2)
    }
    hasInfinity = type != MK_FLOAT8_E4M3FN
  }

  var signBit: UInt64 { 1 << UInt64(8 * size - 1) }
  /// The magnitude bits of the first NaN, and of the first number that is not finite.
  var nan: UInt64 { hasInfinity ? infinity + 1 : signBit - 1 }
  var infinity: UInt64 { hasInfinity ? (1 << UInt64(exponentBits) - 1) << UInt64(fractionBits) : signBit - 1 }

  func isNaN(_ bits: UInt64) -> Bool { bits & (signBit - 1) >= nan }

  /// The magnitude that bits stand for, were the top exponent like any other.
  func plainMagnitude(_ bits: UInt64) -> Double {
    let magnitude = bits & (signBit - 1)
    let exponent = Int(magnitude >> UInt64(fractionBits))
    let fraction = Double(magnitude & (1 << UInt64(fractionBits) - 1))
    let bias = 1 << (exponentBits - 1) - 1
    let lead = exponent == 0 ? 0 : Double(1 << fractionBits)
    return Double(sign: .plus, exponent: max(exponent, 1) - bias - fractionBits, significand: lead + fraction)
  }

  func magnitude(_ bits: UInt64) -> Double {
    if isNaN(bits) { return .nan }
    return hasInfinity && bits & (signBit - 1) == infinity ? .infinity : plainMagnitude(bits)
  }

  func value(_ bits: UInt64) -> Double { bits & signBit == 0 ? magnitude(bits) : -magnitude(bits) }

  /// The bits nearest to a value that is not NaN, ties to even, found by searching the format's numbers. Without an
  /// infinity the greatest number is the nearest to all beyond it.
  func nearest(_ value: Double) -> UInt64 {
    let sign = value.sign == .minus ? signBit : 0
    var below: UInt64 = 0
    var above = infinity  // as a number: the one after the greatest
    let beyond = hasInfinity ? infinity : infinity - 1
    if abs(value) >= plainMagnitude(above) { return sign | beyond }
    while above - below > 1 {
      let middle = (below + above) / 2
      if plainMagnitude(middle) <= abs(value) { below = middle } else { above = middle }
    }
    let (down, up) = (abs(value) - plainMagnitude(below), plainMagnitude(above) - abs(value))
    return sign | min(beyond, down < up || (down == up && below % 2 == 0) ? below : above)
  }

  /// Elements to and from little-endian bytes, which are the kernels' own on every platform.
  func read(_ bytes: [UInt8]) -> [UInt64] {
    bytes.withUnsafeBytes { raw in
      (0..<bytes.count / size).map { index in
        switch size {
        case 1: UInt64(raw[index])
        case 2: UInt64(raw.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self))
        case 4: UInt64(raw.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self))
        default: raw.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self)
        }
      }
    }
  }

  func write(_ elements: [UInt64]) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: elements.count * size) { buffer, count in
      let raw = UnsafeMutableRawBufferPointer(buffer)
      for (index, element) in elements.enumerated() {
        switch size {
        case 1: raw[index] = UInt8(truncatingIfNeeded: element)
        case 2: raw.storeBytes(of: UInt16(truncatingIfNeeded: element), toByteOffset: 2 * index, as: UInt16.self)
        case 4: raw.storeBytes(of: UInt32(truncatingIfNeeded: element), toByteOffset: 4 * index, as: UInt32.self)
        default: raw.storeBytes(of: element, toByteOffset: 8 * index, as: UInt64.self)
        }
      }
      count = elements.count * size
    }
  }

  /// Elements of every kind: zeros of both signs, infinities, NaNs, denormals, repetitions and random numbers.
  func mixture(_ count: Int, seed: Int) -> [UInt64] {
    var generator = Generator(seed)
    return (0..<count).map { _ in
      let random = generator.next() & (signBit | (signBit - 1))
      switch generator.next() % 16 {
      case 0, 1: return random & signBit
      case 2: return random & signBit | infinity
      case 3: return random | nan
      case 4: return random & (signBit | (1 << UInt64(fractionBits) - 1))
      case 5, 6: return random & (signBit | 3) | 0x30
      default: return random
      }
    }
  }

  /// Finite numbers like a layer's weights.
  func weights(_ count: Int, seed: Int) -> [UInt64] {
    var generator = Generator(seed)
    return (0..<count).map { _ in
      nearest((0..<4).reduce(0) { sum, _ in sum + Double.random(in: -1...1, using: &generator) } / 8)
    }
  }
}
