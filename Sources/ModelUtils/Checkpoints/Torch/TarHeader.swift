import ModelCore

/// The first header of a tar archive. PyTorch reads what is one as its oldest format before anything else, though it may
/// be a pickle too.
enum TarHeader {
  /// Whether a header with a right checksum stands at the beginning, as Python's tarfile sees it.
  static func stands(at file: FileBytes) -> Bool {
    guard let header = file.slice(0, 512), let expected = number(header[148..<156]) else { return false }
    var (unsigned, signed) = (8 * 0x20, 8 * 0x20)
    for (index, byte) in header.enumerated() where !(148..<156).contains(index) {
      unsigned += Int(byte)
      signed += Int(Int8(bitPattern: byte))
    }
    return expected == unsigned || expected == signed
  }

  /// The refusal of a tar archive, by the names of its members.
  static func refusal(of file: FileBytes) -> ModelError {
    guard members(of: file).isSuperset(of: ["sys_info", "pickle", "storages", "tensors"]) else {
      return ModelError(.unsupported, "is a tar archive", advice: "unpack it")
    }
    return ModelError(
      .unsupported, "is a tar archive, as PyTorch wrote before 0.2; such files are not supported",
      advice: "load it with PyTorch and save it again, where its origin is to be trusted")
  }

  /// The names of the first members, as far as they can be told.
  private static func members(of file: FileBytes) -> Set<String> {
    var names: Set<String> = []
    var start = 0
    for _ in 0..<64 {
      guard let header = file.slice(start, 512), header[0] != 0, let size = number(header[124..<136]),
        size >= 0, size <= file.count - start
      else { break }
      let name = String(decoding: header.prefix(100).prefix { $0 != 0 }, as: UTF8.self)
      names.insert(name.hasPrefix("./") ? String(name.dropFirst(2)) : name)
      start += 512 + (size + 511) / 512 * 512
    }
    return names
  }

  /// Octal digits up to a zero byte, in spaces; or base 256.
  private static func number(_ field: Slice<UnsafeRawBufferPointer>) -> Int? {
    if field.first == 0x80 || field.first == 0xff {
      // More than 32 bits are no checksum.
      guard field.dropFirst().dropLast(4).allSatisfy({ $0 == 0 }) else { return nil }
      return field.suffix(4).reduce(0) { $0 << 8 | Int($1) }
    }
    let text = String(decoding: field.prefix { $0 != 0 }, as: UTF8.self).filter { $0 != " " }
    return text.isEmpty ? 0 : Int(text, radix: 8)
  }
}
