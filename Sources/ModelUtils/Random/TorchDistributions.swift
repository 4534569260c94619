import CKernels
import ModelCore

extension TorchGenerator {
  /// `torch.rand` and `Tensor.uniform_`: numbers in [from, to), float64, float32, float16 or bfloat16. In half
  /// precision what rounds to `to` becomes `from`, as in torch 2.13.
  /// - Throws: `ModelError` for another type, when `from` is above `to` or the distance is not finite in that type, or
  ///   for a bad shape.
  public mutating func uniform(
    _ shape: [Int], dtype: DType = .float32, from: Double = 0, to: Double = 1
  ) throws -> Tensor {
    let format = try Self.drawnFormat(dtype)
    try Self.checkUniform(dtype, from: from, to: to)
    return try Tensor(dtype, shape) { bytes in fillUniform(bytes, dtype, format, from: from, to: to) }
  }

  /// `torch.rand` in any floating type, widened to double.
  /// - Throws: `ModelError` for a type that torch does not draw.
  public mutating func uniform(_ dtype: DType, _ count: Int) throws -> [Double] {
    try uniform([count], dtype: dtype).doubles()
  }

  /// `torch.randn` and `Tensor.normal_`: normal numbers, float64, float32, float16 or bfloat16.
  ///
  /// Fewer than 16 are made one after the other in double, by the C library's functions; 16 or more in blocks of 16, in
  /// float32 by torch's own polynomials for AVX2, whatever the machine.
  /// - Throws: `ModelError` for another type, when the standard deviation is negative or NaN, or for a bad shape.
  public mutating func normal(
    _ shape: [Int], dtype: DType = .float32, mean: Double = 0, standardDeviation: Double = 1
  ) throws -> Tensor {
    let format = try Self.drawnFormat(dtype)
    try Self.checkNormal(standardDeviation)
    return try Tensor(dtype, shape) { bytes in
      fillNormal(bytes, dtype, format, mean: mean, standardDeviation: standardDeviation)
    }
  }

  /// `torch.randint`: integers in [low, high), of an integer type, bool or a floating type.
  ///
  /// From a range of 2^28 on torch draws 64 bits for each; the remainder is taken without rejection.
  /// - Throws: `ModelError` for another type, an empty range, one beyond the integers that the type holds exactly, or a
  ///   bad shape.
  public mutating func integers(
    _ shape: [Int], dtype: DType = .int64, from low: Int = 0, below high: Int
  ) throws -> Tensor {
    try dtype.checkIntegers(from: low, below: high)
    let range = UInt64(bitPattern: Int64(high)) &- UInt64(bitPattern: Int64(low))
    let drawn = dtype.isFloatingPoint ? DType.int64 : dtype
    let size = drawn.bitWidth / 8
    if drawn != dtype { try Self.checkCasting(Tensor.elementCount(shape) ?? .max) }
    return try Tensor(drawn, shape) { bytes in
      draw { mk_torch_integers($0, bytes.baseAddress, bytes.count / size, size, range, Int64(low)) }
    }.cast(to: dtype)
  }

  /// `torch.randperm`: the numbers from 0 to below `count` in random order.
  /// - Throws: `ModelError` for a negative count, or a type that does not hold all the numbers.
  public mutating func permutation(_ count: Int, dtype: DType = .int64) throws -> Tensor {
    if count > 0 { try dtype.checkIntegers(from: 0, below: count) }
    if dtype != .int64 { try Self.checkCasting(count) }
    return try Tensor(.int64, [count]) { bytes in
      draw { mk_torch_permutation($0, bytes.bindMemory(to: Int64.self).baseAddress, count) }
    }.cast(to: dtype)
  }

  /// `Tensor.bernoulli_(p)`: 1 with the given probability, else 0, of any floating or integer type.
  ///
  /// As torch draws it without Intel's MKL, which it uses on Intel's own processors with other numbers.
  /// - Throws: `ModelError` for another type, a probability that is not 0 to 1, or a bad shape.
  public mutating func bernoulli(_ shape: [Int], dtype: DType = .float32, p: Double) throws -> Tensor {
    try Self.checkProbability(p)
    guard dtype.exactIntegers != nil else { throw ModelError(.invalid, "\(dtype.rawValue) numbers cannot be drawn") }
    return try zerosAndOnes(dtype, shape) { twister, bytes, count in mk_torch_bernoulli(twister, bytes, count, p) }
  }

  /// `torch.bernoulli`: 1 with each element's probability, else 0; the shape and the type are those of `probabilities`.
  /// - Throws: `ModelError` for a type that is not drawn, or a probability that is not 0 to 1.
  public mutating func bernoulli(_ probabilities: Tensor) throws -> Tensor {
    let format = try Self.drawnFormat(probabilities.dtype)
    for p in try probabilities.doubles() { try Self.checkProbability(p) }
    return try probabilities.withContiguousBytes { p in
      try zerosAndOnes(probabilities.dtype, probabilities.shape) { twister, bytes, count in
        mk_torch_bernoulli_each(twister, bytes, p.baseAddress, count, format)
      }
    }
  }

