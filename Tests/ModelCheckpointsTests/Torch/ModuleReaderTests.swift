import ModelCheckpoints
import ModelCore
import TestSupport
import Testing

/// Pickled modules as values: identity, sharing, attributes, limits.
@Suite struct ModuleReaderTests {
  static let tensor = Pickled.tensor(key: "0", count: 4, shape: [4])

  private func module(_ root: [UInt8]) throws -> Module {
    try #require(try Checkpoint(Pickled.file(root, storage: 16)).preferred.module)
  }

  @Test func hooksAreAttributesWhereThereAreAny() throws {
    let none = Pickled.call("collections.OrderedDict", [])
    let module = try module(
      Pickled.module(
        "some.where.Net",
        attributes: [
          ("_forward_hooks", none), ("_forward_hooks_with_kwargs", none), ("_is_full_backward_hook", Pickled.none),
          ("hooks", none), ("_forward_pre_hooks", Pickled.call("some.where.Hooks", [])),
        ]))
    #expect(module.attributes.keys == ["hooks", "_forward_pre_hooks"])
  }

  @Test func theParts() throws {
    let mask = Pickled.call("builtins.set", [Pickled.list([Pickled.text("mask")])])
    let module = try module(
      Pickled.module(
        "some.where.Net",
        parameters: [
          ("weight", Pickled.parameter(Self.tensor)), ("frozen", Pickled.parameter(Self.tensor, requiresGrad: false)),
          ("bias", Pickled.none),
        ], buffers: [("mean", Self.tensor), ("mask", Self.tensor), ("gone", Pickled.none)],
        children: [("child", Pickled.module("some.where.Leaf")), ("empty", Pickled.none)],
        attributes: [("stride", Pickled.int(2)), ("_non_persistent_buffers_set", mask)]))
    #expect(module.className == ClassName("some.where", "Net"))
    #expect(module.layer == .opaque)
    #expect(module.parameters.keys == ["weight", "frozen"])
    #expect(module.parameters["weight"]?.requiresGrad == true)
    #expect(module.parameters["frozen"]?.requiresGrad == false)
    #expect(module.buffers.keys == ["mean", "mask"])
    #expect(module.nonPersistentBuffers == ["mask"])
    #expect(module.children.keys == ["child"])
    #expect(module.attributes["stride"] == .int(2))
    #expect(!module.isTraining)
    #expect(Array(module.stateDict().names) == ["weight", "frozen", "mean"])
  }

  @Test func attributesAsFarAsTheyAreUnderstood() throws {
    let entries: [(String, [UInt8], Attribute)] = [
      ("none", Pickled.none, .none), ("flag", Pickled.bool(true), .bool(true)), ("int", Pickled.int(-5), .int(-5)),
      ("double", Pickled.double(0.5), .double(0.5)), ("text", Pickled.text("same"), .string("same")),
      ("list", Pickled.list([Pickled.int(1)]), .list([.int(1)])),
      ("tuple", Pickled.tuple([Pickled.int(1), Pickled.none]), .tuple([.int(1), .none])),
      (
        "names", [0x7d] + Pickled.int(0) + Pickled.text("cat") + [0x73],
        .dict([.init(key: .int(0), value: .string("cat"))])
      ),
      ("ordered", Pickled.call("collections.OrderedDict", []), .orderedDict([])),
      (
        "pairs", Pickled.call("collections.OrderedDict", []) + Pickled.int(1) + Pickled.none + [0x73],
        .orderedDict([.init(key: .int(1), value: .none)])
      ), ("set", Pickled.call("__builtin__.set", [Pickled.list([Pickled.int(2)])]), .set([.int(2)])),
      ("nothing", Pickled.call("builtins.set", []), .set([])), ("empty", [0x8f], .set([])),
      ("frozen", Pickled.call("builtins.frozenset", [Pickled.list([])]), .frozenSet([])),
      ("several", [0x28] + Pickled.int(3) + Pickled.text("a") + [0x91], .frozenSet([.int(3), .string("a")])),
      ("of text", Pickled.call("builtins.set", [Pickled.text("ab")]), .opaque("builtins.set")),
      ("counter", Pickled.call("collections.Counter", []), .opaque("collections.Counter")),
      ("class", Pickled.global("torch.float32"), .opaque("torch.float32")),
      ("object", Pickled.object("some.Thing", []), .opaque("some.Thing")), ("tensor", Self.tensor, .opaque("")),
      ("bytes", [0x43, 1, 0x61], .opaque("bytes")), ("big", [0x8a, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1], .opaque("integer")),
      ("called", Pickled.call("some.make", [Pickled.int(1)]), .opaque("some.make")),
    ]
    let module = try module(Pickled.module("some.Net", attributes: entries.map { ($0.0, $0.1) }))
    for (name, _, expected) in entries where name != "tensor" {
      #expect(module.attributes[name] == expected, "\(name)")
    }
    let tensor = try #require(module.attributes["tensor"]?.tensorValue)
    #expect(try tensor.bytes() == [UInt8](repeating: 0, count: tensor.byteCount))
  }

