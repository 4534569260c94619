import ModelCheckpoints
import ModelCore
import TestSupport
import Testing

/// A model that was replaced by another is written, whatever it and the other are.
@Suite struct ReplacedModelTests {
  private static let identity = Module(ClassName("torch.nn.modules.linear", "Identity"), layer: .identity)

  /// A network that no file held.
  private static func network() throws -> Module {
    let conv = Module(
      ClassName("torch.nn.modules.conv", "Conv2d"),
      layer: .convolution(Convolution(inChannels: 1, outChannels: 2, kernelSize: [1, 1])),
      parameters: ["weight": Parameter(try Tensor([0.5, -0.5], [2, 1, 1, 1]))])
    return Module(
      ClassName("torch.nn.modules.container", "Sequential"), layer: .sequential, isTraining: true,
      children: ["0": conv, "1": identity, "2": conv])
  }

  private func rewritten(_ checkpoint: Checkpoint) throws -> (Checkpoint, PickleGraph) {
    let folder = try TemporaryFolder()
    try checkpoint.write(to: folder["again.pt"])
    let bytes = FileBytes(name: "again.pt", copying: try FileBytes(mapping: folder["again.pt"]).array)
    return (try Checkpoint(bytes), try TorchFile(bytes).graph)
  }

  private func replaced(_ file: String, by model: Model) throws -> (Checkpoint, PickleGraph) {
    var checkpoint = try Checkpoint(contentsOf: TorchFixtures.path(file))
    checkpoint.updateModels { $1 = model }
    return try rewritten(checkpoint)
  }

  /// Whole modules and state dicts, alone in the file and beside other entries, of both formats.
  @Test(arguments: [
    "conv_bn_small.pt", "training_checkpoint.pt", "legacy_module.pt", "nested_state_dict.pt", "protocol0.pt",
    "protocol2.pt", "nested_model_state_dict.pt", "nested_net.pt",
  ])
  func byAModuleAndByAStateDict(file: String) throws {
    let before = try Checkpoint(contentsOf: TorchFixtures.path(file))
    let old = try TorchFile(TorchFixtures.map(file)).graph
    for model in [
      Model.module(try Self.network()), .stateDict(StateDict(["a": try Tensor([1, 2]), "b": try Tensor([3])])),
    ] {
      let (again, graph) = try replaced(file, by: model)
      #expect(Array(again.models.keys) == Array(before.models.keys))
      for (key, written) in again.models { #expect(try written.text() == model.text(), "\(key)") }
      guard before.models[""] == nil else { continue }
      // What stands beside the models is as it was.
      let keys = Set(before.models.keys)
      let others = old.dictionary(old.root) ?? [:]
      let now = try #require(graph.dictionary(graph.root))
      #expect(now.keys == others.keys)
      for (name, value) in others where !keys.contains(where: { $0 == name || $0.hasPrefix(name + ".") }) {
        #expect(now[name].map { text($0, graph) } == text(value, old), "\(name)")
      }
    }
  }

  /// An object alone, as text.
  private func text(_ reference: Int, _ graph: PickleGraph) -> String {
    var graph = graph
    graph.root = reference
    return graph.text
  }

  /// DataParallel's inner model takes its place, with all that was known of it and not understood.
  @Test func byWhatItWraps() throws {
    let inner = Pickled.module(
      "models.Net", parameters: [("w", Pickled.parameter(Pickled.tensor(key: "0", count: 4, shape: [4])))],
      attributes: [("odd", Pickled.global("models.Odd")), ("note", Pickled.text("kept"))])
    let root = Pickled.module("torch.nn.parallel.data_parallel.DataParallel", children: [("module", inner)])
    for body in [root, Pickled.dict([("epoch", Pickled.int(3)), ("model", root)])] {
      var checkpoint = try Checkpoint(Pickled.file(body, storage: 16))
      try checkpoint.updateModels { _, model in model = .module(deParallel(try #require(model.module))) }
      let (again, _) = try rewritten(checkpoint)
      let module = try #require(again.preferred.module)
      #expect(module.className == ClassName("models", "Net"))
      #expect(module.attributes == ["odd": .opaque("models.Odd"), "note": .string("kept")])
      #expect(module.parameters.keys == ["w"])
      #expect(again.entry("epoch") == checkpoint.entry("epoch"))
    }
  }

  /// One object under two keys: each becomes what its own value says.
  @Test func whatWasOneObjectBecomesTwo() throws {
    let net = Pickled.module("models.Net", attributes: [("odd", Pickled.global("models.Odd"))])
    // The module goes into the memo and stands under the second key again.
    let body = Pickled.dict([("ema", net + [0x71, 7]), ("model", [0x68, 7])])
    let original = try Checkpoint(Pickled.file(body, storage: 16))
    #expect(original.models["ema"]?.module?.identity == original.models["model"]?.module?.identity)
    #expect(original.models.count == 2)
    for changed in ["ema", "model"] {
      var checkpoint = original
      try checkpoint.updateModels { key, model in
        if key == changed { try model.change { $0.attributes["note"] = .string("changed") } }
      }
      let (again, _) = try rewritten(checkpoint)
      for key in ["ema", "model"] {
        var expected: OrderedDictionary<String, Attribute> = ["odd": .opaque("models.Odd")]
        if key == changed { expected["note"] = .string("changed") }
        #expect(again.models[key]?.module?.attributes == expected, "\(changed): \(key)")
      }
    }
    // Changed in the same way they stay one.
    var both = original
    try both.updateModels { try $1.change { $0.isTraining = true } }
    let (again, _) = try rewritten(both)
    #expect(again.models["ema"]?.module?.identity == again.models["model"]?.module?.identity)
  }

  @Test func whatWasNeverUnderstoodCannotMove() throws {
    let net = Pickled.module(
      "models.Net",
      children: [
        (
          "a",
          Pickled.module(
            "models.A",
            attributes: [
              ("odd", Pickled.list([Pickled.global("models.Odd")]))
            ])
        )
      ])
    let other = try Checkpoint(Pickled.file(net, storage: 16))
    var checkpoint = try Checkpoint(contentsOf: TorchFixtures.path("conv_bn_small.pt"))
    checkpoint.updateModels { $1 = other.preferred }
    let path = TorchFixtures.path("conv_bn_small.pt").string
    #expect(
      refusal { _ = try rewritten(checkpoint) }
        == "\(path): a: its attribute 'odd' holds what was not understood when it was read (models.Odd), and cannot be "
        + "written anew")
  }
}
