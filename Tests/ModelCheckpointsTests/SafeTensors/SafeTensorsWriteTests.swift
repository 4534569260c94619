import Foundation
import ModelCheckpoints
import ModelCore
import Synchronization
import SystemPackage
import TestSupport
import Testing

@Suite struct SafeTensorsWriteTests {
  /// A contiguous uint8 tensor of bytes counting up from `start`.
  static func bytes(_ shape: [Int], from start: Int = 0, _ dtype: DType = .uint8) throws -> Tensor {
    try Tensor(dtype, shape) { memory in
      for index in memory.indices { memory[index] = UInt8(truncatingIfNeeded: start + index) }
    }
  }

  func header(_ state: StateDict) throws -> String {
    String(decoding: try SafeTensors.Layout(state).header.dropFirst(8), as: UTF8.self)
  }

  @Test(arguments: ["dtypes", "empty", "shapes", "names", "metadata", "tied"])
  func rewritingGivesTheReferencesBytes(_ name: String) throws {
    let folder = try TemporaryFolder()
    let golden = try SafeTensorsFixtures.map("\(name).safetensors").array
    var state = try SafeTensorsFixtures.read("\(name).safetensors")
    // Neither the order of the tensors nor where they are stored matters. (The reference's order of empty tensors at
    // one place is that of their dtypes and names, as for all others.)
    let names = state.names.reversed()
    state = StateDict(
      OrderedDictionary(uniqueKeysWithValues: names.map { ($0, state.tensors[$0]!) }), metadata: state.metadata)
    let size = try SafeTensors.write(state, to: folder["out.safetensors"])
    #expect(size == golden.count)
    #expect(try FileBytes(mapping: folder["out.safetensors"]).array == golden)
    #expect(try SafeTensors.Layout(state).byteCount == golden.count)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path.string) == ["out.safetensors"])
  }

  @Test func theOutputMayBeTheInput() throws {
    let folder = try TemporaryFolder()
    let path = folder["model.safetensors"]
    try SafeTensors.write(try SafeTensorsFixtures.read("dtypes.safetensors"), to: path)
    var state = try SafeTensors.read(FileBytes(mapping: path))
    state["a.uint8"] = nil
    try SafeTensors.write(state, to: path)
    let again = try SafeTensors.read(FileBytes(mapping: path))
    #expect(again.names == state.names)
    #expect(try again["a.int64"]?.bytes() == Array(0..<48))
  }

