import ModelCore

/// Writes JSON without white space, escaping what serde_json escapes.
struct JSONWriter {
  private(set) var bytes: [UInt8] = []
  private var needsComma = false

  mutating func open() { append("{", needsComma: false) }
  mutating func close() { append("}", needsComma: true) }
  mutating func openArray() { append("[", needsComma: false) }
  mutating func closeArray() { append("]", needsComma: true) }

  private mutating func append(_ bracket: Unicode.Scalar, needsComma: Bool) {
    bytes.append(UInt8(ascii: bracket))
    self.needsComma = needsComma
  }

  /// The comma before an array's next element, which is then written or opened.
  mutating func element() {
    if needsComma { bytes.append(UInt8(ascii: ",")) }
    needsComma = true
  }

  /// The name of the next member, and the comma before it.
  mutating func name(_ name: String) {
    if needsComma { bytes.append(UInt8(ascii: ",")) }
    append(name)
    bytes.append(UInt8(ascii: ":"))
    needsComma = true
  }

  mutating func value(_ text: String) { append(text) }

  mutating func value(_ number: Int) { bytes.append(contentsOf: String(number).utf8) }

  mutating func value(_ flag: Bool) { bytes.append(contentsOf: (flag ? "true" : "false").utf8) }

  mutating func null() { bytes.append(contentsOf: "null".utf8) }

  /// A finite number, with a point or an exponent, which a whole one does not have.
  mutating func value(_ number: Double) { bytes.append(contentsOf: "\(number)".utf8) }

  mutating func value(_ numbers: [Int]) {
    openArray()
    for number in numbers {
      element()
      value(number)
    }
    closeArray()
  }

  private mutating func append(_ text: String) {
    bytes.append(UInt8(ascii: "\""))
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
      case 0x08: bytes += [UInt8(ascii: "\\"), UInt8(ascii: "b")]
      case 0x09: bytes += [UInt8(ascii: "\\"), UInt8(ascii: "t")]
      case 0x0a: bytes += [UInt8(ascii: "\\"), UInt8(ascii: "n")]
      case 0x0c: bytes += [UInt8(ascii: "\\"), UInt8(ascii: "f")]
      case 0x0d: bytes += [UInt8(ascii: "\\"), UInt8(ascii: "r")]
      case 0..<0x20:
        bytes += "\\u00".utf8
        let digits = Array("0123456789abcdef".utf8)
        bytes += [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      default: bytes.append(byte)
      }
    }
    bytes.append(UInt8(ascii: "\""))
  }
}
