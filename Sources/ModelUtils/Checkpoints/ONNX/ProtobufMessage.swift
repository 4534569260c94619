import ModelCore

/// A protobuf message as its fields in the order of the file, the unknown ones included.
///
/// What is not changed is written byte for byte: a message that nobody touched as the stretch of the file that it is,
/// a changed one field by field. A field that is set stands where it stood first, a new one at the end.
struct ProtobufMessage: Sendable {
  /// A field of a message.
  struct Field: Sendable {
    let number: Int
    let value: Value
    /// How it stands in the file, its number included; nil for a new one.
    let source: ProtobufStretch?
  }

  enum Value: Sendable {
    case varint(UInt64)
    case fixed64(UInt64)
    case fixed32(UInt32)
    case stretch(ProtobufStretch)
    case bytes([UInt8])
    case message(ProtobufMessage)
    /// The elements of a tensor, little-endian and contiguous.
    case tensor(Tensor)
  }

  private(set) var fields: [Field] = []
  /// The message as it stands in a file; nil once it is changed.
  private(set) var source: ProtobufStretch?

  /// Beyond any model; every field takes more memory here than in the file.
  static let fieldLimit = 1 << 20

  /// An empty message, to be filled.
  init() {}

  /// - Throws: `ModelError` for bytes that are no message.
  init(_ stretch: ProtobufStretch) throws {
    source = stretch
    var reader = ProtobufReader(stretch)
    while true {
      let start = reader.offset
      guard let (number, payload) = try reader.next() else { return }
      guard fields.count < Self.fieldLimit else {
        throw ModelError(
          .limit, "a message has more than \(Self.fieldLimit) fields", file: stretch.file.name, offset: start)
      }
      let value: Value =
        switch payload {
        case .varint(let number): .varint(number)
        case .fixed64(let number): .fixed64(number)
        case .fixed32(let number): .fixed32(number)
        case .bytes(let bytes): .stretch(bytes)
        }
      fields.append(
        Field(number: number, value: value, source: ProtobufStretch(stretch.file, start, reader.offset - start)))
    }
  }

  // MARK: Reading

  func has(_ number: Int) -> Bool { fields.contains { $0.number == number } }

  private func last(_ number: Int) -> Field? { fields.last { $0.number == number } }

  private func error(_ field: Field, _ what: String) -> ModelError {
    ModelError(
      .malformed, "field \(field.number) is no \(what)", file: field.source?.file.name, offset: field.source?.offset)
  }

  /// The last value counts, as protobuf wants; nil where there is none.
  /// - Throws: `ModelError` for a field of another wire type.
  func integer(_ number: Int) throws -> Int? {
    guard let field = last(number) else { return nil }
    guard case .varint(let value) = field.value else { throw error(field, "whole number") }
    return Int(truncatingIfNeeded: value)
  }

  func float(_ number: Int) throws -> Float? {
    guard let field = last(number) else { return nil }
    guard case .fixed32(let bits) = field.value else { throw error(field, "float") }
    return Float(bitPattern: bits)
  }

  func text(_ number: Int) throws -> String? { try last(number).map { try text($0) } }

  /// Every text of a repeated field.
  func texts(_ number: Int) throws -> [String] { try fields.filter { $0.number == number }.map { try text($0) } }

  private func text(_ field: Field) throws -> String {
    switch field.value {
    case .stretch(let stretch): return try stretch.text()
    case .bytes(let bytes): return String(decoding: bytes, as: UTF8.self)
    default: throw error(field, "text")
    }
  }

  /// Every element of a repeated field of bytes.
  func allBytes(_ number: Int) throws -> [[UInt8]] {
    try fields.filter { $0.number == number }.map {
      switch $0.value {
      case .stretch(let stretch): Array(stretch.bytes)
      case .bytes(let bytes): bytes
      default: throw error($0, "text")
      }
    }
  }

