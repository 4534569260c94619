import ModelCore

extension PythonText {
  /// The names in a dict from numbers to texts, or in a list of texts, as Python and JSON write them: `{0: 'person'}`,
  /// `["person"]`. Nil for anything else.
  static func names(_ text: String) -> ClassNames? {
    var reader = Reader(text)
    guard let names = reader.names(), reader.isAtEnd else { return nil }
    return ClassNames(names)
  }

  /// The numbers of `[17, 3]`.
  static func integers(_ text: String) -> [Int]? {
    guard let first = text.first, let last = text.last, "[(".contains(first), "])".contains(last) else { return nil }
    let numbers = text.dropFirst().dropLast().split(separator: ",").map { part in
      Int(part.filter { $0 != " " })
    }
    return numbers.allSatisfy { $0 != nil } ? numbers.compactMap { $0 } : nil
  }

  private struct Reader {
    private let scalars: [Unicode.Scalar]
    private var place = 0

    init(_ text: String) { scalars = Array(text.unicodeScalars) }

    private var current: Unicode.Scalar? { place < scalars.count ? scalars[place] : nil }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
      skipBlanks()
      guard current == scalar else { return false }
      place += 1
      return true
    }

    private mutating func skipBlanks() {
      while let scalar = current, " \t\r\n".unicodeScalars.contains(scalar) { place += 1 }
    }

    var isAtEnd: Bool { scalars[place...].allSatisfy { " \t\r\n".unicodeScalars.contains($0) } }

    mutating func names() -> [Int: String]? {
      let isDict = take("{")
      guard isDict || take("[") || take("(") else { return nil }
      var names: [Int: String] = [:]
      while true {
        if take(isDict ? "}" : "]") || (!isDict && take(")")) { return names }
        guard let key = isDict ? number() : names.count, !isDict || take(":"), let name = string() else { return nil }
        names[key] = name
        if !take(",") {
          guard take(isDict ? "}" : "]") || (!isDict && take(")")) else { return nil }
          return names
        }
      }
    }

    /// A number, which JSON's keys put into quotation marks.
    private mutating func number() -> Int? {
      skipBlanks()
      if current == "'" || current == "\"" { return string().flatMap { Int($0) } }
      var digits = ""
      while let scalar = current, ("0"..."9").contains(scalar) {
        digits.unicodeScalars.append(scalar)
        place += 1
      }
      return Int(digits)
    }

    private mutating func string() -> String? {
      skipBlanks()
      guard let quote = current, quote == "'" || quote == "\"" else { return nil }
      place += 1
      var text = String.UnicodeScalarView()
      while let scalar = current {
        place += 1
        if scalar == quote { return String(text) }
        guard scalar == "\\" else {
          text.append(scalar)
          continue
        }
        guard let escaped = escape() else { return nil }
        text.append(escaped)
      }
      return nil
    }

    private mutating func escape() -> Unicode.Scalar? {
      guard let letter = current else { return nil }
      place += 1
      switch letter {
      case "n": return "\n"
      case "t": return "\t"
      case "r": return "\r"
      case "x": return hex(2)
      case "u": return hex(4)
      case "U": return hex(8)
      case "\\", "'", "\"", "/": return letter
      default: return nil
      }
    }

    private mutating func hex(_ count: Int) -> Unicode.Scalar? {
      guard place + count <= scalars.count else { return nil }
      var digits = ""
      digits.unicodeScalars.append(contentsOf: scalars[place..<place + count])
      place += count
      return UInt32(digits, radix: 16).flatMap(Unicode.Scalar.init)
    }
  }
}
