/// A word, number, text or sign of Python, with the line it stands on.
struct TracedCodeToken: Equatable {
  enum Kind: Equatable {
    case name(String)
    case int(Int)
    case double(Double)
    case string(String)
    case sign(String)
    /// A line's end, or a semicolon.
    case end
  }

  let kind: Kind
  let line: Int
}

extension TracedCodeToken {
  /// The signs that are understood, the longest first.
  private static let signs = [
    "**", "//", "->", "==", "!=", "<=", ">=", "<<", ">>", "+", "-", "*", "/", "%", "@", "<", ">", "=", "(", ")", "[",
    "]",
    "{", "}", ",", ".", ":", "&", "|", "^", "~",
  ]
  /// A megabyte of text would be a network of ten thousand layers.
  private static let sizeLimit = 8 << 20

  /// - Throws: `ModelError` for what is no sign of the language as torch.fx writes it.
  static func all(in source: String) throws -> [TracedCodeToken] {
    let bytes = Array(source.utf8)
    guard bytes.count <= sizeLimit else { throw ModelError(.limit, "the code is longer than \(sizeLimit) bytes") }
    var tokens: [TracedCodeToken] = []
    var (place, line, depth) = (0, 1, 0)
    func isLetter(_ byte: UInt8) -> Bool {
      byte == UInt8(ascii: "_") || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }
    func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
    func text(_ end: Int) -> String { String(decoding: bytes[place..<end], as: UTF8.self) }
    while place < bytes.count {
      let byte = bytes[place]
      switch byte {
      case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"): place += 1
      case UInt8(ascii: "\n"), UInt8(ascii: ";"):
        // Within brackets a line goes on.
        if depth == 0 { tokens.append(.init(kind: .end, line: line)) }
        if byte == UInt8(ascii: "\n") { line += 1 }
        place += 1
      case UInt8(ascii: "#"):
        while place < bytes.count, bytes[place] != UInt8(ascii: "\n") { place += 1 }
      case UInt8(ascii: "'"), UInt8(ascii: "\""):
        // torch.fx writes names and modes, which need no escapes.
        guard let end = bytes[(place + 1)...].firstIndex(of: byte),
          !bytes[place..<end].contains(where: { $0 == UInt8(ascii: "\\") || $0 == UInt8(ascii: "\n") })
        else { throw refusal(line, "a text that is not a plain one") }
        place += 1
        tokens.append(.init(kind: .string(text(end)), line: line))
        place = end + 1
      case _ where isLetter(byte):
        let end = bytes[place...].firstIndex { !isLetter($0) && !isDigit($0) } ?? bytes.count
        if end < bytes.count, [UInt8(ascii: "'"), UInt8(ascii: "\"")].contains(bytes[end]) {
          throw refusal(line, "a text that is not a plain one")
        }
        tokens.append(.init(kind: .name(text(end)), line: line))
        place = end
      case _ where isDigit(byte):
        var end = bytes[place...].firstIndex { !isLetter($0) && !isDigit($0) && $0 != UInt8(ascii: ".") } ?? bytes.count
        let isExponent = end < bytes.count && [UInt8(ascii: "+"), UInt8(ascii: "-")].contains(bytes[end])
        if isExponent, bytes[end - 1] | 0x20 == UInt8(ascii: "e") {
          end = bytes[(end + 1)...].firstIndex { !isDigit($0) } ?? bytes.count
        }
        let number = text(end)
        if let whole = Int(number) {
          tokens.append(.init(kind: .int(whole), line: line))
        } else if let value = Double(number) {
          tokens.append(.init(kind: .double(value), line: line))
        } else {
          throw refusal(line, "'\(number)'")
        }
        place = end
      default:
        guard let sign = signs.first(where: { bytes[place...].starts(with: $0.utf8) }) else {
          throw refusal(line, "'\(Character(UnicodeScalar(byte)))'")
        }
        if "([{".contains(sign) { depth += 1 }
        if ")]}".contains(sign) { depth = max(0, depth - 1) }
        tokens.append(.init(kind: .sign(sign), line: line))
        place += sign.utf8.count
      }
    }
    tokens.append(.init(kind: .end, line: line))
    return tokens
  }

  static func refusal(_ line: Int, _ what: String) -> ModelError {
    ModelError(.unsupported, "its code is not what torch.fx writes: line \(line) has \(what)")
  }
}