  /// The stretches of a field of bytes, as they stand in the file.
  func stretches(_ number: Int) throws -> [ProtobufStretch] {
    try fields.filter { $0.number == number }.map {
      guard case .stretch(let stretch) = $0.value else { throw error($0, "stretch of bytes") }
      return stretch
    }
  }

  /// The messages of a repeated field.
  func messages(_ number: Int) throws -> [ProtobufMessage] {
    try fields.filter { $0.number == number }.map {
      switch $0.value {
      case .stretch(let stretch): try ProtobufMessage(stretch)
      case .message(let message): message
      default: throw error($0, "message")
      }
    }
  }

  /// A message that may stand once; where it stands several times, protobuf joins them.
  func message(_ number: Int) throws -> ProtobufMessage? {
    let messages = try messages(number)
    guard var joined = messages.first else { return nil }
    for other in messages.dropFirst() {
      joined.fields += other.fields
      joined.source = nil
    }
    return joined
  }

  /// Whole numbers of a repeated field.
  func integers(_ number: Int) throws -> [Int] {
    try numbers(number, "list of whole numbers") {
      if case .varint(let value) = $0 { value } else { nil }
    } read: {
      try $0.varint()
    }.map { Int(truncatingIfNeeded: $0) }
  }

  func floats(_ number: Int) throws -> [Float] {
    try numbers(number, "list of floats") {
      if case .fixed32(let bits) = $0 { bits } else { nil }
    } read: {
      try $0.number32()
    }.map { Float(bitPattern: $0) }
  }

  func doubles(_ number: Int) throws -> [Double] {
    try numbers(number, "list of doubles") {
      if case .fixed64(let bits) = $0 { bits } else { nil }
    } read: {
      try $0.number64()
    }.map { Double(bitPattern: $0) }
  }

  /// Numbers of a repeated field, packed or one by one.
  private func numbers<Number>(
    _ number: Int, _ what: String, single: (Value) -> Number?, read: (inout ProtobufReader) throws -> Number
  ) throws -> [Number] {
    var all: [Number] = []
    for field in fields where field.number == number {
      if let value = single(field.value) {
        all.append(value)
      } else if case .stretch(let stretch) = field.value {
        var reader = ProtobufReader(stretch)
        while !reader.isAtEnd { all.append(try read(&reader)) }
      } else {
        throw error(field, what)
      }
    }
    return all
  }

  // MARK: Changing

  /// Puts values in the place of all that a field has; none removes it.
  mutating func set(_ number: Int, _ values: [Value]) {
    let new = values.map { Field(number: number, value: $0, source: nil) }
    let place = fields.firstIndex { $0.number == number } ?? fields.count
    fields.removeAll { $0.number == number }
    fields.insert(contentsOf: new, at: place)
    source = nil
  }

  mutating func set(_ number: Int, _ value: Int?) {
    set(number, value.map { [.varint(UInt64(bitPattern: Int64($0)))] } ?? [])
  }

  mutating func set(_ number: Int, _ value: Float) { set(number, [.fixed32(value.bitPattern)]) }

  /// Text; an empty one, which protobuf means where there is none, removes the field.
  mutating func set(_ number: Int, _ text: String) { set(number, text.isEmpty ? [] : [.bytes(Array(text.utf8))]) }

  mutating func set(_ number: Int, texts: [String]) { set(number, texts.map { .bytes(Array($0.utf8)) }) }

  mutating func set(_ number: Int, messages: [ProtobufMessage]) { set(number, messages.map { .message($0) }) }

  /// Packed whole numbers.
  mutating func set(_ number: Int, packed values: [Int]) {
    var bytes: [UInt8] = []
    for value in values { ProtobufPieces.append(UInt64(bitPattern: Int64(value)), to: &bytes) }
    set(number, values.isEmpty ? [] : [.bytes(bytes)])
  }

  /// Packed floats.
  mutating func set(_ number: Int, packed values: [Float]) {
    let bytes = values.flatMap { withUnsafeBytes(of: $0.bitPattern.littleEndian, Array.init) }
    set(number, values.isEmpty ? [] : [.bytes(bytes)])
  }
}
