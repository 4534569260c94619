import OrderedCollections

/// A value of a YAML file and the line where it stands.
package struct YAMLNode: Sendable {
  package indirect enum Value: Sendable {
    /// The text between the delimiters; what it means is the reader's business.
    case scalar(String)
    case sequence([YAMLNode])
    case mapping(OrderedDictionary<String, YAMLNode>)
  }

  package let value: Value
  /// Counted from 1.
  package let line: Int
  /// Whether it is text that stands in quotes.
  package var isQuoted = false

  package var text: String? { if case .scalar(let text) = value { text } else { nil } }
  package var items: [YAMLNode]? { if case .sequence(let items) = value { items } else { nil } }
  package var entries: OrderedDictionary<String, YAMLNode>? {
    if case .mapping(let entries) = value { entries } else { nil }
  }
}

/// The part of YAML that descriptions of models and data sets are written in: mappings and sequences, in blocks and in
/// brackets, plain and quoted scalars, texts of several lines behind `|` or `>`, comments. Anchors, tags, other scalars
/// of several lines and several documents in one file are refused.
package struct YAMLDocument {
  package let root: YAMLNode

  package static let sizeLimit = 1 << 20
  package static let depthLimit = 16

  /// - Throws: `ModelError` that names the line.
  package init(_ bytes: some Collection<UInt8>) throws {
    guard bytes.count <= Self.sizeLimit else {
      throw ModelError(.limit, "has \(bytes.count) bytes; a YAML of at most \(Self.sizeLimit) is read")
    }
    guard String(sound: bytes) != nil else { throw ModelError(.malformed, "is no text in UTF-8") }
    var reader = YAMLReader(Array(bytes))
    root = try reader.document()
  }
}

private struct YAMLReader {
  private let bytes: [UInt8]
  private var position = 0
  private var line = 1

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  private func refusal(_ reason: String) -> ModelError { ModelError(.malformed, reason, subject: "line \(line)") }

  // MARK: Characters

  private var current: UInt8? { position < bytes.count ? bytes[position] : nil }
  private var next: UInt8? { position + 1 < bytes.count ? bytes[position + 1] : nil }
  private var column: Int { position - (bytes[..<position].lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0) }

  private mutating func advance() {
    if current == UInt8(ascii: "\n") { line += 1 }
    position += 1
  }

  private static func isSpace(_ byte: UInt8?) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
  private static func isEnd(_ byte: UInt8?) -> Bool {
    byte == nil || byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r")
  }
  private static func isBlank(_ byte: UInt8?) -> Bool { isSpace(byte) || isEnd(byte) }

  /// Goes past spaces, line ends and comments.
  private mutating func skipBlanks() {
    while let byte = current {
      if byte == UInt8(ascii: "#") {
        while !Self.isEnd(current) { position += 1 }
      } else if Self.isBlank(byte) {
        advance()
      } else {
        return
      }
    }
  }

  /// Goes past what may follow a value on its line.
  private mutating func endLine() throws {
    while Self.isSpace(current) { position += 1 }
    if current == UInt8(ascii: "#"), Self.isSpace(bytes[position - 1]) { while !Self.isEnd(current) { position += 1 } }
    guard Self.isEnd(current) else { throw refusal("there is more after the value") }
  }

  // MARK: Blocks

  mutating func document() throws -> YAMLNode {
    if bytes.starts(with: [0xef, 0xbb, 0xbf]) { position = 3 }
    skipBlanks()
    if startsWith("---"), Self.isBlank(bytes.indices.contains(position + 3) ? bytes[position + 3] : nil) {
      position += 3
      skipBlanks()
    }
    guard current != nil else { throw refusal("the file describes nothing") }
    let root = try block(indent: column, depth: 0)
    skipBlanks()
    guard current == nil else { throw refusal("the indentation does not fit what stands above") }
    return root
  }

  private func startsWith(_ text: String) -> Bool { bytes[position...].starts(with: text.utf8) }

