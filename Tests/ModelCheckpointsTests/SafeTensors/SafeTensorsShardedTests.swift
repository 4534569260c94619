import ModelCheckpoints
import ModelCore
import SystemPackage
import TestSupport
import Testing

@Suite struct SafeTensorsShardedTests {
  func refusal(_ index: String, _ folder: TemporaryFolder) throws -> String? {
    let path = try folder.write(index, to: "model.safetensors.index.json")
    do {
      _ = try SafeTensors.readSharded(index: FileBytes(mapping: path), path: path)
      return nil
    } catch let error as ModelError {
      #expect(!error.description.contains { $0.isNewline })
      #expect(error.description.hasPrefix(folder.path.string))
      return String(error.description.dropFirst(folder.path.string.count + 1))
    }
  }

  @Test func shardsAreOneStateDictInTheIndexsOrder() throws {
    let path = SafeTensorsFixtures.folder.appending("sharded").appending("model.safetensors.index.json")
    let state = try SafeTensors.readSharded(index: FileBytes(mapping: path), path: path)
    #expect(Array(state.names) == ["a.weight", "a.bias", "b.weight"])
    #expect(state.tensors.values.map(\.dtype) == [.bfloat16, .float16, .float32])
    #expect(try state["b.weight"]?.bytes() == Array(0..<16))
    #expect(state.metadata == ["origin": "test"])
  }

  @Test func anyFormatOfShardsWillDo() throws {
    let folder = try TemporaryFolder()
    let text =
      #"{"weight_map":{"b":"two.bin","a":"one.bin","c":"two.bin"},"metadata":{"total_size":1.5e10},"more":[null]}"#
    let path = try folder.write(text, to: "pytorch_model.bin.index.json")
    _ = try folder.write("1", to: "one.bin")
    _ = try folder.write("2", to: "two.bin")
    var opened: [String] = []
    let tensor = try Tensor(.uint8, [1])
    let state = try SafeTensors.readSharded(index: FileBytes(mapping: path), path: path) { shard in
      opened.append(shard.string)
      return StateDict(
        shard.string.hasSuffix("one.bin") ? ["a": tensor] : ["c": tensor, "b": tensor, "unlisted": tensor])
    }
    #expect(opened == [folder["two.bin"].string, folder["one.bin"].string])
    #expect(Array(state.names) == ["b", "a", "c", "unlisted"])
  }

  @Test func tiedTensorsOfAShardAreRestored() throws {
    let folder = try TemporaryFolder()
    try SafeTensors.write(try SafeTensorsFixtures.read("tied.safetensors"), to: folder["s.safetensors"])
    let text = #"{"weight_map":{"head.bias":"s.safetensors","embed.weight":"s.safetensors"}}"#
    let path = try folder.write(text, to: "model.safetensors.index.json")
    let state = try SafeTensors.readSharded(index: FileBytes(mapping: path), path: path)
    #expect(Array(state.names) == ["head.bias", "embed.weight", "head.weight"])
    #expect(state["head.weight"]?.identity == state["embed.weight"]?.identity)
  }

  @Test func shardsElsewhereAreRefused() throws {
    let folder = try TemporaryFolder()
    for name in ["../a", "/etc/passwd", "x/a", "a/", ".", "..", "", "a\\\\b", "a\\u0000"] {
      let message = try refusal(#"{"weight_map":{"w":"\#(name)"}}"#, folder)
      #expect(
        message?.hasPrefix("model.safetensors.index.json: byte 19: w: the shard `") == true
          && message?.hasSuffix("is not a plain file name; shards can only lie in the folder of the index") == true,
        "\(name): \(message ?? "accepted")")
    }
  }

