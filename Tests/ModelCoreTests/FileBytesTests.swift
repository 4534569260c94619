import Foundation
import ModelCore
import SystemPackage
import TestSupport
import Testing

@Suite struct FileBytesTests {
  @Test(arguments: [0, 1, 4096, 4097])
  func aFileIsMapped(count: Int) throws {
    let folder = try TemporaryFolder()
    let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
    let path = try folder.write(bytes, to: "file")
    let file = try FileBytes(mapping: path)
    #expect(file.count == count)
    #expect(file.name == path.string)
    #expect(withExtendedLifetime(file) { Array(file.bytes) } == bytes)
  }

  @Test func whatIsNoFileIsRefused() throws {
    let folder = try TemporaryFolder()
    let missing = folder.path.appending("missing")
    #expect(
      refusal { _ = try FileBytes(mapping: missing) } == "\(missing): cannot be opened: No such file or directory")
    #expect(refusal { _ = try FileBytes(mapping: folder.path) } == "\(folder.path): is not a regular file")
    let device: FilePath = "/dev/null"
    #expect(refusal { _ = try FileBytes(mapping: device) } == "/dev/null: is not a regular file")
    // A pipe that nobody writes to must not be waited for.
    let pipe = folder.path.appending("pipe")
    #expect(mkfifo(pipe.string, 0o600) == 0)
    #expect(
      refusal { _ = try FileBytes(mapping: pipe) }
        == "\(pipe): is not a regular file; send what comes out of it to standard input, which is called -")
  }

  @Test(arguments: [0, 1, 4097, 3 << 20])
  func whatComesThroughAPipe(count: Int) throws {
    let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 * 7) }
    let pipe = try FileDescriptor.pipe()
    let writer = Thread { try? pipe.writeEnd.closeAfter { _ = try pipe.writeEnd.writeAll(bytes) } }
    writer.start()
    let file = try FileBytes(reading: pipe.readEnd, name: "pipe")
    try pipe.readEnd.close()
    #expect(withExtendedLifetime(file) { Array(file.bytes) } == bytes)
  }

  /// From its beginning, wherever its reader stands.
  @Test func aRegularFileIsMappedWhereItIs() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write([1, 2, 3], to: "file")
    let descriptor = try FileDescriptor.open(path, .readOnly)
    try descriptor.seek(offset: 2, from: .start)
    let file = try FileBytes(reading: descriptor, name: "file")
    try descriptor.close()
    #expect(withExtendedLifetime(file) { Array(file.bytes) } == [1, 2, 3])
  }

  @Test func slices() throws {
    let file = FileBytes(name: "bytes", copying: [1, 2, 3, 4, 5])
    #expect(file.slice(1, 3).map { Array($0) } == [2, 3, 4])
    #expect(file.slice(5, 0)?.count == 0)
    for (offset, count) in [(-1, 1), (0, 6), (6, 0), (0, -1), (Int.max, Int.max), (3, Int.max)] {
      #expect(file.slice(offset, count) == nil, "\(offset) \(count)")
    }
  }

  @Test func aPartOfAFileKeepsItAlive() throws {
    var whole: FileBytes? = FileBytes(name: "whole", copying: [1, 2, 3, 4, 5])
    let part = FileBytes(name: "part", part: whole!, offset: 2, count: 2)
    weak let observed = whole
    whole = nil
    #expect(observed != nil)
    #expect(withExtendedLifetime(part) { Array(part.bytes) } == [3, 4])
  }
}
