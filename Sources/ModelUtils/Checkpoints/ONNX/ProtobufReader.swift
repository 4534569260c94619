import ModelCore

/// Reads protobuf's wire format from a stretch of a file, every length checked against its end.
///
/// A field is a number and a varint, four or eight bytes, or a stretch of bytes: text, packed numbers, another message.
struct ProtobufReader {
  let file: FileBytes
  private(set) var offset: Int
  let end: Int

  /// What stands behind a field's number.
  enum Payload {
    case varint(UInt64)
    case fixed64(UInt64)
    case fixed32(UInt32)
    case bytes(ProtobufStretch)
  }

  init(_ stretch: ProtobufStretch) {
    (file, offset, end) = (stretch.file, stretch.offset, stretch.offset + stretch.count)
  }

  var isAtEnd: Bool { offset == end }

  func error(_ reason: String, at place: Int? = nil) -> ModelError {
    ModelError(.malformed, reason, file: file.name, offset: place ?? offset)
  }

  /// - Throws: `ModelError` for a number that does not end with the message or exceeds 64 bits.
  mutating func varint() throws -> UInt64 {
    let start = offset
    var value: UInt64 = 0
    for shift in stride(from: 0, to: 70, by: 7) {
      guard offset < end else { throw error("is cut off in a number", at: start) }
      let byte = file.bytes[offset]
      offset += 1
      guard shift < 63 || byte <= 1 else { break }
      value |= UInt64(byte & 0x7f) << UInt64(shift)
      if byte < 0x80 { return value }
    }
    throw error("holds a number of more than 64 bits", at: start)
  }

  /// The next field; nil at the end.
  /// - Throws: `ModelError` for what is no field, or reaches beyond the message.
  mutating func next() throws -> (number: Int, payload: Payload)? {
    guard offset < end else { return nil }
    let start = offset
    let tag = try varint()
    guard tag >> 3 >= 1, tag >> 3 < 1 << 29 else { throw error("holds a field of number \(tag >> 3)", at: start) }
    let number = Int(tag >> 3)
    switch tag & 7 {
    case 0: return (number, .varint(try varint()))
    case 1: return (number, .fixed64(try number64()))
    case 2:
      let length = try varint()
      guard length <= UInt64(end - offset) else {
        throw error("says that field \(number) has \(length) bytes where \(end - offset) are left", at: start)
      }
      defer { offset += Int(length) }
      return (number, .bytes(ProtobufStretch(file, offset, Int(length))))
    case 5: return (number, .fixed32(try number32()))
    default:
      throw error("holds a field of wire type \(tag & 7), which ONNX does not use", at: start)
    }
  }

  /// Eight bytes, as a packed double holds them.
  mutating func number64() throws -> UInt64 { UInt64(littleEndian: try load()) }
  /// Four bytes, as a packed float holds them.
  mutating func number32() throws -> UInt32 { UInt32(littleEndian: try load()) }

  private mutating func load<T: FixedWidthInteger & BitwiseCopyable>() throws -> T {
    guard MemoryLayout<T>.size <= end - offset, let bytes = file.slice(offset, MemoryLayout<T>.size) else {
      throw error("is cut off in a number")
    }
    offset += MemoryLayout<T>.size
    return bytes.loadUnaligned(as: T.self)
  }
}

/// A part of a file that lies inside it.
struct ProtobufStretch: Sendable {
  let file: FileBytes
  let offset: Int
  let count: Int

  /// The caller has seen to it that the range lies inside the file.
  init(_ file: FileBytes, _ offset: Int, _ count: Int) { (self.file, self.offset, self.count) = (file, offset, count) }

  init(_ file: FileBytes) { self.init(file, 0, file.count) }

  var bytes: UnsafeRawBufferPointer {
    file.slice(offset, count) ?? UnsafeRawBufferPointer(start: nil, count: 0)
  }

  /// - Throws: `ModelError` where it is no UTF-8.
  func text() throws -> String {
    guard let text = String(sound: bytes) else {
      throw ModelError(.malformed, "holds a name that is no UTF-8", file: file.name, offset: offset)
    }
    return text
  }
}
