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
        == "\(pipe): is not a regular file; save what comes out of the pipe first")
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