  private var isDash: Bool { current == UInt8(ascii: "-") && Self.isBlank(next) }

  private mutating func block(indent: Int, depth: Int) throws -> YAMLNode {
    guard depth < YAMLDocument.depthLimit else { throw refusal("is nested deeper than \(YAMLDocument.depthLimit)") }
    if current == UInt8(ascii: "[") || current == UInt8(ascii: "{") {
      let value = try flow(depth)
      try endLine()
      return value
    }
    return isDash ? try blockSequence(indent, depth) : try blockMapping(indent, depth)
  }

  private mutating func blockSequence(_ indent: Int, _ depth: Int) throws -> YAMLNode {
    let start = line
    var items: [YAMLNode] = []
    while current != nil, column == indent, isDash {
      position += 1
      items.append(try blockValue(parent: indent, depth))
      skipBlanks()
    }
    return YAMLNode(value: .sequence(items), line: start)
  }

  private mutating func blockMapping(_ indent: Int, _ depth: Int) throws -> YAMLNode {
    let start = line
    var entries: OrderedDictionary<String, YAMLNode> = [:]
    while current != nil, column == indent, !isDash {
      let key = try scalar(inBrackets: false)
      while Self.isSpace(current) { position += 1 }
      guard current == UInt8(ascii: ":"), Self.isBlank(next) else {
        throw refusal("'\(key.printable(limit: 40))' is not followed by a colon")
      }
      position += 1
      guard entries[key] == nil else { throw refusal("'\(key.printable(limit: 40))' stands there twice") }
      entries[key] = try blockValue(parent: indent, depth, isMapping: true)
      skipBlanks()
    }
    return YAMLNode(value: .mapping(entries), line: start)
  }

  /// What follows a dash or a colon: on the same line, or a block below it.
  private mutating func blockValue(parent: Int, _ depth: Int, isMapping: Bool = false) throws -> YAMLNode {
    let start = line
    while Self.isSpace(current) { position += 1 }
    if current == UInt8(ascii: "|") || current == UInt8(ascii: ">") {
      return YAMLNode(value: .scalar(try blockScalar(parent: parent)), line: start, isQuoted: true)
    }
    if !Self.isEnd(current), current != UInt8(ascii: "#") {
      guard !isDash else { throw refusal("a list inside a list item is written in brackets") }
      let value = try flow(depth + 1)
      if !isMapping, value.text != nil, current == UInt8(ascii: ":") {
        throw refusal("a mapping inside a list item is written in braces")
      }
      try endLine()
      return value
    }
    skipBlanks()
    guard current != nil, column > parent || (isMapping && column == parent && isDash) else {
      return YAMLNode(value: .scalar(""), line: start)
    }
    return try block(indent: column, depth: depth + 1)
  }

  /// The lines below a `|` or `>` that are indented deeper than the parent, as they stand there, without the indentation
  /// of the first.
  private mutating func blockScalar(parent: Int) throws -> String {
    position += 1
    while current == UInt8(ascii: "-") || current == UInt8(ascii: "+") { position += 1 }
    try endLine()
    var text: [UInt8] = []
    var margin: Int?
    while position < bytes.count {
      var lineStart = position
      while lineStart < bytes.count, bytes[lineStart] != UInt8(ascii: "\n") { lineStart += 1 }
      lineStart = min(lineStart + 1, bytes.count)
      let rest = bytes[lineStart...]
      let indent = rest.prefix { Self.isSpace($0) }.count
      let content = rest.prefix { $0 != UInt8(ascii: "\n") }
      let isBlank = content.allSatisfy { Self.isBlank($0) }
      guard !rest.isEmpty, isBlank || indent > parent else { break }
      if !isBlank, margin == nil { margin = indent }
      text += content.dropFirst(min(indent, margin ?? indent)) + [UInt8(ascii: "\n")]
      line += 1
      position = content.endIndex
    }
    return String(decoding: text, as: UTF8.self)
  }

  // MARK: Brackets

