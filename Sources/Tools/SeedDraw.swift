import ArgumentParser
import ModelUtils

/// A seed as its user wrote it: torch counts a negative one's bits, Python its magnitude, NumPy refuses it.
struct SeedNumber: ExpressibleByArgument, CustomStringConvertible, Encodable {
  let magnitude: UInt64
  let isNegative: Bool

  init(_ magnitude: UInt64, isNegative: Bool = false) {
    (self.magnitude, self.isNegative) = (magnitude, isNegative)
  }

  init?(argument: String) {
    if let seed = UInt64(argument) {
      self.init(seed)
    } else if let seed = Int64(argument) {
      self.init(seed.magnitude, isNegative: true)
    } else {
      return nil
    }
  }

  /// The 64 bits, as torch takes them.
  var bits: UInt64 { isNegative ? 0 &- magnitude : magnitude }
  var description: String { (isNegative ? "-" : "") + "\(magnitude)" }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    if isNegative { try container.encode(Int64(bitPattern: bits)) } else { try container.encode(magnitude) }
  }
}

enum SeedGenerator: String, Choice {
  case torch, numpy, python
}

enum SeedDistribution: String, Choice {
  case uniform, normal, permutation, integers, bernoulli
}

/// `2x3`.
struct SeedShape: ExpressibleByArgument, CustomStringConvertible {
  let lengths: [Int]

  init(_ lengths: [Int]) { self.lengths = lengths }

  init?(argument: String) {
    let lengths = argument.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
    guard lengths.allSatisfy({ $0.map { $0 >= 0 } ?? false }) else { return nil }
    self.lengths = lengths.compactMap { $0 }
  }

  var description: String { lengths.map(String.init).joined(separator: "x") }
}

struct SeedType: ExpressibleByArgument {
  let dtype: DType

  init?(argument: String) {
    guard let dtype = DType(rawValue: argument.lowercased()) else { return nil }
    self.dtype = dtype
  }
}

/// What is to be drawn.
struct SeedDraw {
  let seed: SeedNumber
  let generator: SeedGenerator
  let distribution: SeedDistribution
  let shape: [Int]
  let dtype: DType?
  let p: Double
  let mean: Double
  let deviation: Double
  let range: (low: Double, high: Double)
  let integers: (low: Int, high: Int)

  /// More numbers than anyone reads are not printed.
  private static let printLimit = 1 << 22

  func checkPrintable() throws {
    guard let count = Tensor.elementCount(shape), count <= Self.printLimit else {
      throw ModelError(
        .limit,
        "more than \(Self.printLimit) numbers are not printed", advice: "give --output without --json to write them")
    }
  }

  func tensor() throws -> Tensor {
    switch generator {
    case .torch: try torch()
    case .numpy: try numpy()
    case .python: try python()
    }
  }

  private func torch() throws -> Tensor {
    var generator = TorchGenerator(seed: seed.bits)
    switch distribution {
    case .uniform:
      return try generator.uniform(shape, dtype: dtype ?? .float32, from: range.low, to: range.high)
    case .normal:
      return try generator.normal(shape, dtype: dtype ?? .float32, mean: mean, standardDeviation: deviation)
    case .permutation: return try generator.permutation(shape[0], dtype: dtype ?? .int64)
    case .integers:
      return try generator.integers(shape, dtype: dtype ?? .int64, from: integers.low, below: integers.high)
    case .bernoulli: return try generator.bernoulli(shape, dtype: dtype ?? .float32, p: p)
    }
  }

  private func numpy() throws -> Tensor {
    guard !seed.isNegative else { throw ModelError(.invalid, "NumPy's generator takes no negative seed") }
    var generator = try NumPyGenerator(seed: seed.magnitude)
    switch distribution {
    case .uniform:
      return try doubles { low, high in generator.uniform(from: low, to: high) }
    case .normal: return try doubles { _, _ in generator.normal(mean: mean, standardDeviation: deviation) }
    case .permutation: return try integers(.int64) { generator.permutation($0) }
    case .integers:
      return try integers(dtype ?? .int64) { count in
        try generator.integers(count, dtype: dtype ?? .int64, from: integers.low, below: integers.high)
      }
    case .bernoulli: throw missing
    }
  }

  private func python() throws -> Tensor {
    var generator = PythonGenerator(seed: seed.magnitude)
    switch distribution {
    case .uniform: return try doubles { low, high in generator.uniform(low, high) }
    case .normal: return try doubles { _, _ in generator.gauss(mean: mean, standardDeviation: deviation) }
    case .permutation:
      return try integers(.int64) { count in
        var elements = Array(0..<count)
        generator.shuffle(&elements)
        return elements
      }
    case .integers:
      return try integers(.int64) { count in
        try (0..<count).map { _ in try generator.randrange(integers.low, integers.high) }
      }
    case .bernoulli: throw missing
    }
  }

  private var missing: ModelError {
    ModelError(
      .invalid, "the \(generator.rawValue) generator has no \(distribution.rawValue)", advice: "use --generator torch")
  }

  private func doubles(_ next: (Double, Double) -> Double) throws -> Tensor {
    guard dtype == nil || dtype == .float64 else { throw refused(.float64) }
    guard range.low <= range.high, (range.high - range.low).isFinite else {
      throw ModelError(.invalid, "the range from \(range.low) to \(range.high) is empty or not finite")
    }
    return try Tensor(.float64, shape) { bytes in
      for start in stride(from: 0, to: bytes.count, by: 8) {
        bytes.storeBytes(of: next(range.low, range.high), toByteOffset: start, as: Double.self)
      }
    }
  }

  private func integers(_ type: DType, _ draw: (Int) throws -> [Int]) throws -> Tensor {
    guard dtype == nil || dtype == type else { throw refused(type) }
    guard let count = Tensor.elementCount(shape) else { throw ModelError(.limit, "shape \(shape) overflows") }
    try Storage.checkMemory(count, elementSize: 2 * MemoryLayout<Int>.size)
    return try Tensor(integers: try draw(count), type, shape)
  }

  private func refused(_ type: DType) -> ModelError {
    ModelError(
      .invalid,
      "the \(generator.rawValue) generator draws \(distribution.rawValue) numbers as \(type.rawValue) alone",
      advice: "use --generator torch")
  }
}
