import ModelCheckpoints
import ModelCore
import TestSupport
import Testing

@Suite struct ZipWriterTests {
  @Test(arguments: [0, 1, 3, 63, 64, 65, 1009])
  func membersStandAtMultiplesOf64(size: Int) throws {
    let folder = try TemporaryFolder()
    let file = try AtomicFile(replacing: folder["a.zip"])
    var zip = ZipWriter(file)
    let data = (0..<size).map { UInt8(truncatingIfNeeded: $0) }
    for name in ["x", "folder/data.pkl", "é/\(String(repeating: "long", count: 20))"] { try zip.add(name, data) }
    try zip.finish()
    try file.commit()
    let archive = try ZipArchive(FileBytes(mapping: folder["a.zip"]))
    #expect(archive.members.count == 3)
    for member in archive.members.values {
      #expect(member.offset % 64 == 0, "\(member.name)")
      #expect(!member.isDeflated)
      #expect(try archive.data(of: member).array == data, "\(member.name)")
    }
  }

  @Test func anEmptyArchive() throws {
    let folder = try TemporaryFolder()
    let file = try AtomicFile(replacing: folder["a.zip"])
    try ZipWriter(file).finish()
    try file.commit()
    #expect(try ZipArchive(FileBytes(mapping: folder["a.zip"])).members.isEmpty)
  }

  /// More members than the narrow record can count.
  @Test func manyMembers() throws {
    let folder = try TemporaryFolder()
    let file = try AtomicFile(replacing: folder["a.zip"])
    var zip = ZipWriter(file)
    for index in 0..<66_000 { try zip.add("\(index)", [UInt8]()) }
    try zip.finish()
    try file.commit()
    let archive = try ZipArchive(FileBytes(mapping: folder["a.zip"]))
    #expect(archive.members.count == 66_000)
    #expect(archive.members.keys.last == "65999")
  }
}
