import ModelCheckpoints
import ModelCore
import TestSupport
import Testing

/// Tensors as pickles describe them: what is understood, and every way to describe one wrongly.
@Suite struct TorchObjectsTests {
  /// Reads a state dict with the tensor `w`, over one storage of 16 bytes that counts from 0.
  private func read(_ tensor: [UInt8]) throws -> Tensor? {
    let file = Pickled.archive(Pickled.file(Pickled.dict(["w": tensor])), ["0": (0..<16).map { UInt8($0) }])
    return try Checkpoint(file).preferred.stateDict()["w"]
  }

  private func message(_ tensor: [UInt8]) -> String? { refusal { _ = try read(tensor) } }

  private static let hooks = Pickled.call("collections.OrderedDict", [])
  private static let four = Pickled.tuple([Pickled.int(4)])
  private static let one = Pickled.tuple([Pickled.int(1)])
  private static let float = Pickled.storage(key: "0", count: 4)
  private static let untyped = Pickled.storage("torch.storage.UntypedStorage", key: "0", count: 16)

  private func rebuild(_ function: String, _ arguments: [[UInt8]]) -> [UInt8] {
    Pickled.call("torch._utils.\(function)", arguments)
  }

  @Test(
    arguments: [
      ("DoubleStorage", "float64", 8), ("FloatStorage", "float32", 4), ("HalfStorage", "float16", 2),
      ("BFloat16Storage", "bfloat16", 2), ("LongStorage", "int64", 8), ("IntStorage", "int32", 4),
      ("ShortStorage", "int16", 2), ("CharStorage", "int8", 1), ("ByteStorage", "uint8", 1), ("BoolStorage", "bool", 1),
      ("ComplexDoubleStorage", "complex128", 16), ("ComplexFloatStorage", "complex64", 8),
    ])
  func storageClasses(name: String, dtype: String, width: Int) throws {
    for module in ["torch", "torch.cuda"] {
      let tensor = try read(Pickled.tensor("\(module).\(name)", key: "0", count: 16 / width, shape: [16 / width]))
      #expect(tensor?.dtype.rawValue == dtype)
      #expect(try tensor?.bytes() == (0..<16).map { UInt8($0) })
    }
  }

  @Test(
    arguments: [
      ("float8_e5m2", "float8_e5m2"), ("float8_e4m3fn", "float8_e4m3fn"), ("uint16", "uint16"), ("uint64", "uint64"),
      ("float", "float32"), ("double", "float64"), ("half", "float16"), ("long", "int64"), ("int", "int32"),
      ("short", "int16"), ("cfloat", "complex64"), ("cdouble", "complex128"), ("float8_e8m0fnu", "float8_e8m0fnu"),
    ])
  func dtypeObjects(name: String, dtype: String) throws {
    let tensor = try read(
      rebuild(
        "_rebuild_tensor_v3",
        [
          Self.untyped, Pickled.int(0), Self.one, Self.one, Pickled.bool(false), Self.hooks,
          Pickled.global("torch.\(name)"),
        ]))
    #expect(tensor?.dtype.rawValue == dtype)
  }

