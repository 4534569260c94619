extension Tensor: CustomStringConvertible {
  /// The values as NumPy prints an array: of more than 1000 elements the first and last three along each axis, in lines
  /// of 75 characters.
  ///
  /// Types that NumPy lacks are shown as float32 shows them. Elements that cannot be read are not: type and shape stand
  /// in their place.
  public var description: String {
    guard shape.count <= 64, let text = try? ArrayText(self) else { return "\(dtype.rawValue) \(shape)" }
    return text.description
  }
}

/// An array in NumPy's words.
private struct ArrayText {
  private static let threshold = 1000
  private static let edge = 3
  private static let lineWidth = 75
  /// The most elements of a summary: of more axes than this needs nobody reads one.
  private static let limit = 100_000

  private let shape: [Int]
  private let isSummary: Bool
  /// The elements that are shown, in order.
  private let words: [String]
  private var next = 0

  init(_ tensor: Tensor) throws {
    shape = tensor.shape
    isSummary = tensor.count > Self.threshold
    let places = isSummary ? Self.places(shape) : Array(0..<tensor.count)
    guard places.count <= Self.limit, let width = tensor.dtype.byteWidth else {
      throw ModelError(.limit, "has too many elements to be shown")
    }
    let shown = try tensor.withContiguousBytes { source in
      try Tensor(tensor.dtype, [places.count]) { bytes in
        for (index, place) in places.enumerated() {
          UnsafeMutableRawBufferPointer(rebasing: bytes[index * width..<(index + 1) * width])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[place * width..<(place + 1) * width]))
        }
      }
    }
    words = try Self.words(shown, isScalar: shape.isEmpty)
  }

  /// The row-major positions of the elements of a summary.
  private static func places(_ shape: [Int]) -> [Int] {
    var places = [0]
    for length in shape {
      let kept = length > 2 * edge ? Array(0..<edge) + Array(length - edge..<length) : Array(0..<length)
      guard places.count * kept.count <= limit else { return Array(0...limit) }
      places = places.flatMap { place in kept.map { place * length + $0 } }
    }
    return places
  }

  private static func words(_ tensor: Tensor, isScalar: Bool) throws -> [String] {
    switch tensor.dtype {
    case .bool:
      return try tensor.integers().map { $0 != 0 ? (isScalar ? "True" : " True") : "False" }
    case .uint64: return aligned(try tensor.elements(of: UInt64.self).map(\.description))
    case .float64: return DecimalText.words(try tensor.elements(of: Double.self), isScalar: isScalar)
    case .float16:
      #if os(macOS) && arch(x86_64)
        return DecimalText.words(try tensor.floats(), isScalar: isScalar)
      #else
        return DecimalText.words(try tensor.elements(of: Float16.self), isScalar: isScalar)
      #endif
    case let dtype where dtype.isFloatingPoint: return DecimalText.words(try tensor.floats(), isScalar: isScalar)
    default: return aligned(try tensor.integers().map(\.description))
    }
  }

  private static func aligned(_ words: [String]) -> [String] {
    let width = words.map(\.utf8.count).max() ?? 0
    return words.map { String(repeating: " ", count: width - $0.utf8.count) + $0 }
  }

  var description: String {
    if words.isEmpty { return "[]" }
    var text = self
    return text.text(axis: 0, indent: " ", width: Self.lineWidth)
  }

  /// What stands from an axis on, of the place that `next` has come to.
  private mutating func text(axis: Int, indent: String, width: Int) -> String {
    guard axis < shape.count else {
      defer { next += 1 }
      return words[next]
    }
    let length = shape[axis]
    let isCut = isSummary && length > 2 * Self.edge
    let count = isCut ? 2 * Self.edge : length
    var parts: [String] = []
    for index in 0..<count {
      if isCut, index == Self.edge { parts.append("...") }
      parts.append(text(axis: axis + 1, indent: indent + " ", width: width - 1))
    }
    guard axis == shape.count - 1 else {
      return "[" + parts.joined(separator: String(repeating: "\n", count: shape.count - axis - 1) + indent) + "]"
    }
    var (lines, line) = ("", indent)
    for part in parts {
      if line.utf8.count > indent.utf8.count, line.utf8.count + part.utf8.count > width - 1 {
        while line.last == " " { line.removeLast() }
        lines += line + "\n"
        line = indent
      }
      line += part + " "
    }
    return "[" + (lines + line.dropLast()).dropFirst(indent.count) + "]"
  }
}

/// Floating numbers of one array in NumPy's words: as few digits as tell them apart, at most 8 after the point, the
/// points below each other.
private enum DecimalText {
  private static let precision = 8

