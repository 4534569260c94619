import ModelCore

/// Words between commas.
enum CSVText {
  /// A name, in quotes where it needs them.
  static func quoted(_ name: String) -> String {
    let needsQuotes = name.unicodeScalars.contains { ",\"\r\n".unicodeScalars.contains($0) } || name.trimmed != name
    guard needsQuotes else { return name }
    return "\"" + name.map { $0 == "\"" ? "\"\"" : String($0) }.joined() + "\""
  }

  /// The fewest digits that read back as the same number.
  static func number(_ value: Double) -> String {
    if value.isNaN { return "nan" }
    if value != 0 || value.sign == .plus, abs(value) < 0x1p53, value == value.rounded(), let whole = Int(exactly: value)
    {
      return String(whole)
    }
    return value.description
  }

  /// A file's lines of cells, without their quotes, and whether the last line has no end.
  static func lines(_ bytes: UnsafeRawBufferPointer) throws -> (lines: [[String]], isCut: Bool) {
    let mark: [UInt8] = [0xef, 0xbb, 0xbf]
    var rest = bytes[...]
    if rest.starts(with: mark) { rest = rest.dropFirst(mark.count) }
    var (lines, line, cell): ([[String]], [String], [UInt8]) = ([], [], [])
    var (isQuoted, wasQuoted, isBlank) = (false, false, true)
    func fail(_ reason: String) -> ModelError { ModelError(.malformed, "line \(lines.count + 1) \(reason)") }
    func endCell() throws {
      guard let text = String(validating: cell, as: UTF8.self) else { throw fail("is not UTF-8") }
      line.append(wasQuoted ? text : text.trimmed)
      cell.removeAll(keepingCapacity: true)
      wasQuoted = false
    }
    var index = rest.startIndex
    while index < rest.endIndex {
      let byte = rest[index]
      index += 1
      if isQuoted {
        if byte != UInt8(ascii: "\"") {
          cell.append(byte)
        } else if index < rest.endIndex, rest[index] == byte {
          cell.append(byte)
          index += 1
        } else {
          isQuoted = false
        }
      } else if byte == UInt8(ascii: "\""), cell.isEmpty, !wasQuoted {
        (isQuoted, wasQuoted, isBlank) = (true, true, false)
      } else if byte == UInt8(ascii: ",") {
        try endCell()
      } else if byte == UInt8(ascii: "\n") {
        try endCell()
        if !isBlank || line != [""] { lines.append(line) }
        (line, isBlank) = ([], true)
      } else if wasQuoted {
        guard byte == UInt8(ascii: "\r") || byte == UInt8(ascii: " ") else {
          throw fail("has text behind a closing quote")
        }
      } else {
        cell.append(byte)
      }
    }
    return (lines, isQuoted || !line.isEmpty || !cell.isEmpty || wasQuoted)
  }
}

extension String {
  /// Without spaces, tabs and ends of lines around it.
  fileprivate var trimmed: String {
    let isSpace = { (scalar: Unicode.Scalar) in " \t\r\n".unicodeScalars.contains(scalar) }
    guard let first = unicodeScalars.firstIndex(where: { !isSpace($0) }),
      let last = unicodeScalars.lastIndex(where: { !isSpace($0) })
    else { return "" }
    return String(unicodeScalars[first...last])
  }
}