  private mutating func flow(_ depth: Int) throws -> YAMLNode {
    guard depth < YAMLDocument.depthLimit else { throw refusal("is nested deeper than \(YAMLDocument.depthLimit)") }
    let start = line
    switch current {
    case UInt8(ascii: "["):
      var items: [YAMLNode] = []
      try elements(until: UInt8(ascii: "]")) { reader in items.append(try reader.flow(depth + 1)) }
      return YAMLNode(value: .sequence(items), line: start)
    case UInt8(ascii: "{"):
      var entries: OrderedDictionary<String, YAMLNode> = [:]
      try elements(until: UInt8(ascii: "}")) { reader in
        let key = try reader.scalar(inBrackets: true)
        reader.skipBlanks()
        guard reader.current == UInt8(ascii: ":") else { throw reader.refusal("a key in braces has no colon") }
        reader.position += 1
        reader.skipBlanks()
        guard entries.updateValue(try reader.flow(depth + 1), forKey: key) == nil else {
          throw reader.refusal("'\(key.printable(limit: 40))' stands there twice")
        }
      }
      return YAMLNode(value: .mapping(entries), line: start)
    default:
      let isQuoted = [UInt8(ascii: "'"), UInt8(ascii: "\"")].contains(current)
      let text = try scalar(inBrackets: depth > 0 && isInBrackets)
      return YAMLNode(value: .scalar(text), line: start, isQuoted: isQuoted)
    }
  }

  private var openBrackets = 0
  private var isInBrackets: Bool { openBrackets > 0 }

  private mutating func elements(until end: UInt8, _ element: (inout YAMLReader) throws -> Void) throws {
    let start = line
    position += 1
    openBrackets += 1
    defer { openBrackets -= 1 }
    skipBlanks()
    while current != end {
      guard current != nil else {
        line = start
        throw refusal("a bracket is not closed")
      }
      try element(&self)
      skipBlanks()
      if current == UInt8(ascii: ",") {
        position += 1
        skipBlanks()
      } else if current != end {
        throw current == nil ? refusal("a bracket is not closed") : refusal("a comma or a closing bracket is missing")
      }
    }
    position += 1
  }

  // MARK: Scalars

  private mutating func scalar(inBrackets: Bool) throws -> String {
    switch current {
    case UInt8(ascii: "'"), UInt8(ascii: "\""): return try quoted()
    case nil: throw refusal("a value is missing")
    case let byte? where "&*!|>%@`?,]}#".utf8.contains(byte):
      let sign = String(decoding: [byte], as: UTF8.self)
      throw refusal("'\(sign)' begins something that is not read here")
    default: break
    }
    let start = position
    while !Self.isEnd(current) {
      if current == UInt8(ascii: ":"),
        Self.isBlank(next) || (inBrackets && next.map { ",]}".utf8.contains($0) } ?? true)
      {
        break
      }
      if current == UInt8(ascii: "#"), Self.isSpace(bytes[position - 1]) { break }
      if inBrackets, let byte = current, ",[]{}".utf8.contains(byte) { break }
      position += 1
    }
    var end = position
    while end > start, Self.isSpace(bytes[end - 1]) { end -= 1 }
    guard end > start else { throw refusal("a value is missing") }
    return String(decoding: bytes[start..<end], as: UTF8.self)
  }

  private mutating func quoted() throws -> String {
    let quote = bytes[position]
    position += 1
    var text: [UInt8] = []
    while let byte = current, !Self.isEnd(byte) {
      position += 1
      if byte == quote {
        guard quote == UInt8(ascii: "'"), current == quote else { return String(decoding: text, as: UTF8.self) }
        position += 1
      } else if byte == UInt8(ascii: "\\"), quote == UInt8(ascii: "\"") {
        guard let escaped = current, escaped == quote || escaped == byte else {
          throw refusal("an escape in quotes that is not read here")
        }
        position += 1
        text.append(escaped)
        continue
      }
      text.append(byte)
    }
    throw refusal("a quote is not closed on its line")
  }
}
