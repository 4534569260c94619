import ModelCheckpoints
import ModelCore
import TestSupport
import Testing

/// What stands at tensors and attributes beside their numbers, and tensors without any.
@Suite struct TensorAttributesTests {
  private func open(_ root: [UInt8]) throws -> Checkpoint { try Checkpoint(Pickled.file(root, storage: 8)) }

  private func rewritten(_ checkpoint: Checkpoint) throws -> Checkpoint {
    let folder = try TemporaryFolder()
    try checkpoint.write(to: folder["out.pt"])
    return try Checkpoint(contentsOf: folder["out.pt"])
  }

  @Test func aSizeStaysASizeInsideAChangedAttribute() throws {
    let size = Pickled.call("torch.Size", [Pickled.tuple([Pickled.int(1), Pickled.int(2)])])
    let root = Pickled.module("some.Net", attributes: [("sizes", Pickled.dict(["a": size, "b": Pickled.int(1)]))])
    var checkpoint = try open(root)
    guard case .module(var module) = checkpoint.preferred else { return #expect(Bool(false), "no module") }
    let key = { Attribute.string($0) }
    #expect(
      module.attributes["sizes"]
        == .dict([.init(key: key("a"), value: .size([1, 2])), .init(key: key("b"), value: .int(1))]))
    module.attributes["sizes"] = .dict([.init(key: key("a"), value: .size([1, 2]))])
    module.attributes["more"] = .tuple([.size([]), .size([3])])
    checkpoint.preferred = .module(module)
    let again = try rewritten(checkpoint).preferred.module
    #expect(again?.attributes["sizes"] == .dict([.init(key: key("a"), value: .size([1, 2]))]))
    #expect(again?.attributes["more"] == .tuple([.size([]), .size([3])]))
  }

  @Test func metaTensorsHaveAShapeAndNoValues() throws {
    let shape = Pickled.tuple([Pickled.int(2), Pickled.int(3)])
    let meta = Pickled.call(
      "torch._utils._rebuild_meta_tensor_no_storage",
      [Pickled.global("torch.float32"), shape, shape, Pickled.bool(true)])
    let state = try open(Pickled.dict(["a.weight": meta])).preferred.stateDict()
    #expect(state["a.weight"]?.shape == [2, 3] && state["a.weight"]?.dtype == .float32)
    #expect(refusal { _ = try state["a.weight"]?.bytes() }?.contains("has no values") == true)
    let hostile = Pickled.call(
      "torch._utils._rebuild_meta_tensor_no_storage",
      [Pickled.global("torch.float32"), Pickled.tuple([Pickled.int(-1)]), shape, Pickled.bool(true)])
    #expect(refusal { _ = try open(Pickled.dict(["a.weight": hostile])) }?.contains("a.weight: ") == true)
  }

  @Test func lazyParametersAreNamed() throws {
    let lazy = Pickled.call("torch.nn.parameter.UninitializedParameter", [Pickled.bool(true)])
    let module = Pickled.module("some.Lazy", parameters: [("weight", lazy)])
    let checkpoint = try open(Pickled.module("some.Net", children: [("a", module)]))
    #expect(checkpoint.uninitialized == ["a.weight"] && checkpoint.leftOut == ["a.weight"])
    #expect(try rewritten(checkpoint).uninitialized == ["a.weight"])
    let state = try open(
      Pickled.dict(["a.weight": lazy, "b.weight": Pickled.tensor(key: "0", count: 2, shape: [2])]))
    #expect(state.uninitialized == ["a.weight"] && state.preferred.stateDict().count == 1)
  }

  @Test func attributesOfAParameterStay() throws {
    let data = Pickled.tensor(key: "0", count: 2, shape: [2])
    let parameter = Pickled.call(
      "torch._utils._rebuild_parameter_with_state",
      [
        data, Pickled.bool(true), Pickled.call("collections.OrderedDict", []),
        Pickled.dict(["sparsity": Pickled.double(0.3)]),
      ])
    var checkpoint = try open(Pickled.module("some.Net", parameters: [("weight", parameter)]))
    let half = try Tensor(.float16, [2])
    checkpoint.updateModels { _, model in model.setTensors { _ in half } }
    let folder = try TemporaryFolder()
    try checkpoint.write(to: folder["out.pt"])
    let text = String(decoding: try FileBytes(mapping: folder["out.pt"]).array, as: UTF8.self)
    #expect(text.contains("_rebuild_parameter_with_state") && text.contains("sparsity"))
    #expect(try Checkpoint(contentsOf: folder["out.pt"]).preferred.stateDict()["weight"]?.dtype == .float16)
  }
}
