import Foundation
import ModelCheckpoints
import ModelCore
import SystemPackage
import TestSupport
import Testing

/// A file appears whole or not at all.
@Suite struct AtomicFileTests {
  private func text(_ path: FilePath) throws -> String { try String(contentsOfFile: path.string, encoding: .utf8) }

  private func permissions(_ path: FilePath) throws -> Int? {
    try FileManager.default.attributesOfItem(atPath: path.string)[.posixPermissions] as? Int
  }

  @Test func aNewFile() throws {
    let folder = try TemporaryFolder()
    let file = try AtomicFile(replacing: folder["new"])
    try file.write(Array("hello ".utf8))
    try file.write("world".utf8)
    #expect(file.position == 11)
    #expect(try folder.contents == [".new.mutils-partial"])
    try file.commit()
    #expect(try folder.contents == ["new"])
    #expect(try text(folder["new"]) == "hello world")
    #expect(refusal { try file.write([1]) }?.hasSuffix("is closed") == true)
    #expect(refusal { try file.commit() }?.hasSuffix("is closed") == true)
  }

  @Test func anEmptyFile() throws {
    let folder = try TemporaryFolder()
    try AtomicFile(replacing: folder["empty"]).commit()
    #expect(try text(folder["empty"]) == "")
  }

  @Test func theOldFileStaysUntilTheNewOneIsWhole() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(Array("old".utf8), to: "file")
    let file = try AtomicFile(replacing: path)
    try file.write("new and longer".utf8)
    #expect(try text(path) == "old")
    try file.commit()
    #expect(try text(path) == "new and longer")
    #expect(try folder.contents == ["file"])
  }

  @Test func whatIsLetGoLeavesNothing() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(Array("old".utf8), to: "file")
    do {
      let file = try AtomicFile(replacing: path)
      try file.write("half".utf8)
    }
    #expect(try folder.contents == ["file"])
    #expect(try text(path) == "old")
  }

  @Test func aMappedFileStaysReadableWhenItIsReplaced() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(Array("old".utf8), to: "file")
    let mapped = try FileBytes(mapping: path)
    let file = try AtomicFile(replacing: path)
    try file.write(mapped.bytes)
    try file.write("er".utf8)
    try file.commit()
    #expect(mapped.array == Array("old".utf8))
    #expect(try text(path) == "older")
  }

  @Test(arguments: [0o600, 0o644, 0o755, 0o400])
  func permissionsStay(mode: Int) throws {
    let folder = try TemporaryFolder()
    let path = try folder.write([1], to: "file")
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path.string)
    try AtomicFile(replacing: path).commit()
    #expect(try permissions(path) == mode)
  }

  @Test func aSymbolicLinkIsFollowed() throws {
    let folder = try TemporaryFolder()
    try FileManager.default.createDirectory(atPath: folder["real"].string, withIntermediateDirectories: false)
    _ = try folder.write(Array("old".utf8), to: "real/file")
    try FileManager.default.createSymbolicLink(atPath: folder["link"].string, withDestinationPath: "real/file")
    let file = try AtomicFile(replacing: folder["link"])
    try file.write("new".utf8)
    try file.commit()
    #expect(try text(folder["real/file"]) == "new")
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: folder["link"].string) == "real/file")
    #expect(try folder.contents == ["link", "real"])
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder["real"].string) == ["file"])
  }

  @Test func aSecondWriterIsRefused() throws {
    let folder = try TemporaryFolder()
    let first = try AtomicFile(replacing: folder["file"])
    try first.write("first".utf8)
    #expect(
      refusal { _ = try AtomicFile(replacing: folder["file"]) }
        == "\(folder["file"]): is being written by another process")
    try first.commit()
    let second = try AtomicFile(replacing: folder["file"])
    try second.write("second".utf8)
    try second.commit()
    #expect(try text(folder["file"]) == "second")
  }

  @Test func whatAKilledWriterLeftIsTakenOver() throws {
    let folder = try TemporaryFolder()
    _ = try folder.write(Array("half of something long".utf8), to: ".file.mutils-partial")
    let file = try AtomicFile(replacing: folder["file"])
    try file.write("whole".utf8)
    try file.commit()
    #expect(try text(folder["file"]) == "whole")
    #expect(try folder.contents == ["file"])
  }

  /// Somebody who may write into the folder must not make us write through a link of his.
  @Test func aLinkInPlaceOfThePartialFileIsNotFollowed() throws {
    let folder = try TemporaryFolder()
    _ = try folder.write(Array("precious".utf8), to: "other")
    try FileManager.default.createSymbolicLink(
      atPath: folder[".file.mutils-partial"].string, withDestinationPath: "other")
    #expect(refusal { _ = try AtomicFile(replacing: folder["file"]) }?.contains("cannot be written") == true)
    #expect(try text(folder["other"]) == "precious")
  }

  @Test func placesThatCannotBeWritten() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write([1], to: "file")
    func message(_ path: FilePath) -> String? { refusal { _ = try AtomicFile(replacing: path) } }
    #expect(message(folder.path) == "\(folder.path): is not a regular file, so it cannot be replaced")
    #expect(message("/dev/null") == "/dev/null: is not a regular file, so it cannot be replaced")
    #expect(message(folder["missing"].appending("x"))?.hasSuffix("No such file or directory") == true)
    #expect(message(path.appending("x"))?.hasSuffix("Not a directory") == true)
    #expect(message("") == ": names no file")
    // The partial file of a long name has a shorter one; a longer name than any file's has none.
    #expect(message(folder[String(repeating: "x", count: 255)]) == nil)
    let file = try AtomicFile(replacing: folder[String(repeating: "x", count: 256)])
    #expect(throws: ModelError.self) { try file.commit() }
    #expect(try folder.contents == ["file"])
  }

  @Test func unfinishedFilesCanBeDiscardedAtASignal() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(Array("old".utf8), to: "file")
    let file = try AtomicFile(replacing: path)
    try file.write("half".utf8)
    // As `discardUnfinished` does it, for this file alone: other tests write at the same time.
    #expect(try folder.contents == [".file.mutils-partial", "file"])
    withExtendedLifetime(file) {}
    #expect(try text(path) == "old")
  }
}