  /// `getattr(self, 'forward_fuse')` is a method of the module itself; of another object it is opaque.
  @Test func boundMethods() throws {
    let fused = try Checkpoint(contentsOf: TorchFixtures.path("yolov5_tiny_fused.pt")).preferred.module
    var count = 0
    fused?.forEachModule { _, module in
      if module.attributes["forward"] == .boundMethod("forward_fuse") { count += 1 }
    }
    #expect(count == 6)
    let other = Pickled.call("builtins.getattr", [Pickled.object("some.Thing", []), Pickled.text("run")])
    let module = try module(Pickled.module("some.Net", attributes: [("forward", other)]))
    #expect(module.attributes["forward"] == .opaque("builtins.getattr"))
    let borrowed = Pickled.call("__builtin__.getattr", [Pickled.global("some.Head"), Pickled.text("forward")])
    let borrower = try self.module(Pickled.module("some.Net", attributes: [("detect", borrowed)]))
    #expect(borrower.attributes["detect"] == .unboundMethod(ClassName("some", "Head"), "forward"))
  }

  @Test func anObjectThatOccursTwiceIsOneModule() throws {
    let leaf = Pickled.module("some.Leaf", parameters: [("w", Pickled.parameter(Self.tensor))])
    let root = Pickled.module("some.Net", children: [("a", leaf + [0x71, 7]), ("b", [0x68, 7]), ("c", leaf)])
    let module = try module(root)
    #expect(module["a"]?.identity == module["b"]?.identity)
    #expect(module["a"]?.identity != module["c"]?.identity)
    var count = 0
    module.forEachModule { _, _ in count += 1 }
    #expect(count == 3)
  }

  @Test func aParameterThatOccursTwiceIsOneParameter() throws {
    let weight = Pickled.parameter(Self.tensor) + [0x71, 7]
    let module = try module(
      Pickled.module("some.Net", parameters: [("a", weight), ("b", [0x68, 7]), ("c", Pickled.parameter(Self.tensor))]))
    #expect(module.parameters["a"]?.identity == module.parameters["b"]?.identity)
    #expect(module.parameters["a"]?.identity != module.parameters["c"]?.identity)
    // The same view of the same storage all the same.
    #expect(module.parameters["a"]?.tensor.identity == module.parameters["c"]?.tensor.identity)
  }

  /// Python 2 and protocols 0 and 1 make objects by copyreg._reconstructor.
  @Test func objectsOfTheFirstProtocols() throws {
    let arguments = [Pickled.global("some.Net"), Pickled.global("builtins.object"), Pickled.none]
    let state = Pickled.dict([
      "_parameters": Pickled.emptyDict, "_buffers": Pickled.emptyDict, "_modules": Pickled.emptyDict,
    ])
    let root = Pickled.call("copy_reg._reconstructor", arguments) + state + [0x62]
    #expect(try module(root).className == ClassName("some", "Net"))
  }