  @Test func badIndexesAreRefused() throws {
    let folder = try TemporaryFolder()
    try SafeTensors.write(StateDict(["w": Tensor(.uint8, [1]), "x": Tensor(.uint8, [1])]), to: folder["a.safetensors"])
    try SafeTensors.write(StateDict(["x": Tensor(.uint8, [1])]), to: folder["b.safetensors"])
    func file(_ name: String) -> String { folder["\(name).safetensors"].string }
    #expect(try refusal(#"{"weight_map":{"w":"a.safetensors"}}"#, folder) == nil)
    #expect(try refusal(#"{"weight_map":{}}"#, folder)?.contains("names no tensors") == true)
    #expect(
      try refusal(#"{"weight_map":{"w":"c.safetensors"}}"#, folder)
        == "c.safetensors: does not exist, but the index `\(folder["model.safetensors.index.json"])` names it; "
        + "all shards belong into the folder of the index")
    #expect(
      try refusal(#"{"weight_map":{"w":"a.safetensors","v":"b.safetensors"}}"#, folder)?.hasPrefix(
        "b.safetensors: v: is not in this shard, where the index `") == true)
    #expect(
      try refusal(#"{"weight_map":{"w":"a.safetensors","x":"b.safetensors"}}"#, folder) == nil)
    for (index, reason) in [
      ("", "byte 0: JSON ends where an object should stand"),
      ("[]", "byte 0: `[` stands in the JSON where an object should"),
      ("{}", "has no `weight_map`, so it is no index"),
      (#"{"weight_map":[]}"#, "byte 14: `[` stands in the JSON where an object should"),
      (#"{"weight_map":{"w":1}}"#, "byte 19: `1` stands in the JSON where the name of a shard should"),
      (#"{"weight_map":{}} x"#, "byte 18: `x` stands in the JSON where the end should"),
      (#"{"weight_map":{},"weight_map":{}}"#, "byte 17: `weight_map` occurs twice"),
      (#"{"weight_map":{"w":"a","w":"a"}}"#, "byte 23: the tensor `w` occurs twice"),
      (#"{"weight_map":{"w":"a"},}"#, "byte 24: `}` stands in the JSON where a name should"),
      (#"{"metadata":{"a":"1","a":"2"},"weight_map":{}}"#, "byte 21: the metadata key `a` occurs twice"),
      (#"{"metadata":1,"weight_map":{}}"#, "byte 12: `1` stands in the JSON where an object should"),
    ] {
      #expect(try refusal(index, folder) == "model.safetensors.index.json: " + reason)
    }
    let cut = try folder.write("{", to: "cut.safetensors")
    #expect(
      try refusal(#"{"weight_map":{"w":"cut.safetensors"}}"#, folder)?.hasPrefix("cut.safetensors: has 1 bytes")
        == true,
      "\(cut)")
  }

  @Test func anUnlistedTensorInTwoShardsIsRefused() throws {
    let folder = try TemporaryFolder()
    let one = try Tensor(.uint8, [1])
    try SafeTensors.write(StateDict(["a": one, "c": Tensor(.uint8, [2])]), to: folder["a.safetensors"])
    try SafeTensors.write(StateDict(["b": one, "c": Tensor(.uint8, [2])]), to: folder["b.safetensors"])
    #expect(
      try refusal(#"{"weight_map":{"a":"a.safetensors","b":"b.safetensors"}}"#, folder)?.hasPrefix(
        "b.safetensors: c: is in several shards, and the index `") == true)
  }

  @Test func recognizesIndexes() throws {
    func recognizes(_ text: String) -> Bool {
      SafeTensors.recognizesIndex(FileBytes(name: "x", copying: Array(text.utf8)))
    }
    #expect(SafeTensors.recognizesIndex(try SafeTensorsFixtures.map("sharded/model.safetensors.index.json")))
    #expect(recognizes(#" {"metadata": {"x": [1]}, "weight_map": {"#))
    #expect(!recognizes(#"{"weight_map": "x"}"#))
    #expect(!recognizes(#"{"metadata": {"weight_map": {}}}"#))
    #expect(!recognizes("[]"))
    #expect(!recognizes(""))
    #expect(!SafeTensors.recognizesIndex(try SafeTensorsFixtures.map("dtypes.safetensors")))
  }
}
