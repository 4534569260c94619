import ModelCore

/// A zip archive as PyTorch writes it, read without copying: the central directory is checked against every local
/// header.
package struct ZipArchive {
  package struct Member: Sendable {
    package let name: String
    /// Where the data stands in the file.
    package let offset: Int
    /// The bytes that the data takes in the file.
    package let storedSize: Int
    /// The bytes of the data itself.
    package let size: Int
    package let isDeflated: Bool
    let checksum: UInt32
  }

  package let file: FileBytes
  /// The members in the order of the central directory; names are unique, also without regard to case.
  package private(set) var members: OrderedDictionary<String, Member> = [:]
  /// The members' names by what PyTorch's reader looks for: it has no regard to the case of ASCII letters.
  private var names: [[UInt8]: String] = [:]
  private let inflated: InflatedMembers

  /// Whether the file starts as a zip archive does.
  static func recognizes(_ file: FileBytes) -> Bool {
    file.slice(0, 4).map { Array($0) == [0x50, 0x4b, 3, 4] || Array($0) == [0x50, 0x4b, 5, 6] } ?? false
  }

  /// - Throws: `ModelError` for truncated or inconsistent archives, duplicate names, encrypted members, overlapping
  ///   members and methods other than stored and deflated.
  package init(_ file: FileBytes) throws {
    self.file = file
    inflated = InflatedMembers(file)
    let directory = try Self.findDirectory(file)
    var reader = ByteReader(file, offset: directory.offset, end: directory.offset + directory.size)
    for _ in 0..<directory.count {
      let member = try Self.readMember(&reader, file, directoryOffset: directory.offset)
      guard members.updateValue(member, forKey: member.name) == nil,
        names.updateValue(member.name, forKey: Self.folded(member.name)) == nil
      else {
        throw ModelError(
          .malformed, "the archive holds two members of this name (PyTorch has no regard to case)", file: file.name,
          subject: member.name)
      }
    }
    guard reader.offset == reader.end else {
      throw reader.error("the zip directory is longer than its \(directory.count) members")
    }
    try checkOverlap()
  }

  /// The member that PyTorch's reader finds under a name.
  func member(named name: String) -> Member? { names[Self.folded(name)].flatMap { members[$0] } }

  /// The folder of the first member, with its slash: PyTorch looks for all others in it. Empty where there is none.
  var folder: String {
    guard let first = members.keys.first, let slash = first.firstIndex(of: "/") else { return "" }
    return String(first[...slash])
  }

  private static func folded(_ name: String) -> [UInt8] {
    name.utf8.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 }
  }

  /// Each stored byte belongs to one member, so that a small file cannot pretend to hold a large one.
  private func checkOverlap() throws {
    var end = 0
    for member in members.values.sorted(by: { $0.offset < $1.offset }) where member.storedSize > 0 {
      guard member.offset >= end else {
        throw ModelError(.malformed, "overlaps another member of the archive", file: file.name, subject: member.name)
      }
      end = member.offset + member.storedSize
    }
  }

  // MARK: Directory

  private struct Directory {
    let offset: Int
    let size: Int
    let count: Int
  }

  private static func findDirectory(_ file: FileBytes) throws -> Directory {
    let tail = 22
    guard file.count >= tail else { throw ModelError(.malformed, "the zip archive is truncated", file: file.name) }
    // The last record counts, whatever its comment's length says: so do PyTorch and Python find it.
    var start = file.count - tail
    let lowest = max(0, start - 0xffff)
    while file.bytes.loadUnaligned(fromByteOffset: start, as: UInt32.self).littleEndian != 0x0605_4b50 {
      guard start > lowest else {
        throw ModelError(
          .malformed, "the zip archive has no end record: it is cut off, or much follows it", file: file.name)
      }
      start -= 1
    }
    var end = ByteReader(file, offset: start + 4, end: file.count)
    let disks = (try end.uint16(), try end.uint16())
    let counts = (try end.uint16(), try end.uint16())
    let (narrowSize, narrowOffset) = (try end.uint32(), try end.uint32())
    var (limit, count, size, offset) = (start, counts.1, narrowSize, narrowOffset)
    if let wide = try readZip64(file, endRecord: start) {
      // PyTorch always adds the wide record, also where the narrow one suffices, and readers differ in which they take.
      guard
        [(count, wide.count, 0xffff), (size, wide.size, 0xffff_ffff), (offset, wide.offset, 0xffff_ffff)].allSatisfy({
          $0 == $1 || $0 == $2
        })
      else { throw end.error("the zip64 end record names another directory than the end record") }
      (limit, count, size, offset) = wide
    } else {
      guard count != 0xffff, size != 0xffff_ffff, offset != 0xffff_ffff else {
        throw ModelError(.malformed, "the zip64 locator is missing", file: file.name)
      }
      guard disks == (0, 0), counts.0 == counts.1 else {
        throw end.error("zip archives in several parts are not supported")
      }
    }
    guard offset <= limit, size <= limit - offset, count <= size / 46 else {
      throw ModelError(
        .malformed,
        "the zip directory (\(count) members, \(size) bytes from byte \(offset)) does not fit into the file",
        file: file.name)
    }
    // Python's zipfile takes the directory to end here; PyTorch takes the offset.
    guard size == limit - offset else {
      throw ModelError(
        .malformed, "\(limit - offset - size) bytes stand between the zip directory and its end record",
        file: file.name)
    }
    return Directory(offset: offset, size: size, count: count)
  }

  private typealias Wide = (limit: Int, count: Int, size: Int, offset: Int)

  /// What the zip64 record says; nil where no locator stands before the end record.
  private static func readZip64(_ file: FileBytes, endRecord: Int) throws -> Wide? {
    guard endRecord >= 20 else { return nil }
    var locator = ByteReader(file, offset: endRecord - 20, end: endRecord)
    guard try locator.uint32() == 0x0706_4b50 else { return nil }
    guard try locator.uint32() == 0 else { throw locator.error("zip archives in several parts are not supported") }
    let position = try locator.size()
    guard position <= endRecord - 20 - 56 else {
      throw ModelError(.malformed, "the zip64 end record does not lie inside the file", file: file.name)
    }
    var record = ByteReader(file, offset: position, end: endRecord - 20)
    guard try record.uint32() == 0x0606_4b50 else {
      throw ModelError(.malformed, "the zip64 end record is missing", file: file.name, offset: position)
    }
    try record.skip(8 + 4)
    guard try record.uint32() == 0, try record.uint32() == 0 else {
      throw record.error("zip archives in several parts are not supported")
    }
    let counts = (try record.size(), try record.size())
    guard counts.0 == counts.1 else { throw record.error("the zip64 end record disagrees with itself") }
    return (position, counts.1, try record.size(), try record.size())
  }

  private static func readMember(
    _ reader: inout ByteReader, _ file: FileBytes, directoryOffset: Int
  ) throws -> Member {
    guard try reader.uint32() == 0x0201_4b50 else { throw reader.error("the zip directory is damaged") }
    try reader.skip(4)
    let flags = try reader.uint16()
    let method = try reader.uint16()
    try reader.skip(4)
    let checksum = UInt32(try reader.uint32())
    var stored = try reader.uint32()
    var size = try reader.uint32()
    let nameLength = try reader.uint16()
    let extraLength = try reader.uint16()
    let commentLength = try reader.uint16()
    let disk = try reader.uint16()
    try reader.skip(6)
    var header = try reader.uint32()
    let nameBytes = try reader.bytes(nameLength)
    guard let name = String(sound: nameBytes) else {
      throw reader.error("a member's name is not valid UTF-8")
    }
    guard !nameBytes.contains(0) else { throw reader.error("a member's name holds a zero byte") }
    var extra = ByteReader(file, offset: reader.offset, end: reader.offset + extraLength)
    try reader.skip(extraLength + commentLength)
    while extra.end - extra.offset >= 4 {
      let tag = try extra.uint16()
      let length = try extra.uint16()
      var field = ByteReader(file, offset: extra.offset, end: extra.offset + length)
      try extra.skip(length)
      guard tag == 1 else { continue }
      if size == 0xffff_ffff { size = try field.size() }
      if stored == 0xffff_ffff { stored = try field.size() }
      if header == 0xffff_ffff { header = try field.size() }
    }
    func fail(_ reason: String) -> ModelError { ModelError(.malformed, reason, file: file.name, subject: name) }
    guard flags & 1 == 0 else { throw fail("the member is encrypted") }
    guard disk == 0 else { throw fail("zip archives in several parts are not supported") }
    guard method == 0 || method == 8 else { throw fail("compression method \(method) is not supported") }
    guard method == 8 || stored == size else {
      throw fail("the member is not compressed, yet takes \(stored) bytes for \(size)")
    }
    // Deflate cannot shrink data to less than a 1032nd.
    guard size / 1032 <= stored else { throw fail("\(stored) compressed bytes cannot hold \(size)") }

    guard header <= directoryOffset else { throw fail("its header lies outside the file") }
    var local = ByteReader(file, offset: header, end: directoryOffset)
    guard try local.uint32() == 0x0403_4b50 else { throw fail("its header is missing at byte \(header)") }
    try local.skip(2)
    let localFlags = try local.uint16()
    let localMethod = try local.uint16()
    try local.skip(8)
    let localStored = try local.uint32()
    let localSize = try local.uint32()
    let localNameLength = try local.uint16()
    let localExtraLength = try local.uint16()
    let localName = try local.bytes(localNameLength)
    try local.skip(localExtraLength)
    guard localName.elementsEqual(nameBytes), localMethod == method else {
      throw fail("its header at byte \(header) disagrees with the directory")
    }
    // With a data descriptor (flag 8) the sizes may be left to the directory; wide ones stand in the extra field.
    let sizesAgree =
      (localStored == stored && localSize == size)
      || (localFlags & 8 != 0 && localStored == 0 && localSize == 0)
      || (localStored == 0xffff_ffff || localSize == 0xffff_ffff)
    guard sizesAgree else { throw fail("its header at byte \(header) gives another size than the directory") }
    guard stored <= directoryOffset - local.offset else { throw fail("its data reaches beyond the end of the file") }
    return Member(
      name: name, offset: local.offset, storedSize: stored, size: size, isDeflated: method == 8,
      checksum: checksum)
  }

  // MARK: Data

  /// A member's bytes: where they stand in the file, or inflated into memory.
  /// - Throws: `ModelError` when inflating fails, or when what was asked for would unpack to more than 64 MB and a
  ///   hundred times the archive.
  package func data(of member: Member) throws -> FileBytes {
    guard member.isDeflated else {
      return FileBytes(name: file.name, part: file, offset: member.offset, count: member.size)
    }
    return try inflated.bytes(of: member)
  }

  /// A member as a storage; one that is deflated is inflated when it is read.
  /// - Throws: as `data(of:)`, but for damaged data, which is met at the reading.
  func storage(of member: Member) throws -> Storage {
    guard member.isDeflated else {
      guard let storage = Storage(file, offset: member.offset, byteCount: member.size) else {
        throw ModelError(.malformed, "reaches beyond the end of the file", file: file.name, subject: member.name)
      }
      return storage
    }
    try inflated.claim(member)
    let inflated = inflated
    return try Storage(deferred: member.size) { try inflated.bytes(of: member) }
  }
}