  static func words<Number: BinaryFloatingPoint & CustomStringConvertible>(
    _ numbers: [Number], isScalar: Bool
  ) -> [String] {
    // NumPy prints a scalar as Python's float.
    if isScalar { return numbers.map { $0.isNaN ? "nan" : Double($0).description } }
    let magnitudes = numbers.lazy.filter { $0.isFinite && $0 != 0 }.map(\.magnitude)
    let (least, most) = (magnitudes.min() ?? 1, magnitudes.max() ?? 1)
    let isScientific = Double(most) >= 1e8 || least < 0.0001 || Double(most / least) > 1000
    let digits = numbers.filter(\.isFinite).map { Digits($0, isScientific: isScientific, precision: precision) }
    let before = digits.map(\.whole.utf8.count).max() ?? 0
    let behind = digits.map(\.fraction.utf8.count).max() ?? 0
    let exponent = isScientific ? digits.map(\.exponent.utf8.count).max() ?? 0 : 0
    let tail = behind + (exponent > 0 ? exponent + 2 : 0)
    // "-inf" needs room for its sign.
    let special = numbers.lazy.filter { !$0.isFinite }.map { $0.isNaN || $0 > 0 ? 3 : 4 }.max() ?? 0
    let left = max(before, special - tail - 1)
    return numbers.map { number in
      guard number.isFinite else {
        let text = number.isNaN ? "nan" : number < 0 ? "-inf" : "inf"
        return padding(left + tail + 1 - text.utf8.count) + text
      }
      let parts = Digits(number, isScientific: isScientific, precision: precision)
      let missing = behind - parts.fraction.utf8.count
      let whole = padding(left - parts.whole.utf8.count) + parts.whole + "."
      guard isScientific else { return whole + parts.fraction + padding(missing) }
      // What the shortest digits lack are the number's own, not zeros.
      let fraction =
        missing > 0
        ? String(CFormat.string("%.\(behind)e", Double(number.magnitude)).dropFirst(2).prefix(behind)) : parts.fraction
      let width = String(repeating: "0", count: exponent - parts.exponent.utf8.count)
      return whole + fraction + "e" + parts.exponentSign + width + parts.exponent
    }
  }

  private static func padding(_ count: Int) -> String { String(repeating: " ", count: max(0, count)) }

  /// A number's decimal digits.
  private struct Digits {
    /// With its sign.
    var whole: String
    var fraction: String
    var exponentSign = "+"
    var exponent = ""

    init<Number: BinaryFloatingPoint & CustomStringConvertible>(
      _ number: Number, isScientific: Bool, precision: Int
    ) {
      var (digits, exponent) = Self.shortest(number)
      // The digits stand behind a point, times ten to the exponent.
      let sign = number.sign == .minus ? "-" : ""
      let excess = isScientific ? digits.count - 1 - precision : digits.count - exponent - precision
      if excess > 0 {
        let text = CFormat.string(isScientific ? "%.8e" : "%.8f", Double(number.magnitude))
        (digits, exponent) = Self.parts(text)
      }
      if isScientific {
        whole = sign + String(digits.first ?? "0")
        fraction = String(digits.dropFirst())
        let power = digits.isEmpty ? 0 : exponent - 1
        exponentSign = power < 0 ? "-" : "+"
        self.exponent = String(power.magnitude)
        if self.exponent.utf8.count < 2 { self.exponent = "0" + self.exponent }
        return
      }
      if exponent <= 0 {
        whole = sign + "0"
        fraction = digits.isEmpty ? "" : String(repeating: "0", count: -exponent) + digits
      } else {
        let padded = digits + String(repeating: "0", count: max(0, exponent - digits.count))
        whole = sign + padded.prefix(exponent)
        fraction = String(padded.dropFirst(exponent))
      }
    }

    private static func shortest<Number: BinaryFloatingPoint & CustomStringConvertible>(
      _ number: Number
    ) -> (String, Int) {
      // Swift writes out all digits of a whole Float16.
      if Number.significandBitCount == 10 {
        for digits in 0..<5 {
          let text = CFormat.string("%.\(digits)e", Double(number.magnitude))
          if let value = Double(text), Number(value) == number.magnitude { return parts(text) }
        }
      }
      return parts(number.magnitude.description)
    }

    /// The significant digits of a number in words, and the power of ten for a point before the first.
    private static func parts(_ text: String) -> (digits: String, exponent: Int) {
      let halves = text.split(separator: "e")
      let numbers = halves[0].split(separator: ".", omittingEmptySubsequences: false)
      let (whole, fraction) = (numbers[0], numbers.count > 1 ? numbers[1] : "")
      var digits = String(whole + fraction)
      var exponent = whole.utf8.count + (halves.count > 1 ? Int(halves[1]) ?? 0 : 0)
      while digits.first == "0" {
        digits.removeFirst()
        exponent -= 1
      }
      while digits.last == "0" { digits.removeLast() }
      return (digits, digits.isEmpty ? 0 : exponent)
    }
  }
}
