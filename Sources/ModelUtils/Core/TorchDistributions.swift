import CKernels

extension TorchGenerator {
  /// `torch.rand` and `Tensor.uniform_`: numbers in [from, to), float64, float32, float16 or bfloat16. In half precision what rounds to
  /// `to` becomes `from`, as in torch 2.13.
  /// - Throws: `ModelError` for another type, when `from` is above `to` or the distance is not finite in that type, or for a bad shape.
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
  /// Fewer than 16 are made one after the other in double, by the C library's functions; 16 or more in blocks of 16, in float32 by torch's
  /// own polynomials for AVX2, whatever the machine.
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

  /// `torch.randint`: integers in [low, high), of an integer type or bool.
  ///
  /// From a range of 2^28 on torch draws 64 bits for each; the remainder is taken without rejection.
  /// - Throws: `ModelError` for another type, an empty range, a range beyond the type, or a bad shape.
  public mutating func integers(
    _ shape: [Int], dtype: DType = .int64, from low: Int = 0, below high: Int
  ) throws -> Tensor {
    guard let bounds = dtype.integerBounds, let size = dtype.byteWidth else {
      throw ModelError("\(dtype.rawValue) integers cannot be drawn")
    }
    guard low < high else { throw ModelError("the range from \(low) to below \(high) is empty") }
    guard low >= bounds.lowerBound, high - 1 <= bounds.upperBound else {
      throw ModelError("the range from \(low) to below \(high) goes beyond \(dtype.rawValue)")
    }
    let range = UInt64(bitPattern: Int64(high)) &- UInt64(bitPattern: Int64(low))
    return try Tensor(dtype, shape) { bytes in
      draw { mk_torch_integers($0, bytes.baseAddress, bytes.count / size, size, range, Int64(low)) }
    }
  }

  /// `torch.randperm`: the numbers from 0 to below `count` in random order, int64.
  /// - Throws: `ModelError` for a negative count.
  public mutating func permutation(_ count: Int) throws -> Tensor {
    try Tensor(.int64, [count]) { bytes in
      draw { mk_torch_permutation($0, bytes.bindMemory(to: Int64.self).baseAddress, count) }
    }
  }

  /// `Tensor.bernoulli_(p)`: 1 with the given probability, else 0, of any floating or integer type.
  ///
  /// As torch draws it without Intel's MKL, which it uses on Intel's own processors with other numbers.
  /// - Throws: `ModelError` for another type, a probability that is not 0 to 1, or a bad shape.
  public mutating func bernoulli(_ shape: [Int], dtype: DType = .float32, p: Double) throws -> Tensor {
    try Self.checkProbability(p)
    try Self.checkTarget(dtype)
    return try Tensor(.bool, shape) { bytes in
      draw { mk_torch_bernoulli($0, bytes.bindMemory(to: UInt8.self).baseAddress, bytes.count, p) }
    }.cast(to: dtype)
  }

  /// `torch.bernoulli`: 1 with each element's probability, else 0; the shape and the type are those of `probabilities`.
  /// - Throws: `ModelError` for a type that is not drawn, or a probability that is not 0 to 1.
  public mutating func bernoulli(_ probabilities: Tensor) throws -> Tensor {
    let format = try Self.drawnFormat(probabilities.dtype)
    for p in try probabilities.doubles() { try Self.checkProbability(p) }
    return try Tensor(.bool, probabilities.shape) { bytes in
      try probabilities.withContiguousBytes { p in
        draw {
          mk_torch_bernoulli_each(
            $0, bytes.bindMemory(to: UInt8.self).baseAddress, p.baseAddress, bytes.count, format)
        }
      }
    }.cast(to: probabilities.dtype)
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
      throw ModelError("\(dtype.rawValue) numbers cannot be drawn")
    }
    return format
  }

  static func checkUniform(_ dtype: DType, from: Double, to: Double) throws {
    guard from <= to else { throw ModelError("the range from \(from) to \(to) is empty") }
    let distance = dtype == .float64 ? to - from : Double(Float(to) - Float(from))
    let greatest =
      switch dtype {
      case .float16: 65504.0
      case .bfloat16: 0x1.fep127
      case .float32: Double(Float.greatestFiniteMagnitude)
      default: Double.greatestFiniteMagnitude
      }
    guard abs(from) <= greatest, abs(to) <= greatest, distance <= greatest else {
      throw ModelError("the range from \(from) to \(to) goes beyond \(dtype.rawValue)")
    }
  }

  static func checkNormal(_ standardDeviation: Double) throws {
    guard standardDeviation >= 0 else { throw ModelError("the standard deviation \(standardDeviation) is negative") }
  }

  private static func checkProbability(_ p: Double) throws {
    guard p >= 0, p <= 1 else { throw ModelError("the probability \(p) is not 0 to 1") }
  }

  private static func checkTarget(_ dtype: DType) throws {
    guard dtype.integerBounds != nil || [.float64, .float32, .float16, .bfloat16].contains(dtype) else {
      throw ModelError("\(dtype.rawValue) numbers cannot be drawn")
    }
  }
}

extension DType {
  /// The values of an integer type or bool, as far as an `Int` goes; nil for another type.
  var integerBounds: ClosedRange<Int>? {
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
    default: nil
    }
  }
}
