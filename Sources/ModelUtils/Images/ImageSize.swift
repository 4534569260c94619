import CCodecs
import ModelCore

extension ImageFile {
  /// The [height, width] of a PNG or JPEG file as it would be decoded, upright, from its first bytes alone.
  ///
  /// Whether the rest of the file is whole shows when it is decoded.
  /// - Throws: `ModelError` when the file cannot be read, is no PNG or JPEG, or its head is damaged.
  public static func size(of location: some FileLocation) throws -> [Int] {
    let file = try FileBytes(mapping: location)
    guard let format = Format(startOf: file.bytes) else {
      throw ModelError(.unsupported, "is neither a PNG nor a JPEG picture", file: file.name)
    }
    let head = ImageHead(bytes: file.bytes)
    guard let (size, orientation) = format == .png ? head.png() : head.jpeg(), size.allSatisfy({ $0 > 0 }) else {
      throw ModelError(.malformed, "does not tell the size of its picture", file: file.name)
    }
    // From 5 on the axes are exchanged.
    return orientation >= 5 ? size.reversed() : size
  }
}

/// What stands before the pixels of a file.
private struct ImageHead {
  let bytes: UnsafeRawBufferPointer

  private func number(_ offset: Int, _ count: Int) -> Int? {
    guard offset >= 0, offset <= bytes.count - count else { return nil }
    return bytes[offset..<offset + count].reduce(0) { $0 << 8 | Int($1) }
  }

  private func orientation(_ offset: Int, _ count: Int) -> Int {
    guard count > 0, offset <= bytes.count - count else { return 1 }
    return Int(mc_exif_orientation(bytes.baseAddress?.advanced(by: offset).assumingMemoryBound(to: UInt8.self), count))
  }

  private func isText(_ text: StaticString, at offset: Int) -> Bool {
    offset <= bytes.count - text.utf8CodeUnitCount
      && text.withUTF8Buffer { $0.elementsEqual(bytes[offset..<offset + $0.count]) }
  }

  /// IHDR comes first; eXIf may stand anywhere behind it.
  func png() -> ([Int], orientation: Int)? {
    guard isText("IHDR", at: 12), let width = number(16, 4), let height = number(20, 4) else { return nil }
    var offset = 8
    while let length = number(offset, 4), length < 1 << 31, !isText("IEND", at: offset + 4) {
      if isText("eXIf", at: offset + 4) { return ([height, width], orientation(offset + 8, length)) }
      offset += length + 12
    }
    return ([height, width], 1)
  }

  /// Markers up to the first that begins a frame.
  func jpeg() -> ([Int], orientation: Int)? {
    var (offset, turned) = (2, Int?.none)
    while let mark = number(offset, 1) {
      guard mark == 0xff, let kind = number(offset + 1, 1) else { return nil }
      // Bytes that fill, and markers without a body.
      if kind == 0xff || kind == 0x01 || (0xd0...0xd8).contains(kind) {
        offset += kind == 0xff ? 1 : 2
        continue
      }
      guard let length = number(offset + 2, 2), length >= 2 else { return nil }
      if (0xc0...0xcf).contains(kind), ![0xc4, 0xc8, 0xcc].contains(kind) {
        guard let height = number(offset + 5, 2), let width = number(offset + 7, 2) else { return nil }
        return ([height, width], turned ?? 1)
      }
      if kind == 0xe1, turned == nil, isText("Exif\0\0", at: offset + 4) {
        turned = orientation(offset + 10, length - 8)
      }
      offset += length + 2
    }
    return nil
  }
}
