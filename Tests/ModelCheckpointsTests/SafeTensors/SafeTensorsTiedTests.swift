import ModelCheckpoints
import ModelCore
import SystemPackage
import TestSupport
import Testing

/// What `safetensors.torch.save_model` does with shared memory, and where we differ.
@Suite struct SafeTensorsTiedTests {
  func bytes(_ count: Int) throws -> Tensor { try SafeTensorsWriteTests.bytes([count]) }

  func rewritten(_ state: StateDict) throws -> StateDict {
    let folder = try TemporaryFolder()
    try SafeTensors.write(state, to: folder["out"])
    return try SafeTensors.read(FileBytes(mapping: folder["out"]))
  }

  @Test func theFirstNameIsKeptAndTheOthersStandInTheMetadata() throws {
    let tied = try bytes(4)
    let other = try bytes(4)
    let state = StateDict(["z": tied, "lm_head": tied, "b": other, "Z": tied], metadata: ["format": "pt"])
    let layout = try SafeTensors.Layout(state)
    #expect(layout.items.map(\.name) == ["Z", "b"])
    #expect(layout.aliases == ["lm_head": "Z", "z": "Z"])
    let header = String(decoding: layout.header.dropFirst(8), as: UTF8.self)
    #expect(header.hasPrefix(#"{"__metadata__":{"format":"pt","lm_head":"Z","z":"Z"},"Z":{"#))

    let read = try rewritten(state)
    #expect(Array(read.names) == ["Z", "b", "lm_head", "z"])
    #expect(read["z"]?.identity == read["Z"]?.identity && read["lm_head"]?.identity == read["Z"]?.identity)
    #expect(read["b"]?.identity != read["Z"]?.identity)
    #expect(read.metadata == ["format": "pt"])
    #expect(try SafeTensors.Layout(read).header == layout.header)
  }

  @Test func equalValuesAreNotTied() throws {
    let state = StateDict(["a": try bytes(4), "b": try bytes(4)])
    #expect(try SafeTensors.Layout(state).aliases.isEmpty)
    #expect(try SafeTensors.Layout(state).items.count == 2)
  }

  @Test func emptyTensorsAreNotTied() throws {
    let empty = try bytes(0)
    #expect(try SafeTensors.Layout(StateDict(["a": empty, "b": empty])).items.count == 2)
  }

  /// The reference would drop all of these but one.
  @Test func overlappingViewsAreWrittenWhole() throws {
    let storage = try bytes(8).storage
    let whole = try Tensor(storage, dtype: .uint8, shape: [8])
    let state = StateDict([
      "whole": whole,
      "same": whole,
      "reshaped": try Tensor(storage, dtype: .uint8, shape: [2, 4]),
      "half": try Tensor(storage, dtype: .uint8, shape: [4]),
      "same.half": try Tensor(storage, dtype: .uint8, shape: [4]),
      "middle": try Tensor(storage, dtype: .uint8, shape: [4], byteOffset: 2),
      "signed": try Tensor(storage, dtype: .int8, shape: [8]),
    ])
    let layout = try SafeTensors.Layout(state)
    #expect(layout.items.map(\.name) == ["signed", "half", "middle", "reshaped", "same"])
    #expect(layout.aliases == ["whole": "same", "same.half": "half"])
    let read = try rewritten(state)
    #expect(read.count == 7)
    #expect(try read["middle"]?.bytes() == [2, 3, 4, 5])
    #expect(try read["reshaped"]?.bytes() == Array(0..<8))
  }

  /// As in the reference, the user's metadata stay; the tensor is not lost but written again.
  @Test func metadataOfAnAliasesNameStay() throws {
    let tied = try bytes(4)
    let state = StateDict(["a": tied, "b": tied, "c": tied], metadata: ["b": "mine", "c": "a"])
    let layout = try SafeTensors.Layout(state)
    #expect(layout.items.map(\.name) == ["a", "b"])
    #expect(layout.aliases == ["c": "a"])
    let read = try rewritten(state)
    #expect(read.metadata == ["b": "mine"])
    #expect(try read["b"]?.bytes() == tied.bytes())
    #expect(read["c"]?.identity == read["a"]?.identity)
  }

  /// The file's own choice stays, as huggingface_hub makes it for names that a model ties to others.
  @Test func theKeptNameStaysTheOneOfTheFile() throws {
    let tied = try bytes(4)
    var state = StateDict(["model.embed.weight": tied, "lm_head.weight": tied], metadata: ["format": "pt"])
    #expect(try SafeTensors.Layout(state).aliases == ["model.embed.weight": "lm_head.weight"])
    let header =
      #"{"__metadata__":{"format":"pt","lm_head.weight":"model.embed.weight"},"model.embed.weight":"#
      + #"{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#
    let file = SafeTensorsFixtures.file(header.utf8, data: 1)
    state = try SafeTensors.read(file)
    #expect(Array(state.names) == ["model.embed.weight", "lm_head.weight"])
    #expect(state.metadata == ["format": "pt"])
    let layout = try SafeTensors.Layout(state)
    #expect(String(decoding: layout.header.dropFirst(8), as: UTF8.self).hasPrefix(header))
    // Untied they are two tensors.
    state["lm_head.weight"] = try bytes(4)
    #expect(try SafeTensors.Layout(state).aliases.isEmpty)
  }

  /// Only what reads as a tensor's name is one.
  @Test(arguments: [
    ("kind", "weight", false), ("best.step", "a.weight", false), ("b", "a.weight", true), ("a", "b", false),
    ("c.weight", "a.weight", true), ("a.b", "a.weight", false), ("a.z", "a.weight", true), ("no.z", "a.weight", false),
    ("weight", "a.weight", true), ("__metadata__", "a.weight", false),
  ])
  func whatIsAnotherName(_ key: String, _ value: String, _ isAlias: Bool) throws {
    let state = StateDict([value: try bytes(4)], metadata: [key: value])
    let fields = #"{"dtype":"U8","shape":[1],"data_offsets":[0,1]}"#
    let header = #"{"__metadata__":{"\#(key)":"\#(value)"},"\#(value)":\#(fields)}"#
    let read = try SafeTensors.read(SafeTensorsFixtures.file(header.utf8, data: 1))
    #expect((read[key] != nil) == isAlias)
    #expect(read.metadata == (isAlias ? nil : state.metadata))
    #expect(try SafeTensors.Layout(read).items.map(\.name) == [value])
  }

  @Test func computedTensorsStayTied() throws {
    let tied = try Tensor(computed: .uint8, [2], by: { $0.initializeMemory(as: UInt8.self, repeating: 7) })
    let read = try rewritten(StateDict(["b": tied, "a": tied]))
    #expect(read["b"]?.identity == read["a"]?.identity)
    #expect(try read["b"]?.bytes() == [7, 7])
  }
}
