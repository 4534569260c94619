/// The textual notations of pickle protocol 0.
enum PickleEscapes {
  /// Text in Python's raw-unicode-escape, Latin-1 bytes with `\uXXXX` and `\UXXXXXXXX`, as UTF-8;
  /// a lone surrogate takes three bytes of it.
  static func rawUnicode(_ line: UnsafeRawBufferPointer) -> [UInt8]? {
    var text: [UInt8] = []
    var index = 0
    while index < line.count {
      let marker = index + 1 < line.count ? line[index + 1] : 0
      if line[index] == UInt8(ascii: "\\"), marker == UInt8(ascii: "u") || marker == UInt8(ascii: "U") {
        let digits = marker == UInt8(ascii: "u") ? 4 : 8
        guard let value = hex(line, index + 2, digits) else { return nil }
        if let scalar = UnicodeScalar(value) {
          text += UTF8.encode(scalar)!
        } else if (0xd800...0xdfff).contains(value) {
          text += [0xe0 | UInt8(value >> 12), 0x80 | UInt8(value >> 6 & 0x3f), 0x80 | UInt8(value & 0x3f)]
        } else {
          return nil
        }
        index += 2 + digits
      } else if line[index] == UInt8(ascii: "\\"), index + 1 < line.count {
        // A backslash takes the next character with it, another backslash too.
        text += [UInt8(ascii: "\\")] + UTF8.encode(UnicodeScalar(marker))!
        index += 2
      } else {
        text += UTF8.encode(UnicodeScalar(line[index]))!
        index += 1
      }
    }
    return text
  }

  /// The bytes of a quoted Python 2 string literal.
  static func python2Literal(_ line: UnsafeRawBufferPointer) -> [UInt8]? {
    guard line.count >= 2, let quote = line.first, quote == line.last,
      quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\"")
    else { return nil }
    var bytes: [UInt8] = []
    var index = 1
    let end = line.count - 1
    while index < end {
      guard line[index] == UInt8(ascii: "\\") else {
        bytes.append(line[index])
        index += 1
        continue
      }
      guard index + 1 < end else { return nil }
      let escape = line[index + 1]
      index += 2
      switch UnicodeScalar(escape) {
      case "n": bytes.append(0x0a)
      case "r": bytes.append(0x0d)
      case "t": bytes.append(0x09)
      case "a": bytes.append(0x07)
      case "b": bytes.append(0x08)
      case "f": bytes.append(0x0c)
      case "v": bytes.append(0x0b)
      case "\\", "'", "\"": bytes.append(escape)
      case "x":
        guard index + 2 <= end, let value = hex(line, index, 2) else { return nil }
        bytes.append(UInt8(value))
        index += 2
      case "0"..."7":
        var value = 0
        var last = index - 1
        while last < end, last < index + 2, (0x30...0x37).contains(line[last]) {
          value = value * 8 + Int(line[last] - 0x30)
          last += 1
        }
        bytes.append(UInt8(truncatingIfNeeded: value))
        index = last
      default: bytes += [UInt8(ascii: "\\"), escape]
      }
    }
    return bytes
  }

  private static func hex(_ line: UnsafeRawBufferPointer, _ start: Int, _ digits: Int) -> UInt32? {
    guard start + digits <= line.count else { return nil }
    let text = String(decoding: line[start..<start + digits], as: UTF8.self)
    return text.allSatisfy(\.isHexDigit) ? UInt32(text, radix: 16) : nil
  }

  /// A decimal integer beyond 64 bits as little-endian two's complement, at most 4096 digits long.
  static func bigInteger(_ text: String) -> [UInt8]? {
    let isNegative = text.hasPrefix("-")
    let digits = Array(text.utf8.drop { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "+") })
    guard !digits.isEmpty, digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    // Eighteen digits at a time fit into a word.
    var words: [UInt64] = [0]
    var start = 0
    while start < digits.count {
      let count = min(18, digits.count - start)
      var carry: UInt64 = 0
      var power: UInt64 = 1
      for digit in digits[start..<start + count] {
        carry = carry * 10 + UInt64(digit - 0x30)
        power *= 10
      }
      for index in words.indices {
        let (high, low) = words[index].multipliedFullWidth(by: power)
        let (sum, hasOverflow) = low.addingReportingOverflow(carry)
        words[index] = sum
        carry = high + (hasOverflow ? 1 : 0)
      }
      if carry > 0 { words.append(carry) }
      start += count
    }
    var bytes = words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } }
    while bytes.count > 1, bytes.last == 0 { bytes.removeLast() }
    bytes.append(0)
    guard isNegative else { return bytes }
    var carry = 1
    return bytes.map { byte in
      let sum = Int(~byte) + carry
      carry = sum >> 8
      return UInt8(truncatingIfNeeded: sum)
    }
  }
}