  /// A tensor in which 1 stands where `draw` writes a byte 1.
  private mutating func zerosAndOnes(
    _ dtype: DType, _ shape: [Int],
    _ draw: (UnsafeMutablePointer<mk_twister>, UnsafeMutablePointer<UInt8>, Int) -> Void
  ) throws -> Tensor {
    let one = try dtype.pattern(of: 1)
    return try Tensor(dtype, shape) { bytes in
      let count = bytes.count / one.count
      guard count > 0, let start = bytes.bindMemory(to: UInt8.self).baseAddress else { return }
      // The bytes stand at the end of the elements' memory, so that none is overwritten before it is read.
      let drawn = start + (bytes.count - count)
      self.draw { draw($0, drawn, count) }
      for index in 0..<count {
        let isOne = drawn[index] == 1
        for (place, byte) in one.enumerated() { start[index * one.count + place] = isOne ? byte : 0 }
      }
    }
  }
}

extension TorchGenerator {
  mutating func fillUniform(
    _ bytes: UnsafeMutableRawBufferPointer, _ dtype: DType, _ format: mk_float, from: Double, to: Double
  ) {
    draw { mk_torch_uniform($0, bytes.baseAddress, bytes.count * 8 / dtype.bitWidth, format, from, to) }
  }

  mutating func fillNormal(
    _ bytes: UnsafeMutableRawBufferPointer, _ dtype: DType, _ format: mk_float, mean: Double,
    standardDeviation: Double
  ) {
    let count = bytes.count * 8 / dtype.bitWidth
    if count >= 16 {
      draw { mk_torch_normal($0, bytes.baseAddress, count, format, mean, standardDeviation) }
      return
    }
    let values = (0..<count).map { _ in mean.addingProduct(normalFloat64(), standardDeviation) }
    mk_convert(bytes.baseAddress, format, values, MK_FLOAT64, count)
  }

  /// - Throws: `ModelError` for a type whose numbers torch does not draw.
  static func drawnFormat(_ dtype: DType) throws -> mk_float {
    guard [.float64, .float32, .float16, .bfloat16].contains(dtype), let format = dtype.kernelFormat else {
      throw ModelError(.invalid, "\(dtype.rawValue) numbers cannot be drawn")
    }
    return format
  }

  static func checkUniform(_ dtype: DType, from: Double, to: Double) throws {
    guard from <= to else { throw ModelError(.invalid, "the range from \(from) to \(to) is empty") }
    let distance = dtype == .float64 ? to - from : Double(Float(to) - Float(from))
    let greatest =
      switch dtype {
      case .float16: 65504.0
      case .bfloat16: 0x1.fep127
      case .float32: Double(Float.greatestFiniteMagnitude)
      default: Double.greatestFiniteMagnitude
      }
    guard abs(from) <= greatest, abs(to) <= greatest, distance <= greatest else {
      throw ModelError(.invalid, "the range from \(from) to \(to) goes beyond \(dtype.rawValue)")
    }
  }

  static func checkNormal(_ standardDeviation: Double) throws {
    guard standardDeviation >= 0 else {
      throw ModelError(.invalid, "the standard deviation \(standardDeviation) is negative")
    }
  }

  /// - Throws: `ModelError` when the memory does not hold the drawn integers, their doubles and the result.
  private static func checkCasting(_ count: Int) throws {
    try Storage.checkMemory(count, elementSize: 3 * MemoryLayout<Int64>.size)
  }

  private static func checkProbability(_ p: Double) throws {
    guard p >= 0, p <= 1 else { throw ModelError(.invalid, "the probability \(p) is not 0 to 1") }
  }
}

extension DType {
  /// The integers that a type holds exactly, without a gap and as far as an `Int` goes: of the integer types, bool and
  /// the floating types that are drawn; nil for another.
  var exactIntegers: ClosedRange<Int>? {
    switch self {
    case .bool: 0...1
    case .uint8: 0...Int(UInt8.max)
    case .int8: Int(Int8.min)...Int(Int8.max)
    case .int16: Int(Int16.min)...Int(Int16.max)
    case .uint16: 0...Int(UInt16.max)
    case .int32: Int(Int32.min)...Int(Int32.max)
    case .uint32: 0...Int(UInt32.max)
    case .int64: Int.min...Int.max
    case .uint64: 0...Int.max
    case .float64: -1 << 53...1 << 53
    case .float32: -1 << 24...1 << 24
    case .float16: -1 << 11...1 << 11
    case .bfloat16: -1 << 8...1 << 8
    default: nil
    }
  }

  /// - Throws: `ModelError` unless the type holds the integers in [low, high), which must be some.
  func checkIntegers(from low: Int, below high: Int) throws {
    guard let integers = exactIntegers else { throw ModelError(.invalid, "\(rawValue) integers cannot be drawn") }
    guard low < high else { throw ModelError(.invalid, "the range from \(low) to below \(high) is empty") }
    guard integers.contains(low), integers.contains(high - 1) else {
      throw ModelError(.invalid, "the range from \(low) to below \(high) goes beyond \(rawValue)")
    }
  }
}
