import ModelCore

/// Reads strict JSON from bytes in memory, one token after the other, without building a tree.
///
/// What it accepts is what serde_json accepts: UTF-8 without a byte order mark, no trailing commas, no comments, no
/// lone surrogates, no number beyond the doubles, at most 127 objects and arrays inside each other. Time is linear in
/// the number of bytes and memory is that of the strings that are asked for. The bytes must outlive the reader.
package struct JSONReader {
  /// How many objects and arrays may stand inside each other.
  package static let depthLimit = 127

  private let bytes: UnsafeBufferPointer<UInt8>
  private let file: String
  private let base: Int
  private var position = 0
  private var depth = 0
  /// Whether the innermost object or array has just been opened, so that no comma stands before its first member.
  private var isOpening = false

  /// - Parameters:
  ///   - bytes: the whole text.
  ///   - file: the file's name, for messages.
  ///   - base: where the text starts in the file, in bytes.
  package init(_ bytes: UnsafeRawBufferPointer, file: String, base: Int = 0) {
    self.bytes = bytes.bindMemory(to: UInt8.self)
    self.file = file
    self.base = base
  }

  /// Where the next byte to be read stands in the file.
  package var offset: Int { base + position }

  package func failure(_ reason: String, at offset: Int? = nil, advice: String? = nil) -> ModelError {
    ModelError(.malformed, reason, file: file, offset: offset ?? self.offset, advice: advice)
  }

  // MARK: Bytes

  private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

  /// The first byte of the next token, or nil at the end of the text.
  package mutating func peek() -> UInt8? {
    while let byte = current {
      switch byte {
      case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t"): position += 1
      default: return byte
      }
    }
    return nil
  }

  private mutating func expect(_ byte: UInt8, _ what: String) throws {
    guard peek() == byte else { throw unexpected(what) }
    position += 1
  }

  private func unexpected(_ wanted: String) -> ModelError {
    guard let byte = current else { return failure("JSON ends where \(wanted) should stand") }
    let found =
      byte > 0x20 && byte < 0x7f ? "`\(Unicode.Scalar(byte))`" : "byte 0x\(String(byte, radix: 16))"
    return failure("\(found) stands in the JSON where \(wanted) should")
  }

  /// Checks that nothing but white space follows.
  package mutating func finish() throws {
    if peek() != nil { throw unexpected("the end") }
  }

  // MARK: Objects and arrays

  private mutating func open(_ bracket: UInt8, _ what: String) throws {
    try expect(bracket, what)
    guard depth < Self.depthLimit else {
      throw failure("JSON nests deeper than \(Self.depthLimit) levels", at: offset - 1)
    }
    depth += 1
    isOpening = true
  }

  /// Whether another member stands before the closing `bracket`; takes the comma, or the bracket.
  private mutating func advance(to bracket: UInt8, _ what: String) throws -> Bool {
    if peek() == bracket {
      position += 1
      depth -= 1
      isOpening = false
      return false
    }
    if !isOpening { try expect(UInt8(ascii: ","), what) }
    isOpening = false
    return true
  }

  /// Enters an object; its members are then read with `nextName()`, each followed by reading or skipping its value.
  package mutating func openObject() throws {
    try open(UInt8(ascii: "{"), "an object")
  }

  /// The name of the object's next member, or nil when the object has been left.
  package mutating func nextName() throws -> Text? {
    guard try advance(to: UInt8(ascii: "}"), "`,` or `}`") else { return nil }
    let name = try readText("a name")
    try expect(UInt8(ascii: ":"), "`:`")
    return name
  }

  /// Enters an array; before each element `nextElement()` says whether there is one.
  package mutating func openArray() throws {
    try open(UInt8(ascii: "["), "an array")
  }

  /// Whether the array has another element; false when the array has been left.
  package mutating func nextElement() throws -> Bool {
    try advance(to: UInt8(ascii: "]"), "`,` or `]`")
  }

  // MARK: Values

  /// A string as it stands in the text; a `String` is only made of it when it is asked for.
  package struct Text {
    fileprivate let bytes: UnsafeBufferPointer<UInt8>
    /// The decoded text where it holds escapes or more than ASCII.
    fileprivate let decoded: String?
    /// Where its opening quotation mark stands in the file.
    package let offset: Int

    package var string: String { decoded ?? String(decoding: bytes, as: UTF8.self) }

    package static func == (text: Text, other: StaticString) -> Bool {
      if let decoded = text.decoded { return decoded == other.description }
      return other.withUTF8Buffer { $0.count == text.bytes.count && $0.elementsEqual(text.bytes) }
    }
  }

  /// A string.
  package mutating func readText(_ what: String = "a string") throws -> Text {
    try expect(UInt8(ascii: "\""), what)
    let start = position
    var isASCII = true
    while let byte = current {
      switch byte {
      case UInt8(ascii: "\""):
        let raw = UnsafeBufferPointer(rebasing: bytes[start..<position])
        position += 1
        return Text(bytes: raw, decoded: isASCII ? nil : try validated(raw, start), offset: base + start - 1)
      case UInt8(ascii: "\\"):
        let raw = UnsafeBufferPointer(rebasing: bytes[start..<position])
        let decoded = try readEscaped(Array(raw), start)
        return Text(bytes: raw, decoded: decoded, offset: base + start - 1)
      case 0..<0x20:
        throw failure("a control character stands unescaped in a JSON string")
      default:
        if byte >= 0x80 { isASCII = false }
        position += 1
      }
    }
    throw failure("a JSON string does not end", at: base + start - 1)
  }

  private func validated(_ text: some Collection<UInt8>, _ start: Int) throws -> String {
    guard let string = String(sound: text) else {
      throw failure("a JSON string is not valid UTF-8", at: base + start - 1)
    }
    return string
  }

  /// The rest of a string from its first backslash on, behind the bytes that stand before it.
  private mutating func readEscaped(_ head: [UInt8], _ start: Int) throws -> String {
    var text = head
    while let byte = current {
      switch byte {
      case UInt8(ascii: "\""):
        position += 1
        return try validated(text, start)
      case UInt8(ascii: "\\"):
        position += 1
        try appendEscape(to: &text)
      case 0..<0x20:
        throw failure("a control character stands unescaped in a JSON string")
      default:
        text.append(byte)
        position += 1
      }
    }
    throw failure("a JSON string does not end", at: base + start - 1)
  }

  private mutating func appendEscape(to text: inout [UInt8]) throws {
    guard let letter = current else { throw unexpected("an escaped character") }
    position += 1
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(letter)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0c)
    case UInt8(ascii: "n"): text.append(0x0a)
    case UInt8(ascii: "r"): text.append(0x0d)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"):
      let start = position - 2
      var code = try readHex()
      if code & 0xfc00 == 0xd800, takeIfNext(UInt8(ascii: "\\"), UInt8(ascii: "u")) {
        let low = try readHex()
        if low & 0xfc00 == 0xdc00 { code = 0x10000 + ((code & 0x3ff) << 10) + (low & 0x3ff) }
      }
      guard let scalar = Unicode.Scalar(code) else {
        throw failure("half a surrogate pair stands in a JSON string", at: base + start)
      }
      text.append(contentsOf: UTF8.encode(scalar) ?? .init())
    default:
      position -= 1
      throw unexpected("an escaped character")
    }
  }

  private mutating func takeIfNext(_ first: UInt8, _ second: UInt8) -> Bool {
    guard bytes.count - position >= 2, bytes[position] == first, bytes[position + 1] == second else { return false }
    position += 2
    return true
  }

  private mutating func readHex() throws -> UInt32 {
    var code: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = current, let digit = Unicode.Scalar(byte).hexValue else {
        throw unexpected("a hexadecimal digit")
      }
      code = code << 4 | digit
      position += 1
    }
    return code
  }

  static func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

  private mutating func takeDigits() throws {
    guard let byte = current, Self.isDigit(byte) else { throw unexpected("a digit") }
    position += 1
    while let byte = current, Self.isDigit(byte) { position += 1 }
  }

  /// A number: its value where it is written as an integer from 0 to 2^64 - 1 (`-0` and `1.0` are not), else nil.
  package mutating func readNumber() throws -> UInt64? {
    guard let first = peek(), first == UInt8(ascii: "-") || Self.isDigit(first) else { throw unexpected("a number") }
    let start = position
    if first == UInt8(ascii: "-") { position += 1 }
    if current == UInt8(ascii: "0") { position += 1 } else { try takeDigits() }
    var isInteger = true
    if current == UInt8(ascii: ".") {
      isInteger = false
      position += 1
      try takeDigits()
    }
    if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
      isInteger = false
      position += 1
      if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { position += 1 }
      try takeDigits()
    }
    let number = UnsafeBufferPointer(rebasing: bytes[start..<position])
    if isInteger, let value = JSONNumber.natural(number) { return value }
    guard JSONNumber.isDouble(number) else {
      throw failure("a number is beyond the range of doubles", at: base + start)
    }
    return nil
  }

  /// A number, rounded to the nearest double.
  package mutating func readDouble() throws -> Double {
    _ = peek()
    let start = position
    if let natural = try readNumber() { return Double(natural) }
    return Double(String(decoding: bytes[start..<position], as: UTF8.self)) ?? .nan
  }

  /// A whole number, or one with a point or an exponent.
  package enum Number {
    case integer(Int)
    case double(Double)
  }

  /// A number of either kind; a whole one beyond 64 bits becomes a double.
  package mutating func readSigned() throws -> Number {
    _ = peek()
    let start = position
    _ = try readNumber()
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    return Int(text).map { .integer($0) } ?? .double(Double(text) ?? .nan)
  }

  /// A truth value.
  package mutating func readBool() throws -> Bool {
    let isTrue = peek() == UInt8(ascii: "t")
    try take(isTrue ? "true" : "false")
    return isTrue
  }

  /// Takes `null` and says so, or leaves what stands there.
  package mutating func readNull() throws -> Bool {
    guard peek() == UInt8(ascii: "n") else { return false }
    try take("null")
    return true
  }

  private mutating func take(_ word: StaticString) throws {
    let found = word.withUTF8Buffer { letters in
      bytes[position...].starts(with: letters)
    }
    guard found else { throw unexpected("`\(word)`") }
    position += word.utf8CodeUnitCount
  }

  /// Reads any value and drops it.
  package mutating func skipValue() throws {
    guard let first = peek() else { throw unexpected("a value") }
    switch first {
    case UInt8(ascii: "{"):
      try openObject()
      while try nextName() != nil { try skipValue() }
    case UInt8(ascii: "["):
      try openArray()
      while try nextElement() { try skipValue() }
    case UInt8(ascii: "\""): _ = try readText()
    case UInt8(ascii: "t"): try take("true")
    case UInt8(ascii: "f"): try take("false")
    case UInt8(ascii: "n"): try take("null")
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): _ = try readNumber()
    default: throw unexpected("a value")
    }
  }
}

extension Unicode.Scalar {
  /// The value of a hexadecimal digit.
  fileprivate var hexValue: UInt32? {
    switch self {
    case "0"..."9": value - 0x30
    case "a"..."f": value - 0x57
    case "A"..."F": value - 0x37
    default: nil
    }
  }
}
