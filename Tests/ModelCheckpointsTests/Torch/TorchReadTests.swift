import Foundation
import ModelCheckpoints
import ModelCore
import TestSupport
import Testing

/// Every file that PyTorch made is read as PyTorch says.
@Suite struct TorchReadTests {
  @Test(arguments: TorchFixtures.readable)
  func tensors(file: String) throws {
    let golden = try TorchFixtures.golden(file)
    let checkpoint = try Checkpoint(contentsOf: TorchFixtures.path(file))
    let state = checkpoint.preferred.stateDict()
    try expectTensors(state, #require(golden.tensors))
    #expect(sharing(state) == golden.shared)
    #expect(checkpoint.name == TorchFixtures.path(file).string)
  }

  /// Nothing in the folder is left out above.
  @Test func everyFixtureIsTested() throws {
    let files = try FileManager.default.contentsOfDirectory(atPath: TorchFixtures.folder.string)
    let torch = files.filter { $0.hasSuffix(".pt") }.sorted()
    #expect(torch == (TorchFixtures.readable + ["unsafe_system.pt"]).sorted())
  }

  @Test func formats() throws {
    func format(_ name: String) throws -> Checkpoint.Format {
      try Checkpoint(contentsOf: TorchFixtures.path(name)).format
    }
    #expect(try format("protocol2.pt") == .torch)
    #expect(try format("legacy.pt") == .torchLegacy)
    #expect(try format("legacy_module.pt") == .torchLegacy)
    #expect(try format("torchscript.pt") == .torchScript)
    #expect(try format("half.safetensors") == .safetensors)
    #expect(try format("sharded/pytorch_model.bin.index.json") == .sharded)
  }

  @Test func shardsOfPyTorchFiles() throws {
    let name = "sharded/pytorch_model.bin.index.json"
    let state = try Checkpoint(contentsOf: TorchFixtures.path(name)).preferred.stateDict()
    try expectTensors(state, #require(try TorchFixtures.golden(name).tensors), ordered: false)
  }

  @Test func whatIsInMemoryIsReadLikeAFile() throws {
    let bytes = try TorchFixtures.bytes("yolov5_tiny.pt")
    let state = try Checkpoint(FileBytes(name: "memory", copying: bytes)).preferred.stateDict()
    try expectTensors(state, #require(try TorchFixtures.golden("yolov5_tiny.pt").tensors))
  }

  /// The bytes of a member need not stand at a multiple of anything.
  @Test func storagesAtOddPlaces() throws {
    var zip = ZipBytes()
    let numbers: [Float] = [1.5, -2, 3]
    let data = numbers.flatMap { number in withUnsafeBytes(of: number.bitPattern.littleEndian) { Array($0) } }
    zip.add("a/data.pkl", Pickled.file(Pickled.dict(["w": Pickled.tensor(key: "0", count: 3, shape: [3])])))
    zip.add("a/data/0", data)
    let offset = try #require(zip.members.last?.dataOffset)
    #expect(offset % 4 != 0)
    let state = try Checkpoint(FileBytes(name: "odd.pt", copying: zip.finished())).preferred.stateDict()
    #expect(try state["w"]?.doubles() == [1.5, -2, 3])
  }

  @Test func deflatedMembers() throws {
    // zlib.compress(pickle, wbits=-15) of a stored block: 01, length, its complement, the bytes.
    let pickle = Pickled.file(Pickled.dict(["w": Pickled.tensor(key: "0", count: 1, shape: [1])]))
    var zip = ZipBytes()
    zip.add("a/data.pkl", Pickled.storedDeflate(pickle), method: 8, size: pickle.count)
    zip.add("a/data/0", Pickled.storedDeflate([0, 0, 0x80, 0x3f]), method: 8, size: 4)
    let state = try Checkpoint(FileBytes(name: "deflated.pt", copying: zip.finished())).preferred.stateDict()
    #expect(try state["w"]?.doubles() == [1])
  }

  @Test func pythonTwoNamesAreText() throws {
    let name = Array("U\u{1}w".utf8)
    let pickle = Pickled.file(
      Array("}".utf8) + name + Pickled.tensor(key: "0", count: 1, shape: [1]) + Array("s".utf8))
    let state = try Checkpoint(Pickled.archive(pickle, ["0": [0, 0, 0, 0x40]])).preferred.stateDict()
    #expect(try state["w"]?.doubles() == [2])
  }

  @Test(
    arguments: [
      ([], "is empty"), (Array("hello".utf8), "is neither a PyTorch checkpoint nor a safetensors file"),
      (Array("version https://git-lfs.github.com/spec/v1\noid".utf8), "is a Git LFS pointer"),
      (Array("<!DOCTYPE html><html>".utf8), "is a web page"), (Array("<html>".utf8), "is a web page"),
      (tarHeader(), "is a tar archive"), (tarHeader(checksum: 1), "is neither"),
      (Array("N.".utf8), "is a pickle, but not one that torch.save wrote"),
      ([0x80, 2, 0x7d, 0x2e], "is a pickle, but not one that torch.save wrote"),
      (Array("PK".utf8), "is neither"),
    ] as [([UInt8], String)])
  func otherFiles(bytes: [UInt8], reason: String) {
    let message = refusal { _ = try Checkpoint(FileBytes(name: "some.pt", copying: bytes)) }
    #expect(message?.hasPrefix("some.pt: ") == true)
    #expect(message?.contains(reason) == true, "\(message ?? "accepted")")
  }
}

/// The first block of a tar archive, of a file `a`, with the right checksum or with another.
private func tarHeader(checksum: Int? = nil) -> [UInt8] {
  var header = [UInt8](repeating: 0, count: 512)
  header[0] = 0x61
  let field = String(checksum ?? 0x61 + 8 * 0x20, radix: 8)
  header.replaceSubrange(148..<148 + field.utf8.count, with: field.utf8)
  return header
}
