import CKernels
import ModelCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// How two state dicts differ: names, shapes, element types and values.
public struct StateDictDiff: Sendable, Codable, CustomStringConvertible {
  /// A tensor that both have and that differs.
  public struct Entry: Sendable, Codable, Hashable {
    /// The name in both.
    public let name: String
    /// The shape in the first.
    public let firstShape: [Int]
    /// The shape in the second.
    public let secondShape: [Int]
    /// The element type in the first.
    public let firstDType: DType
    /// The element type in the second.
    public let secondDType: DType
    /// How many elements are not equal; nil where the shapes differ.
    public var elements: Int?
    /// How many of them are NaN or infinite on one side, or infinite of either sign; the measures below leave them out.
    public var nonFinite: Int?
    /// The greatest |a - b|; nil where the values cannot be compared.
    public var maxAbs: Double?
    /// The greatest |a - b| / max(|a|, |b|).
    public var maxRelative: Double?
    /// The cosine of the angle between the two as vectors; nil where one of them is zero.
    public var cosine: Double?
  }

  /// Whether there is nothing to tell: all names are in both, nothing differs.
  public let equal: Bool
  /// The names that the second lacks, in the first's order.
  public let onlyInFirst: [String]
  /// The names that the first lacks, in the second's order.
  public let onlyInSecond: [String]
  /// The tensors that both have and that differ, in the first's order.
  public let differing: [Entry]
  /// How many tensors both have.
  public let compared: Int
  /// What a file holds beside and the other could not hold, in words; it does not count as a difference.
  public internal(set) var notCompared: [String] = []
  /// What differs of what is no tensor, in words: plain entries of a checkpoint, attributes of modules. It does not count
  /// as a difference either, for a file of another format does not hold it.
  public internal(set) var besideTensors: [String] = []

  public var description: String {
    equal
      ? "Equal: \(compared) tensors"
      : "\(differing.count) of \(compared) tensors differ, \(onlyInFirst.count) only in the first, "
        + "\(onlyInSecond.count) only in the second"
  }

  /// Compares two state dicts by name, in parallel and one pair of tensors after the other, so that files larger than
  /// memory can be compared.
  ///
  /// Values are equal as numbers: zeros of either sign are equal, and so are NaNs.
  /// - Parameter tolerance: the greatest |a - b| that counts as equal. Nil demands equal values and equal element
  ///   types; with a tolerance types may differ, and are compared by value.
  /// - Throws: `ModelError` when elements cannot be read.
  public init(_ first: StateDict, _ second: StateDict, tolerance: Double? = nil) throws {
    onlyInFirst = first.names.filter { second[$0] == nil }
    onlyInSecond = second.names.filter { first[$0] == nil }
    var pairs: [Pair] = []
    for (name, tensor) in first.tensors {
      if let other = second[name] { pairs.append(Pair(name: name, first: tensor, second: other)) }
    }
    // A large pair is divided among threads, the small ones are one job each.
    for index in pairs.indices where pairs[index].isLarge { try pairs[index].compare(tolerance) }
    try Parallel.update(&pairs) { pair in
      if !pair.isLarge { try pair.compare(tolerance) }
    }
    differing = pairs.compactMap(\.entry)
    compared = pairs.count
    equal = onlyInFirst.isEmpty && onlyInSecond.isEmpty && differing.isEmpty
  }
}

private struct Pair: Sendable {
  let name: String
  let first: Tensor
  let second: Tensor
  /// What differs; nil where nothing does.
  var entry: StateDictDiff.Entry?

  static let chunk = 1 << 19

  init(name: String, first: Tensor, second: Tensor) {
    (self.name, self.first, self.second) = (name, first, second)
  }

  var isLarge: Bool { first.count > 4 * Self.chunk }

  mutating func compare(_ tolerance: Double?) throws {
    do { entry = try difference(tolerance) } catch let error as ModelError { throw error.about(name) }
  }

  private func difference(_ tolerance: Double?) throws -> StateDictDiff.Entry? {
    var entry = StateDictDiff.Entry(
      name: name, firstShape: first.shape, secondShape: second.shape, firstDType: first.dtype,
      secondDType: second.dtype)
    guard first.shape == second.shape else { return entry }
    let values = try compareValues()
    entry.elements = values.different
    entry.nonFinite = values.nonfinite
    (entry.maxAbs, entry.maxRelative, entry.cosine) = (values.maxAbs, values.maxRelative, values.cosine)
    if let tolerance {
      let isWithin = values.nonfinite == 0 && (values.maxAbs ?? (values.different == 0 ? 0 : .infinity)) <= tolerance
      return isWithin ? nil : entry
    }
    return values.different == 0 && first.dtype == second.dtype ? nil : entry
  }