  @Test(
    arguments: [
      (Pickled.module("some.Net", parameters: [("w", Pickled.int(1))]), "w: is not a tensor"),
      (Pickled.module("some.Net", buffers: [("b", Pickled.text("x"))]), "b: is not a tensor"),
      (
        Pickled.module("some.Net", children: [("a", Pickled.module("some.Leaf", children: [("b", Pickled.int(1))]))]),
        "a.b: stands among the modules but is none"
      ),
      (
        Pickled.module("some.Net", parameters: [("w", Pickled.tensor(key: "0", count: 4, shape: [5]))]),
        "w: float32 [5] with strides [1] from byte 0 reaches beyond its storage of 16 bytes"
      ),
    ])
  func malformedModules(root: [UInt8], reason: String) {
    let message = refusal { _ = try Checkpoint(Pickled.file(root, storage: 16)) }
    #expect(message == "test.pt: \(reason)", "\(message ?? "accepted")")
  }

  @Test func aModuleInItself() {
    let empty = Pickled.emptyDict
    let root =
      Pickled.global("some.Net") + [0x29, 0x81, 0x71, 9]
      + Pickled.dict([
        "_parameters": empty, "_buffers": empty, "_modules": Pickled.dict(["me": [0x68, 9]]),
      ]) + [0x62]
    let message = refusal { _ = try Checkpoint(Pickled.file(root, storage: 16)) }
    #expect(message == "test.pt: me: the module contains itself")
  }

  @Test func nestingIsLimited() {
    var root = Pickled.module("some.Leaf")
    for _ in 0..<300 { root = Pickled.module("some.Net", children: [("a", root)]) }
    let message = refusal { _ = try Checkpoint(Pickled.file(root, storage: 16)) }
    #expect(message?.hasSuffix("modules are nested deeper than 256") == true, "\(message ?? "accepted")")
  }

  /// Every module holds the one before twice: 2^40 places.
  @Test func sharedModulesAreLimited() {
    var root = Pickled.module("some.Leaf")
    for _ in 0..<40 { root = Pickled.module("some.Net", children: [("a", root + [0x71, 0]), ("b", [0x68, 0])]) }
    let message = refusal { _ = try Checkpoint(Pickled.file(root, storage: 16)) }
    #expect(message?.contains("shared modules unfold to more than 1048576 places") == true, "\(message ?? "accepted")")
  }

  /// One module of a thousand parameters in two thousand places would be two million tensors.
  @Test func sharedTensorsAreLimited() {
    let tensor = Pickled.parameter(Self.tensor)
    let parameters = [("p0", tensor + [0x71, 1])] + (1..<1000).map { ("p\($0)", [0x68, 1] as [UInt8]) }
    let leaf = Pickled.module("some.Leaf", parameters: parameters) + [0x71, 0]
    let children = [("c0", leaf)] + (1..<2000).map { ("c\($0)", [0x68, 0] as [UInt8]) }
    let message = refusal {
      _ = try Checkpoint(Pickled.file(Pickled.module("some.Net", children: children), storage: 16))
    }
    #expect(message?.contains("shared modules unfold to more than") == true, "\(message ?? "accepted")")
  }

  /// A thousand modules with one dict of ten thousand parameters, all None.
  @Test func sharedDictsAreLimited() {
    let entries = (0..<10_000).map { ("p\($0)", Pickled.none) }
    let first = Pickled.dict(entries) + [0x71, 0]
    func leaf(_ parameters: [UInt8]) -> [UInt8] {
      Pickled.object(
        "some.Leaf", [("_parameters", parameters), ("_buffers", Pickled.emptyDict), ("_modules", Pickled.emptyDict)])
    }
    let children = [("c0", leaf(first))] + (1..<1000).map { ("c\($0)", leaf([0x68, 0])) }
    let message = refusal {
      _ = try Checkpoint(Pickled.file(Pickled.module("some.Net", children: children), storage: 16))
    }
    #expect(message?.contains("shared dicts of modules hold too many entries") == true, "\(message ?? "accepted")")
  }
}
