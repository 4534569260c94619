import ModelCheckpoints
import ModelCore
import TestSupport
import Testing

@Suite struct SafeTensorsReadTests {
  /// Every fixture's tensors count their bytes up from 0, bool ones 0 1 0 1 ….
  func expectCounting(_ state: StateDict) throws {
    for (name, tensor) in state.tensors {
      let modulus = tensor.dtype == .bool ? 2 : 256
      #expect(try tensor.bytes() == (0..<tensor.byteCount).map { UInt8($0 % modulus) }, "\(name)")
    }
  }

  @Test func allTypesInTheFilesOrder() throws {
    let state = try SafeTensorsFixtures.read("dtypes.safetensors")
    let expected: [DType] = [
      .uint64, .int64, .float64, .complex64, .float32, .uint32, .int32, .bfloat16, .float16, .uint16, .int16,
      .float8E5M2FNUZ, .float8E4M3FNUZ, .float8E8M0FNU, .float8E4M3FN, .float8E5M2, .int8, .uint8, .float4E2M1, .bool,
    ]
    #expect(state.tensors.values.map(\.dtype) == expected)
    for (name, tensor) in state.tensors {
      if tensor.dtype == .float4E2M1 {
        #expect(name == "a.float4_e2m1fn_x2" && tensor.shape == [3, 4])
      } else {
        #expect(name == "a." + tensor.dtype.rawValue && tensor.shape == [3, 2])
      }
    }
    try expectCounting(state)
    #expect(state.metadata == nil)
  }

  @Test func shapes() throws {
    let state = try SafeTensorsFixtures.read("shapes.safetensors")
    #expect(Array(state.names) == ["none.between", "none", "one", "scalar", "many.axes"])
    #expect(
      state.tensors.values.map(\.shape) == [[2, 0, 3], [0], [1], [], [1, 2, 1, 2, 1, 2, 1, 1, 1]])
    try expectCounting(state)
  }

  @Test func anEmptyFile() throws {
    let state = try SafeTensorsFixtures.read("empty.safetensors")
    #expect(state.count == 0 && state.metadata == nil)
  }

  @Test func names() throws {
    let state = try SafeTensorsFixtures.read("names.safetensors")
    let expected = [
      "plain.weight", "", " ", "quote\"", "back\\slash", "slash/", "line\nfeed", "tab\t", "return\r", "bell\u{7}",
      "back\u{8}space", "form\u{c}feed", "null\0", "escape\u{1b}", "delete\u{7f}", "é", "ß", "日本語", "😀", "\u{2028}",
      "\u{feff}", String(repeating: "a", count: 300), "Z", "a", "a.10", "a.9",
    ]
    // One type, so the file's order is that of the names' code points.
    let sorted = expected.sorted { $0.unicodeScalars.lexicographicallyPrecedes($1.unicodeScalars) }
    #expect(Array(state.names) == sorted)
    try expectCounting(state)
  }

  @Test func metadata() throws {
    let state = try SafeTensorsFixtures.read("metadata.safetensors")
    #expect(state.metadata == ["for\tmat \"é\"": "pt\n\u{1}😀/\\"])
    #expect(state["weight"]?.shape == [2, 2])
    try expectCounting(state)
  }

  @Test func tiedTensorsAreOne() throws {
    let state = try SafeTensorsFixtures.read("tied.safetensors")
    #expect(Array(state.names) == ["embed.weight", "head.bias", "head.weight"])
    #expect(state["head.weight"]?.identity == state["embed.weight"]?.identity)
    #expect(state["head.bias"]?.identity != state["embed.weight"]?.identity)
    #expect(state.metadata == nil)
    try expectCounting(state)
  }

  @Test func onlyMetadataThatNameATensorAreAliases() throws {
    let fields = #"{"dtype":"U8","shape":[1],"data_offsets""#
    let header =
      #"{"__metadata__":{"c":"a","d":"c","b":"a","format":"pt","__metadata__":"a"},"a":\#(fields):[0,1]},"b":\#(fields):[1,2]}}"#
    let state = try SafeTensors.read(SafeTensorsFixtures.file(header.utf8, data: 2))
    #expect(Array(state.names) == ["a", "b", "c"])
    #expect(state["c"]?.identity == state["a"]?.identity)
    #expect(state["b"]?.identity != state["a"]?.identity)
    #expect(state.metadata == ["d": "c", "b": "a", "format": "pt", "__metadata__": "a"])
  }

  @Test func theOrderIsThatOfTheData() throws {
    let header =
      #"{"z":{"dtype":"U8","shape":[0],"data_offsets":[1,1]},"c":["U8",[1],[1,2]],"y":["F32",[0],[1,1]],"b":["U8",[1],[0,1]]}"#
    let state = try SafeTensors.read(SafeTensorsFixtures.file(header.utf8, data: 2))
    #expect(Array(state.names) == ["b", "z", "y", "c"])
  }

  @Test func tensorsOutliveTheFilesVariable() throws {
    func tensor() throws -> Tensor? { try SafeTensorsFixtures.read("metadata.safetensors")["weight"] }
    #expect(try tensor()?.bytes() == Array(0..<16))
  }

  /// The reference pads headers so that the data are aligned; not every writer does.
  @Test func dataNeedNotBeAligned() throws {
    for padding in 0..<8 {
      let header =
        String(repeating: " ", count: padding)
        + #"{"d":["F64",[1],[0,8]],"f":["F32",[1],[8,12]],"i":["I64",[1],[12,20]]}"#
      let state = try SafeTensors.read(SafeTensorsFixtures.file(header.utf8, data: 20))
      #expect(try state["d"]?.doubles() == [0] && state["i"]?.doubles() == [0] && state["f"]?.floats() == [0])
    }
  }
}