  private struct Values: Sendable {
    var different = 0
    var nonfinite = 0
    var maxAbs: Double? = 0
    var maxRelative: Double? = 0
    var cosine: Double? = 1
  }

  private func compareValues() throws -> Values {
    if first.count == 0 { return Values() }
    if first.dtype == second.dtype, first.identity == second.identity { return Values() }
    if let a = first.dtype.kernelFormat, let b = second.dtype.kernelFormat { return try compareFloats(a, b) }
    if first.dtype == second.dtype {
      let isSame = try first.withContiguousBytes { a in
        try second.withContiguousBytes { b in memcmp(a.baseAddress!, b.baseAddress!, a.count) == 0 }
      }
      if isSame { return Values() }
    }
    return try compareNumbers()
  }

  private func compareFloats(_ a: mk_float, _ b: mk_float) throws -> Values {
    let x = try ContiguousBytes(first)
    let y = try ContiguousBytes(second)
    nonisolated(unsafe) let (left, right) = (x.bytes, y.bytes)
    let (leftWidth, rightWidth) = (first.dtype.byteWidth ?? 1, second.dtype.byteWidth ?? 1)
    let count = first.count
    let chunks = (count + Self.chunk - 1) / Self.chunk
    var results = [mk_comparison?](repeating: nil, count: chunks)
    results.withUnsafeMutableBufferPointer { buffer in
      nonisolated(unsafe) let results = buffer
      let body: @Sendable (Int) -> Void = { index in
        let start = index * Self.chunk
        let length = min(Self.chunk, count - start)
        let p = left.baseAddress! + start * leftWidth
        let q = right.baseAddress! + start * rightWidth
        // Equal bits need no arithmetic. The cosine needs the sums of equal parts too, when others differ.
        if a == b, memcmp(p, q, length * leftWidth) == 0 { return }
        var result = mk_comparison()
        mk_compare(&result, p, a, q, b, length)
        results[index] = result
      }
      if chunks > 4 { Parallel.forEach(chunks, body) } else { for index in 0..<chunks { body(index) } }
    }
    var total = mk_comparison()
    if results.contains(where: { $0 != nil }) {
      for (index, known) in results.enumerated() {
        var part = known ?? mk_comparison()
        if known == nil {
          let start = index * Self.chunk
          let p = left.baseAddress! + start * leftWidth
          mk_compare(&part, p, a, p, a, min(Self.chunk, count - start))
        }
        total.different += part.different
        total.nonfinite += part.nonfinite
        total.max_absolute = max(total.max_absolute, part.max_absolute)
        total.max_relative = max(total.max_relative, part.max_relative)
        total.product += part.product
        total.first_squares += part.first_squares
        total.second_squares += part.second_squares
      }
    } else {
      withExtendedLifetime((x, y)) {}
      return Values()
    }
    withExtendedLifetime((x, y)) {}
    return Values(
      different: total.different, nonfinite: total.nonfinite, maxAbs: total.max_absolute,
      maxRelative: total.max_relative,
      cosine: Self.cosine(total.product, total.first_squares, total.second_squares))
  }

  private static func cosine(_ product: Double, _ first: Double, _ second: Double) -> Double? {
    if first == 0, second == 0 { return 1 }
    let cosine = product / (first.squareRoot() * second.squareRoot())
    return cosine.isFinite ? min(1, max(-1, cosine)) : nil
  }

  /// Integers, and integers against floats.
  private func compareNumbers() throws -> Values {
    guard let a = try? first.doubles(), let b = try? second.doubles() else {
      // Types that are only carried: their bits differ, and that is all that can be said.
      return Values(different: first.count, maxAbs: nil, maxRelative: nil, cosine: nil)
    }
    var result = mk_comparison()
    a.withUnsafeBytes { x in
      b.withUnsafeBytes { y in mk_compare(&result, x.baseAddress, MK_FLOAT64, y.baseAddress, MK_FLOAT64, a.count) }
    }
    // Integers beyond 2^53 can differ where their doubles are equal.
    let different = first.dtype == second.dtype ? max(1, result.different) : result.different
    return Values(
      different: different, nonfinite: result.nonfinite, maxAbs: result.max_absolute,
      maxRelative: result.max_relative,
      cosine: Self.cosine(result.product, result.first_squares, result.second_squares))
  }
}
