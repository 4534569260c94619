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
      switch line[index + 1] {
      case UInt8(ascii: "n"): bytes.append(0x0a)
      case UInt8(ascii: "r"): bytes.append(0x0d)
      case UInt8(ascii: "t"): bytes.append(0x09)
      case UInt8(ascii: "x"):
        guard index + 3 < end, let value = hex(line, index + 2, 2) else { return nil }
        bytes.append(UInt8(value))
        index += 2
      case let other: bytes.append(other)
      }
      index += 2
    }
    return bytes
  }

  private static func hex(_ line: UnsafeRawBufferPointer, _ start: Int, _ digits: Int) -> UInt32? {
    guard start + digits <= line.count, line[start] != UInt8(ascii: "+") else { return nil }
    return UInt32(String(decoding: line[start..<start + digits], as: UTF8.self), radix: 16)
  }

  /// A decimal integer beyond 64 bits as little-endian two's complement, at most 4096 digits long.
  static func bigInteger(_ text: String) -> [UInt8]? {
    let isNegative = text.hasPrefix("-")
    let digits = text.drop { $0 == "-" || $0 == "+" }
    guard !digits.isEmpty, digits.allSatisfy({ $0.isASCII && $0.isNumber }) else { return nil }
    var magnitude: [UInt8] = [0]
    for digit in digits {
      var carry = digit.wholeNumberValue ?? 0
      for index in magnitude.indices {
        carry += Int(magnitude[index]) * 10
        magnitude[index] = UInt8(truncatingIfNeeded: carry)
        carry >>= 8
      }
      if carry > 0 { magnitude.append(UInt8(carry)) }
    }
    magnitude.append(0)
    guard isNegative else { return magnitude }
    var carry = 1
    return magnitude.map { byte in
      let sum = Int(~byte) + carry
      carry = sum >> 8
      return UInt8(truncatingIfNeeded: sum)
    }
  }
}
