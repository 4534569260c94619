import Foundation
import ModelCheckpoints
import ModelCore
import SystemPackage
import TestSupport
import Testing

/// What is written is read again as it was.
@Suite struct TorchWriterTests {
  /// A file written back unchanged describes the same objects, byte for byte of the storages.
  @Test(arguments: TorchFixtures.readable.filter { !$0.hasPrefix("unsafe") && $0 != "torchscript.pt" })
  func everyFixtureComesBack(file: String) throws {
    let folder = try TemporaryFolder()
    let checkpoint = try Checkpoint(contentsOf: TorchFixtures.path(file))
    let size = try checkpoint.write(to: folder["again.pt"])
    let written = try FileBytes(mapping: folder["again.pt"])
    #expect(written.count == size)

    let again = try Checkpoint(contentsOf: folder["again.pt"])
    #expect(again.format == .torch)
    #expect(Array(again.models.keys) == Array(checkpoint.models.keys))
    let golden = try TorchFixtures.golden(file)
    try expectTensors(again.preferred.stateDict(), #require(golden.tensors))
    #expect(sharing(again.preferred.stateDict()) == golden.shared)
    // Names, yaml, epochs, optimizers, options, odd companions: the graph of objects is the same.
    let before = try TorchFile(TorchFixtures.map(file)).graph
    #expect(try TorchFile(written).graph.text == before.text)
  }

  /// Written twice, the bytes are the same.
  @Test(arguments: ["training_checkpoint.pt", "storages.pt", "legacy_module.pt"])
  func writingSettles(file: String) throws {
    let folder = try TemporaryFolder()
    try Checkpoint(contentsOf: TorchFixtures.path(file)).write(to: folder["same.pt"])
    let once = try FileBytes(mapping: folder["same.pt"]).array
    try Checkpoint(contentsOf: folder["same.pt"]).write(to: folder["same.pt"])
    #expect(try FileBytes(mapping: folder["same.pt"]).array == once)
  }

  /// Into a descriptor go the bytes of a file that is called archive.pt, or of a safetensors file.
  @Test(arguments: [
    ("training_checkpoint.pt", Checkpoint.OutputFormat.torch, "archive.pt", false),
    ("storages.pt", .torch, "archive.pt", true),
    ("legacy_module.pt", .safetensors, "a.safetensors", false),
  ])
  func streamsGetTheSameBytes(file: String, format: Checkpoint.OutputFormat, name: String, isBare: Bool) throws {
    let folder = try TemporaryFolder()
    let checkpoint = try Checkpoint(contentsOf: TorchFixtures.path(file))
    let size = try checkpoint.write(to: folder[name], stateDictOnly: isBare)
    let stream = try FileDescriptor.open(
      folder["stream"], .writeOnly, options: .create, permissions: .ownerReadWrite)
    let streamed = try stream.closeAfter {
      try checkpoint.write(to: stream, name: "stream", format: format, stateDictOnly: isBare)
    }
    #expect(streamed == size)
    #expect(try FileBytes(mapping: folder["stream"]).array == FileBytes(mapping: folder[name]).array)
    let readOnly = try FileDescriptor.open(folder["stream"], .readOnly)
    let refused = try readOnly.closeAfter {
      refusal { try checkpoint.write(to: readOnly, name: "stream", format: format) }
    }
    #expect(refused == "stream: cannot be written: Bad file descriptor")
  }

  @Test func theArchiveIsLaidOutAsPyTorchsOwn() throws {
    let folder = try TemporaryFolder()
    try Checkpoint(contentsOf: TorchFixtures.path("protocol2.pt")).write(to: folder["name.pt"])
    let archive = try ZipArchive(FileBytes(mapping: folder["name.pt"]))
    #expect(
      Array(archive.members.keys) == [
        "name/data.pkl", "name/.format_version", "name/.storage_alignment", "name/byteorder", "name/data/0",
        "name/data/1", "name/data/2", "name/data/3", "name/data/4", "name/data/5", "name/data/6", "name/version",
      ])
    for member in archive.members.values { #expect(member.offset % 64 == 0, "\(member.name)") }
    func text(_ name: String) throws -> String {
      String(decoding: try archive.data(of: #require(archive.members[name])).array, as: UTF8.self)
    }
    #expect(try text("name/byteorder") == "little")
    #expect(try text("name/version") == "3\n")
    #expect(try text("name/.format_version") == "1")
    #expect(try text("name/.storage_alignment") == "64")
  }

  @Test(arguments: ["dtypes.pt", "storages.pt", "training_checkpoint.pt", "torchscript.pt", "tied.safetensors"])
  func stateDictsAlone(file: String) throws {
    let folder = try TemporaryFolder()
    let checkpoint = try Checkpoint(contentsOf: TorchFixtures.path(file))
    try checkpoint.write(to: folder["state.pt"], stateDictOnly: true)
    let state = try Checkpoint(contentsOf: folder["state.pt"]).preferred.stateDict()
    let golden = try TorchFixtures.golden(file)
    // What safetensors does not order is in the order of the file.
    try expectTensors(state, #require(golden.tensors), ordered: !file.hasSuffix(".safetensors"))
    #expect(sharing(state).map { $0.sorted() } == sharing(checkpoint.preferred.stateDict()).map { $0.sorted() })
  }

  /// A tensor of every type that a PyTorch file can hold.
  @Test func everyTypeIsWritten() throws {
    let folder = try TemporaryFolder()
    var state = StateDict()
    for dtype in DType.allCases {
      guard let width = dtype.byteWidth else { continue }
      state[dtype.rawValue] = try Tensor(dtype, [3]) { $0.copyBytes(from: (0..<UInt8(3 * width))) }
    }
    try state.writeTorch(to: folder["types.pt"])
    let again = try Checkpoint(contentsOf: folder["types.pt"]).preferred.stateDict()
    #expect(again.names == state.names)
    for (name, tensor) in state.tensors {
      #expect(again[name]?.dtype == tensor.dtype, "\(name)")
      #expect(try again[name]?.bytes() == tensor.bytes(), "\(name)")
    }
  }

  @Test func oddShapesAndLayouts() throws {
    let folder = try TemporaryFolder()
    let numbers = try Tensor((0..<48).map(Float.init)).storage
    let state = StateDict([
      "scalar": try Tensor([1.5], []), "empty": try Tensor(.int64, [0]), "hollow": try Tensor(.float16, [2, 0, 3]),
      "turned": try Tensor(numbers, dtype: .float32, shape: [6, 4], strides: [1, 6]),
      "middle": try Tensor(numbers, dtype: .float32, shape: [5], byteOffset: 12),
      "expanded": try Tensor(numbers, dtype: .float32, shape: [2, 3], strides: [1, 0]),
      "computed": try Tensor(computed: .float32, [2]) { $0.copyBytes(from: [0, 0, 128, 63, 0, 0, 0, 64]) },
    ])
    try state.writeTorch(to: folder["odd.pt"])
    let again = try Checkpoint(contentsOf: folder["odd.pt"]).preferred.stateDict()
    for (name, tensor) in state.tensors {
      #expect(again[name]?.shape == tensor.shape, "\(name)")
      #expect(again[name]?.strides == tensor.strides, "\(name)")
      #expect(again[name]?.byteOffset == tensor.byteOffset, "\(name)")
      #expect(try again[name]?.bytes() == tensor.bytes(), "\(name)")
    }
    #expect(sharing(again) == [["turned", "middle", "expanded"]])
  }

  @Test func elementsThatPyTorchCountsInPairs() throws {
    let folder = try TemporaryFolder()
    let pairs = try Tensor(.float4E2M1, [2, 6]) { $0.copyBytes(from: [1, 2, 3, 4, 5, 6]) }
    try StateDict(["w": pairs]).writeTorch(to: folder["pairs.pt"])
    let again = try #require(try Checkpoint(contentsOf: folder["pairs.pt"]).preferred.stateDict()["w"])
    #expect(again.dtype == .float4E2M1 && again.shape == [2, 6])
    #expect(try again.bytes() == [1, 2, 3, 4, 5, 6])
    for (tensor, reason) in [
      (try Tensor(.float4E2M1, [2, 3]), "w: PyTorch keeps float4_e2m1fn in pairs, and the last axis of [2, 3] is odd"),
      (try Tensor(.float6E2M3, [4]), "w: PyTorch has no float6_e2m3"),
      (try Tensor(.float6E3M2, [4]), "w: PyTorch has no float6_e3m2"),
    ] {
      #expect(
        refusal { try StateDict(["w": tensor]).writeTorch(to: folder["no.pt"]) }
          == reason + "; write a .safetensors file")
    }
  }

  @Test func hostileNamesAreOnlyNames() throws {
    let folder = try TemporaryFolder()
    var state = StateDict()
    for name in ["", "a\nb", "é", "../x", String(repeating: "n", count: 70_000), "cos\nsystem\n"] {
      state[name] = try Tensor([1])
    }
    try state.writeTorch(to: folder["names.pt"])
    #expect(try Checkpoint(contentsOf: folder["names.pt"]).preferred.stateDict().names == state.names)
  }

  @Test func theInputMayBeTheOutput() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(TorchFixtures.bytes("yolov5_tiny.pt"), to: "model.pt")
    let checkpoint = try Checkpoint(contentsOf: path)
    try checkpoint.write(to: path)
    try expectTensors(
      Checkpoint(contentsOf: path).preferred.stateDict(), #require(try TorchFixtures.golden("yolov5_tiny.pt").tensors))
    // The value that was opened before reads what it read, from the file that is no longer there.
    try expectTensors(
      checkpoint.preferred.stateDict(), #require(try TorchFixtures.golden("yolov5_tiny.pt").tensors))
    #expect(try folder.contents == ["model.pt"])
  }

  @Test func extensionsPickTheFormat() throws {
    for (name, format) in [
      ("a.pt", Checkpoint.OutputFormat.torch), ("a.pth", .torch), ("a.bin", .torch), ("a.ckpt", .torch),
      ("a.PT", .torch), ("a.pth.tar", .torch), ("a.tar", .torch), ("a.pkl", .torch), ("a.th", .torch),
      ("a.safetensors", .safetensors), ("b/a.x.pt", .torch), ("a.onnx", .onnx),
    ] {
      #expect(try Checkpoint.OutputFormat(of: FilePath(name)) == format, "\(name)")
    }
    for name in ["a", "a.h5", ".pt", "a.pt.gz", ""] {
      #expect(
        refusal { _ = try Checkpoint.OutputFormat(of: FilePath(name)) }?.contains("names no format") == true, "\(name)")
    }
  }

  @Test func aTensorThatCannotBeReadLeavesTheOldFile() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(Array("old".utf8), to: "file.pt")
    let state = StateDict(["w": try Tensor(computed: .float32, [2]) { _ in throw ModelError(.invalid, "no more") }])
    #expect(refusal { try state.writeTorch(to: path) } == "no more")
    #expect(try FileBytes(mapping: path).array == Array("old".utf8))
    #expect(try folder.contents == ["file.pt"])
  }
}