  @Test func otherWaysToMakeATensor() throws {
    let plain = Pickled.tensor(key: "0", count: 4, shape: [2, 2])
    #expect(try read(rebuild("_rebuild_tensor", [Self.float, Pickled.int(1), Self.one, Self.one]))?.byteOffset == 4)
    #expect(try read(Pickled.parameter(plain))?.shape == [2, 2])
    #expect(
      try read(rebuild("_rebuild_parameter_with_state", [plain, Pickled.bool(true), Self.hooks, Pickled.emptyDict]))?
        .shape
        == [2, 2])
    let arguments = Pickled.tuple([Self.float, Pickled.int(0), Self.four, Self.one, Pickled.bool(false), Self.hooks])
    for function in ["_rebuild_from_type_v2", "_rebuild_from_type"] {
      let subclass = Pickled.call(
        "torch._tensor.\(function)",
        [
          Pickled.global("torch._utils._rebuild_tensor_v2"), Pickled.global("torch.Tensor"), arguments,
          Pickled.emptyDict,
        ])
      #expect(try read(subclass)?.shape == [4], "\(function)")
    }
    // torch.Size as the shape, and a tensor's metadata that says nothing.
    let size = Pickled.call("torch.Size", [Pickled.list([Pickled.int(4)])])
    #expect(
      try read(
        rebuild(
          "_rebuild_tensor_v2",
          [Self.float, Pickled.int(0), size, Self.one, Pickled.bool(false), Self.hooks, Pickled.none]))?.shape == [4])
  }

  @Test func malformedDescriptions() {
    func v2(
      storage: [UInt8] = Self.float, offset: [UInt8] = Pickled.int(0), shape: [UInt8] = Self.four,
      strides: [UInt8] = Self.one, more: [[UInt8]] = []
    ) -> [UInt8] {
      rebuild("_rebuild_tensor_v2", [storage, offset, shape, strides, Pickled.bool(false), Self.hooks] + more)
    }
    func tuple(_ values: Int...) -> [UInt8] { Pickled.tuple(values.map { Pickled.int($0) }) }
    let many = [Pickled.int(2)] + [[UInt8]](repeating: Pickled.int(1), count: 64)
    let cases: [([UInt8], String)] = [
      (v2(storage: Pickled.none), "has no storage"), (v2(storage: Pickled.int(0)), "has no storage"),
      (v2(offset: Pickled.none), "its offset, shape or strides are no integers"),
      (v2(offset: Pickled.int(.max)), "its offset, shape or strides are no integers"),
      (v2(offset: Pickled.int(-1)), "starts at byte -4 of a storage of 16 bytes"),
      (v2(offset: Pickled.int(1)), "reaches beyond its storage of 16 bytes"),
      (v2(offset: Pickled.int(5)), "starts at byte 20 of a storage of 16 bytes"),
      (v2(shape: Pickled.int(4)), "its offset, shape or strides are no integers"),
      (v2(shape: Pickled.tuple([Pickled.text("4")])), "its offset, shape or strides are no integers"),
      (v2(shape: tuple(-4)), "negative, overflows"),
      (v2(shape: tuple(1 << 40, 1 << 40), strides: tuple(0, 0)), "overflows"),
      (v2(shape: tuple(5)), "reaches beyond its storage of 16 bytes"),
      (v2(shape: tuple(1 << 40)), "reaches beyond its storage of 16 bytes"),
      (v2(shape: tuple(1 << 40), strides: tuple(0)), "unfolds a storage of 16 bytes to 4398046511104 bytes"),
      (v2(strides: tuple(2)), "reaches beyond its storage of 16 bytes"),
      (v2(strides: tuple(-1)), "negative or overflow"), (v2(strides: tuple(1, 1)), "has 1 axes but 2 strides"),
      (v2(shape: Pickled.tuple(many), strides: Pickled.tuple([Pickled.int(2)] + many.dropFirst())), "has 65 axes"),
      (
        v2(more: [Pickled.dict(["conj": Pickled.bool(true)])]),
        "is a conjugate or negative view; resolve it before saving"
      ),
      (v2(more: [Pickled.none, Pickled.none]), "is a tensor of a kind that is not supported"),
      (rebuild("_rebuild_tensor_v2", [Self.float]), "is a tensor of a kind that is not supported"),
      (rebuild("_rebuild_tensor_v2", []), "is a tensor of a kind that is not supported"),
      (rebuild("_rebuild_sparse_tensor", []), "not supported (torch._utils._rebuild_sparse_tensor)"),
      (rebuild("_rebuild_qtensor", []), "not supported (torch._utils._rebuild_qtensor)"),
      (rebuild("_rebuild_meta_tensor_no_storage", []), "not supported"),
      (rebuild("_rebuild_nested_tensor", []), "not supported"),
      (rebuild("_rebuild_wrapper_subclass", []), "not supported"),
      (Pickled.parameter(Pickled.int(1)), "is not a tensor"),
      (Pickled.parameter(Pickled.call("some.f", [])), "is not a tensor"),
      (
        rebuild(
          "_rebuild_tensor_v3",
          [
            Self.untyped, Pickled.int(0), Self.one, Self.one, Pickled.bool(false), Self.hooks,
            Pickled.global("torch.quint8"),
          ]),
        "its element type is not known"
      ),
      (
        rebuild(
          "_rebuild_tensor_v3",
          [Self.untyped, Pickled.int(0), Self.one, Self.one, Pickled.bool(false), Self.hooks, Pickled.text("float")]),
        "its element type is not known"
      ),
      (
        Pickled.call(
          "torch._tensor._rebuild_from_type_v2",
          [Pickled.global("some.function"), Pickled.none, Pickled.tuple([]), Pickled.none]),
        "is a tensor subclass that is not supported"
      ),
    ]
    for (tensor, reason) in cases {
      let message = message(tensor)
      #expect(message?.hasPrefix("test.pt: w: ") == true, "\(message ?? "accepted")")
      #expect(message?.contains(reason) == true, "\(message ?? "accepted"), not \(reason)")
    }
  }

  @Test func parametersWithinParametersAreLimited() {
    var tensor = Pickled.tensor(key: "0", count: 4, shape: [4])
    for _ in 0..<7 { tensor = Pickled.parameter(tensor) }
    #expect(message(tensor) == nil)
    tensor = Pickled.parameter(Pickled.parameter(tensor))
    #expect(message(tensor)?.contains("is not a tensor") == true)
  }
}
