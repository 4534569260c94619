import ModelCore

/// Reads little-endian numbers from a part of a file, each checked against its end.
package struct ByteReader {
  let file: FileBytes
  package private(set) var offset: Int
  let end: Int
  /// Whether more was asked for than there is.
  private(set) var isExhausted = false

  package init(_ file: FileBytes, offset: Int, end: Int) {
    self.file = file
    self.offset = offset
    self.end = min(end, file.count)
  }

  func error(_ reason: String) -> ModelError { ModelError(.malformed, reason, file: file.name, offset: offset) }

  mutating func skip(_ count: Int) throws { _ = try bytes(count) }

  mutating func bytes(_ count: Int) throws -> UnsafeRawBufferPointer {
    guard count >= 0, count <= end - offset, let bytes = file.slice(offset, count) else {
      isExhausted = true
      throw error("the file is truncated")
    }
    offset += count
    return bytes
  }

  private mutating func load<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type) throws -> T {
    T(littleEndian: try bytes(MemoryLayout<T>.size).loadUnaligned(as: T.self))
  }

  mutating func uint8() throws -> Int { Int(try load(UInt8.self)) }
  mutating func uint16() throws -> Int { Int(try load(UInt16.self)) }
  mutating func uint32() throws -> Int { Int(try load(UInt32.self)) }
  mutating func int32() throws -> Int { Int(try load(Int32.self)) }

  /// A 64-bit size, refused where it exceeds any file.
  mutating func size() throws -> Int {
    guard let value = Int(exactly: try load(UInt64.self)) else { throw error("a size exceeds 2^63") }
    return value
  }

  /// A big-endian double, as pickles hold them.
  mutating func bigEndianDouble() throws -> Double {
    Double(bitPattern: UInt64(bigEndian: try bytes(8).loadUnaligned(as: UInt64.self)))
  }

  /// The bytes up to the next line feed, which is passed over.
  mutating func line() throws -> UnsafeRawBufferPointer {
    let rest = UnsafeRawBufferPointer(rebasing: file.bytes[offset..<end])
    guard let length = rest.firstIndex(of: 0x0a) else {
      isExhausted = true
      throw error("the file is truncated")
    }
    offset += length + 1
    return UnsafeRawBufferPointer(rebasing: rest[..<length])
  }
}
