import ModelCheckpoints
import ModelCore
import TestSupport
import Testing

/// Zip archives that lie.
@Suite struct ZipArchiveTests {
  private func open(_ bytes: [UInt8]) throws -> ZipArchive {
    try ZipArchive(FileBytes(name: "test.zip", copying: bytes))
  }

  private func message(_ bytes: [UInt8]) -> String? { refusal { _ = try open(bytes) } }

  private static func twoMembers() -> ZipBytes {
    var zip = ZipBytes()
    zip.add("a/one", [1, 2, 3])
    zip.add("a/two", [4, 5])
    return zip
  }

  @Test func membersAreFound() throws {
    let archive = try open(Self.twoMembers().finished())
    #expect(Array(archive.members.keys) == ["a/one", "a/two"])
    let two = try #require(archive.members["a/two"])
    #expect(two.size == 2)
    #expect(!two.isDeflated)
    #expect(try archive.data(of: two).array == [4, 5])
  }

  @Test func anEmptyArchiveAndComments() throws {
    #expect(try open(ZipBytes().finished()).members.isEmpty)
    #expect(try open(Self.twoMembers().finished(comment: Array("a comment".utf8))).members.count == 2)
    // What follows the end record is passed over, as by PyTorch.
    #expect(try open(Self.twoMembers().finished() + [0x0a]).members.count == 2)
    // A comment that looks like an end record is one to PyTorch, and to others not.
    let decoy = Self.twoMembers().end(count: 0, size: 0, offset: 0, commentLength: 7)
    #expect(
      message(Self.twoMembers().finished(comment: decoy))?.contains("between the zip directory and its end record")
        == true)
  }

  @Test func truncationAtEveryByte() {
    let bytes = Self.twoMembers().finished()
    for length in 0..<bytes.count {
      #expect(message(Array(bytes[..<length]))?.hasPrefix("test.zip: ") == true, "\(length) bytes")
    }
  }

  /// Changes a member as the directory tells of it.
  private func lying(_ change: (inout ZipBytes.Member) -> Void) -> String? {
    var zip = Self.twoMembers()
    change(&zip.members[1])
    return message(zip.finished())
  }

  @Test func directoriesThatDisagreeWithTheHeaders() {
    #expect(
      lying { $0.name = Array("a/tww".utf8) } == "test.zip: a/tww: its header at byte 38 disagrees with the directory")
    #expect(lying { $0.name = Array("a/twoo".utf8) }?.contains("disagrees") == true)
    #expect(lying { $0.method = 8 }?.contains("disagrees with the directory") == true)
    #expect(
      lying {
        $0.size = 1
        $0.storedSize = 1
      }?.hasSuffix("gives another size than the directory") == true)
    #expect(lying { $0.size = 3 } == "test.zip: a/two: the member is not compressed, yet takes 2 bytes for 3")
    #expect(lying { $0.headerOffset = 39 }?.hasSuffix("its header is missing at byte 39") == true)
    #expect(lying { $0.headerOffset = 0xffff_fff0 }?.hasSuffix("its header lies outside the file") == true)
    #expect(lying { $0.headerOffset = 73 }?.contains("truncated") == true)
    #expect(lying { $0.disk = 1 }?.hasSuffix("zip archives in several parts are not supported") == true)
    #expect(lying { $0.flags = 1 }?.hasSuffix("the member is encrypted") == true)
    #expect(lying { $0.method = 12 }?.hasSuffix("compression method 12 is not supported") == true)
    #expect(lying { $0.name = [0xff, 0xfe] }?.hasSuffix("a member's name is not valid UTF-8") == true)
  }

  @Test func bothLieAboutTheSize() {
    var zip = Self.twoMembers()
    // The local header's two sizes stand 18 bytes behind its start.
    for (place, size) in [(18, 9), (22, 9)] { zip.bytes[38 + place] = UInt8(size) }
    (zip.members[1].size, zip.members[1].storedSize) = (9, 9)
    #expect(message(zip.finished()) == "test.zip: a/two: its data reaches beyond the end of the file")
  }

  @Test func duplicateNames() {
    var zip = Self.twoMembers()
    zip.add("a/one", [9])
    let reason = "the archive holds two members of this name (PyTorch has no regard to case)"
    #expect(message(zip.finished()) == "test.zip: a/one: \(reason)")
    zip = Self.twoMembers()
    zip.add("A/One", [9])
    #expect(message(zip.finished()) == "test.zip: A/One: \(reason)")
  }

  @Test func overlappingMembers() {
    // The second member lies in the data of the first.
    var inner = ZipBytes()
    inner.add("b", [7])
    var zip = ZipBytes()
    zip.add("a", inner.bytes)
    var member = inner.members[0]
    member.headerOffset = UInt32(zip.members[0].dataOffset)
    zip.members.append(member)
    #expect(message(zip.finished()) == "test.zip: b: overlaps another member of the archive")
  }

  @Test func endRecordsThatLie() {
    let zip = Self.twoMembers()
    let directory = zip.members.flatMap(zip.entry)
    func end(_ end: [UInt8]) -> String? { message(zip.bytes + directory + end) }
    let (size, offset) = (directory.count, zip.bytes.count)
    #expect(end(zip.end(count: 2, size: size, offset: offset)) == nil)
    #expect(end(zip.end(count: 3, size: size, offset: offset))?.contains("does not fit into the file") == true)
    #expect(end(zip.end(count: 1, size: size, offset: offset))?.contains("is longer than its 1 members") == true)
    #expect(end(zip.end(count: 2, size: size + 1, offset: offset))?.contains("does not fit") == true)
    #expect(end(zip.end(count: 2, size: size, offset: offset + 1))?.contains("does not fit") == true)
    #expect(end(zip.end(count: 2, size: size, offset: offset - 1))?.contains("1 bytes stand between") == true)
    #expect(end(zip.end(disk: 1, count: 2, size: size, offset: offset))?.contains("in several parts") == true)
    #expect(end(zip.end(count: 2, total: 3, size: size, offset: offset))?.contains("in several parts") == true)
    #expect(end(zip.end(count: 2, size: 0xffff_fff0, offset: offset))?.contains("does not fit") == true)
    #expect(end(zip.end(count: 2, size: size, offset: offset, commentLength: 1)) == nil)
    #expect(end(zip.end(count: 2, size: 0xffff_ffff, offset: offset))?.contains("zip64 locator is missing") == true)
  }

  // MARK: Zip64

  private func zip64(
    position: Int? = nil, count: Int = 2, total: Int? = nil, size: Int? = nil, offset: Int? = nil, disks: UInt32 = 0,
    signature: UInt32 = 0x0606_4b50
  ) -> [UInt8] {
    let zip = Self.twoMembers()
    let directory = zip.members.flatMap(zip.entry)
    let start = zip.bytes.count + directory.count
    var bytes = zip.bytes + directory
    bytes += Pickled.littleEndian(signature) + Pickled.littleEndian(44) + Pickled.littleEndian(UInt32(0x2d_002d))
    bytes += Pickled.littleEndian(disks) + Pickled.littleEndian(disks)
    bytes += Pickled.littleEndian(count) + Pickled.littleEndian(total ?? count)
    bytes += Pickled.littleEndian(size ?? directory.count) + Pickled.littleEndian(offset ?? zip.bytes.count)
    bytes += Pickled.littleEndian(UInt32(0x0706_4b50)) + Pickled.littleEndian(UInt32(0))
    bytes += Pickled.littleEndian(position ?? start) + Pickled.littleEndian(UInt32(1))
    return bytes + zip.end(count: 0xffff, size: 0xffff_ffff, offset: 0xffff_ffff)
  }

  @Test func wideRecords() throws {
    #expect(try open(zip64()).members.count == 2)
    #expect(message(zip64(position: 0))?.contains("zip64 end record is missing") == true)
    #expect(message(zip64(position: .max))?.contains("does not lie inside") == true)
    #expect(message(zip64(position: -1))?.contains("a size exceeds 2^63") == true)
    #expect(message(zip64(count: .max))?.contains("does not fit") == true)
    #expect(message(zip64(count: -1))?.contains("a size exceeds 2^63") == true)
    #expect(message(zip64(total: 3))?.contains("disagrees with itself") == true)
    #expect(message(zip64(size: .max))?.contains("does not fit") == true)
    #expect(message(zip64(offset: .max))?.contains("does not fit") == true)
    #expect(message(zip64(disks: 1))?.contains("in several parts") == true)
    #expect(message(zip64(signature: 0))?.contains("zip64 end record is missing") == true)
  }

  @Test func wideSizesOfAMember() {
    func withExtra(_ extra: [UInt8]) -> String? {
      lying {
        ($0.size, $0.storedSize, $0.headerOffset) = (.max, .max, .max)
        $0.extra = extra
      }
    }
    func field(_ values: [Int]) -> [UInt8] {
      [1, 0, UInt8(8 * values.count), 0] + values.flatMap { Pickled.littleEndian($0) }
    }
    #expect(withExtra(field([2, 2, 38])) == nil)
    #expect(withExtra(field([2, 2, 1 << 62]))?.hasSuffix("its header lies outside the file") == true)
    #expect(withExtra(field([1 << 62, 1 << 62, 38]))?.contains("gives another size") == true)
    #expect(withExtra(field([-1, 2, 38]))?.contains("a size exceeds 2^63") == true)
    #expect(withExtra(field([2, 2]))?.contains("truncated") == true)
    #expect(withExtra([]) != nil)
    #expect(withExtra([1, 0, 200, 0]) != nil)
  }

  // MARK: Deflated data

  private func inflate(_ data: [UInt8], size: Int) throws -> [UInt8] {
    var zip = ZipBytes()
    zip.add("d", data, method: 8, size: size)
    let archive = try open(zip.finished())
    return try archive.data(of: #require(archive.members["d"])).array
  }

  @Test func deflatedMembers() throws {
    let text = Array("hello".utf8)
    #expect(try inflate(Pickled.storedDeflate(text), size: 5) == text)
    #expect(try inflate(Pickled.storedDeflate([]), size: 0) == [])
    // zlib.compressobj(wbits=-15): 100 times "ab".
    #expect(
      try inflate([0x4b, 0x4c, 0x4a, 0x1c, 0x16, 0x10, 0x00], size: 200)
        == [UInt8]((0..<200).map { $0 % 2 == 0 ? 0x61 : 0x62 }))
    for (data, size) in [
      (Pickled.storedDeflate(text), 4), (Pickled.storedDeflate(text), 6), ([UInt8](), 0), ([0xff, 0xff], 5),
      (Pickled.storedDeflate(text).dropLast(), 5), ([1, 5, 0, 0, 0, 1], 1),
    ] {
      #expect(
        refusal { _ = try inflate(Array(data), size: size) } == "test.zip: d: its compressed data is damaged",
        "\(data) \(size)")
    }
  }

  @Test func deflateBombs() {
    #expect(refusal { _ = try inflate([1, 2], size: 100_000) } == "test.zip: d: 2 compressed bytes cannot hold 100000")
    // Seventy kilobytes could hold 72 megabytes, but that is more than a hundred times the file.
    let claim = refusal { _ = try inflate([UInt8](repeating: 0, count: 70_000), size: 72_000_000) }
    #expect(claim == "test.zip: d: with it the archive unpacks to 72000000 bytes, more than a hundred times its own")
  }
}