  /// The types that PyTorch cannot make stand where the reference lists them.
  @Test func sixBitFloatsStandBehindBytesAndBeforeFourBitOnes() throws {
    let state = StateDict([
      "b": try Self.bytes([2], from: 0, .bool), "f4": try Self.bytes([2], .float4E2M1),
      "23": try Self.bytes([4], .float6E2M3),
      "u8": try Self.bytes([1]), "32": try Self.bytes([4], .float6E3M2), "i8": try Self.bytes([1], .int8),
    ])
    #expect(try SafeTensors.Layout(state).items.map(\.name) == ["i8", "u8", "32", "23", "f4", "b"])
    #expect(try SafeTensors.Layout(state).items.map(\.offset) == [0, 1, 2, 5, 8, 9])
    #expect(
      try header(state).contains(#""23":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[5,8]},"f4":{"dtype":"F4""#))
  }

  @Test func metadataAreSortedAndPadded() throws {
    let state = StateDict(
      [:],
      metadata: [
        "b": "2", "Z": "1", "é": "4", "a\"\u{1f}\u{7f}": "/\u{8}\u{c}\u{b}", "日": "5", "😀": "6",
      ])
    let text = try header(state)
    #expect(
      text.hasPrefix(
        #"{"__metadata__":{"Z":"1","a\"\u001f\#u{7f}":"/\b\f\u000b","b":"2","é":"4","日":"5","😀":"6"}}"#))
    #expect(text.utf8.count % 8 == 0)
    #expect(text.drop { $0 != "}" }.dropFirst(2).allSatisfy { $0 == " " })
  }

  @Test func stridedTensorsArePacked() throws {
    let folder = try TemporaryFolder()
    let storage = try Self.bytes([6]).storage
    let transposed = try Tensor(storage, dtype: .uint8, shape: [3, 2], strides: [1, 3])
    let expanded = try Tensor(storage, dtype: .uint8, shape: [2, 2], strides: [0, 1], byteOffset: 4)
    try SafeTensors.write(StateDict(["t": transposed, "e": expanded]), to: folder["out"])
    let state = try SafeTensors.read(FileBytes(mapping: folder["out"]))
    #expect(try state["t"]?.bytes() == [0, 3, 1, 4, 2, 5])
    #expect(try state["e"]?.bytes() == [4, 5, 4, 5])
    #expect(state["t"]?.shape == [3, 2])
  }

  /// One tensor after the other is computed, once, while the one before it is written.
  @Test func computedTensorsAreStreamed() throws {
    let folder = try TemporaryFolder()
    let partial = folder[".out.mutils-partial"].string
    let size = 5 << 20
    let sizesSeen = Mutex<[Int]>([])
    var state = StateDict()
    for name in ["c", "a", "b"] {
      state[name] = try Tensor(
        computed: .uint8, [size],
        by: { memory in
          let attributes = try FileManager.default.attributesOfItem(atPath: partial)
          sizesSeen.withLock { $0.append((attributes[.size] as? Int) ?? -1) }
          memory.initializeMemory(as: UInt8.self, repeating: name.utf8.first ?? 0)
        })
    }
    let layout = try SafeTensors.Layout(state)
    #expect(sizesSeen.withLock { $0 }.isEmpty)
    #expect(try SafeTensors.write(state, to: folder["out"]) == layout.byteCount)
    let sizes = sizesSeen.withLock { $0 }
    #expect(sizes.count == 3)
    for (index, seen) in sizes.enumerated() {
      #expect((max(0, index - 1) * size...layout.header.count + index * size).contains(seen))
    }
    let written = try SafeTensors.read(FileBytes(mapping: folder["out"]))
    #expect(try written["b"]?.bytes().allSatisfy { $0 == UInt8(ascii: "b") } == true)
  }

  @Test func smallAndLargeTensorsKeepTheirPlaces() throws {
    let folder = try TemporaryFolder()
    var state = StateDict()
    for index in 0..<200 {
      state["t\(index)"] = try Self.bytes([index % 7 == 0 ? 70_000 + index : 9_000 + index], from: index)
    }
    try SafeTensors.write(state, to: folder["out"])
    let written = try SafeTensors.read(FileBytes(mapping: folder["out"]))
    #expect(written.count == 200)
    for (name, tensor) in state.tensors { #expect(try written[name]?.bytes() == tensor.bytes()) }
  }

  @Test func whatCannotBeWrittenIsRefusedAndNothingIsLeft() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("before", to: "out.safetensors")
    func refusal(_ state: StateDict) throws -> String {
      do {
        try SafeTensors.write(state, to: path)
        return "written"
      } catch let error as ModelError {
        return String(error.description.dropFirst(path.string.count))
      }
    }
    #expect(
      try refusal(StateDict(["w": Tensor(.complex128, [1])]))
        == ": w: safetensors cannot hold complex128; leave it out or write a .pt file")
    #expect(try refusal(StateDict(["w": Tensor(.complex32, [0])])).contains("cannot hold complex32"))
    #expect(
      try refusal(StateDict(["__metadata__": Tensor(.uint8, [1])]))
        == ": __metadata__: a tensor cannot bear this name in safetensors; rename it")
    #expect(
      try refusal(StateDict(["w": Tensor(.uint8, [1])], metadata: ["z": "w"]))
        == ": z: the metadata entry of this name holds the name of a tensor, so it would be read back as a tied tensor; "
        + "remove or change it")
    let failing = try Tensor(computed: .uint8, [1], by: { _ in throw ModelError(.invalid, "cannot be computed") })
    #expect(try refusal(StateDict(["a": Self.bytes([100]), "w": failing])) == ": w: cannot be computed")
    #expect(try FileBytes(mapping: path).array == Array("before".utf8))
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path.string) == ["out.safetensors"])
    #expect(throws: ModelError.self) { try SafeTensors.write(StateDict(), to: folder["none/out.safetensors"]) }
  }
}
