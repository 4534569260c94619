import CZlib
import ModelCore

/// Writes a zip archive of stored members as PyTorch does: every member's data starts at a multiple of 64 bytes.
package struct ZipWriter {
  private struct Entry {
    let name: [UInt8]
    let checksum: UInt32
    let size: Int
    let offset: Int
  }

  private let file: any ByteSink
  private var entries: [Entry] = []
  private static let alignment = 64

  package init(_ file: any ByteSink) { self.file = file }

  /// Appends the head of a member, behind which the caller writes its bytes.
  mutating func begin(_ name: String, size: Int, checksum: UInt32) throws {
    let entry = Entry(name: Array(name.utf8), checksum: checksum, size: size, offset: file.position)
    try file.write(localHeader(entry))
    entries.append(entry)
  }

  /// Appends a member.
  package mutating func add(_ name: String, _ bytes: [UInt8]) throws {
    try begin(name, size: bytes.count, checksum: bytes.withUnsafeBytes { Self.checksum($0) })
    try file.write(bytes)
  }

  /// - Parameter start: the checksum of the bytes before these.
  static func checksum(_ bytes: UnsafeRawBufferPointer, after start: UInt32 = 0) -> UInt32 {
    UInt32(truncatingIfNeeded: crc32_z(UInt(start), bytes.bindMemory(to: UInt8.self).baseAddress, bytes.count))
  }

  private func localHeader(_ entry: Entry) -> [UInt8] {
    let isWide = entry.size >= 0xffff_ffff
    var extra = LittleEndianBytes()
    if isWide {
      extra.append(UInt16(1), UInt16(16))
      extra.append(UInt64(entry.size), UInt64(entry.size))
    }
    // The padding stands in an extra field of its own, whose tag PyTorch uses too.
    let start = entry.offset + 30 + entry.name.count + extra.bytes.count + 4
    let padding = (Self.alignment - start % Self.alignment) % Self.alignment
    extra.append(UInt16(0x4246), UInt16(padding))
    extra.bytes += [UInt8](repeating: UInt8(ascii: "Z"), count: padding)
    var header = LittleEndianBytes()
    header.append(UInt32(0x0403_4b50))
    header.append(UInt16(isWide ? 45 : 20), UInt16(0x800), UInt16(0), UInt16(0), UInt16(0x21))
    let size = isWide ? UInt32.max : UInt32(entry.size)
    header.append(entry.checksum, size, size)
    header.append(UInt16(entry.name.count), UInt16(extra.bytes.count))
    return header.bytes + entry.name + extra.bytes
  }

  /// Writes the directory, after which the archive is complete.
  package func finish() throws {
    let start = file.position
    for entry in entries { try file.write(directoryEntry(entry)) }
    let size = file.position - start
    let isWide = entries.count >= 0xffff || start >= 0xffff_ffff || size >= 0xffff_ffff
    var end = LittleEndianBytes()
    if isWide {
      let position = file.position
      end.append(UInt32(0x0606_4b50))
      end.append(UInt64(44))
      end.append(UInt16(45), UInt16(45))
      end.append(UInt32(0), UInt32(0))
      end.append(UInt64(entries.count), UInt64(entries.count), UInt64(size), UInt64(start))
      end.append(UInt32(0x0706_4b50), UInt32(0))
      end.append(UInt64(position))
      end.append(UInt32(1))
    }
    let count = isWide ? UInt16.max : UInt16(entries.count)
    end.append(UInt32(0x0605_4b50))
    end.append(UInt16(0), UInt16(0), count, count)
    end.append(isWide ? UInt32.max : UInt32(size), isWide ? UInt32.max : UInt32(start))
    end.append(UInt16(0))
    try file.write(end.bytes)
  }

  private func directoryEntry(_ entry: Entry) -> [UInt8] {
    let isWide = entry.size >= 0xffff_ffff || entry.offset >= 0xffff_ffff
    var extra = LittleEndianBytes()
    if isWide {
      extra.append(UInt16(1), UInt16(24))
      extra.append(UInt64(entry.size), UInt64(entry.size), UInt64(entry.offset))
    }
    var record = LittleEndianBytes()
    record.append(UInt32(0x0201_4b50))
    record.append(UInt16(45), UInt16(isWide ? 45 : 20), UInt16(0x800), UInt16(0), UInt16(0), UInt16(0x21))
    let size = isWide ? UInt32.max : UInt32(entry.size)
    record.append(entry.checksum, size, size)
    record.append(UInt16(entry.name.count), UInt16(extra.bytes.count), UInt16(0), UInt16(0), UInt16(0))
    record.append(UInt32(0), isWide ? UInt32.max : UInt32(entry.offset))
    return record.bytes + entry.name + extra.bytes
  }
}

/// Bytes made of little-endian numbers.
private struct LittleEndianBytes {
  var bytes: [UInt8] = []

  mutating func append<T: FixedWidthInteger>(_ values: T...) {
    for value in values { withUnsafeBytes(of: value.littleEndian) { bytes += $0 } }
  }
}
