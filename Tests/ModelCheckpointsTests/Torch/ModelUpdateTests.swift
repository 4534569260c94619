import ModelCheckpoints
import ModelCore
import TestSupport
import Testing

/// What is changed in the models is changed in the file; all else of it stays.
@Suite struct ModelUpdateTests {
  private func rewritten(_ file: String, _ change: (String, inout Model) throws -> Void) throws -> (
    Checkpoint, PickleGraph
  ) {
    let folder = try TemporaryFolder()
    var checkpoint = try Checkpoint(contentsOf: TorchFixtures.path(file))
    try checkpoint.updateModels(change)
    try checkpoint.write(to: folder["changed.pt"])
    let bytes = FileBytes(name: "changed.pt", copying: try FileBytes(mapping: folder["changed.pt"]).array)
    return (try Checkpoint(bytes), try TorchFile(bytes).graph)
  }

  private func changeModule(_ model: inout Model, _ body: (inout Module) throws -> Void) throws {
    guard case .module(var module) = model else { throw ModelError(.invalid, "is no module") }
    try body(&module)
    model = .module(module)
  }

  @Test func aChangedWeight() throws {
    let weight = try Tensor((0..<216).map(Float.init), [8, 3, 3, 3])
    let (again, graph) = try rewritten("yolov5_tiny.pt") { _, model in
      try changeModule(&model) {
        $0.children["model"]?.children["0"]?.children["conv"]?.parameters["weight"]?.tensor = weight
      }
    }
    let before = try Checkpoint(contentsOf: TorchFixtures.path("yolov5_tiny.pt")).preferred.stateDict()
    let after = again.preferred.stateDict()
    #expect(after.names == before.names)
    for (name, tensor) in after.tensors {
      let expected = name == "model.0.conv.weight" ? weight : before[name]
      #expect(try tensor.bytes() == expected?.bytes(), "\(name)")
    }
    #expect(again.preferred.module?["model.0.conv"]?.parameters["weight"]?.requiresGrad == true)
    let original = try TorchFile(TorchFixtures.map("yolov5_tiny.pt")).graph
    #expect(graph.text != original.text)
    #expect(graph.dictionary(graph.root)?.count == original.dictionary(original.root)?.count)
  }

  @Test func partsComeAndGo() throws {
    let (again, _) = try rewritten("yolov5_tiny.pt") { _, model in
      try changeModule(&model) { root in
        root.attributes["note"] = .string("new")
        root.attributes["inplace"] = nil
        root.attributes["pair"] = .tuple([
          .int(1), .double(0.5), .none, .bool(true), .list([]), .dict([.init(key: .int(1), value: .string("x"))]),
        ])
        root.children["model"]?.children["0"]?.children["bn"] = nil
        root.children["model"]?.children["0"]?.attributes["forward"] = .boundMethod("forward_fuse")
        root.children["model"]?.children["0"]?.children["conv"]?.parameters["bias"] = Parameter(
          try Tensor([Float](repeating: 2, count: 8)), requiresGrad: false)
        root.children["model"]?.children["0"]?.children["new"] = Module(
          ClassName("torch.nn.modules.linear", "Identity"), layer: .identity, isTraining: true)
        root.children["model"]?.isTraining = true
      }
    }
    let root = try #require(again.preferred.module)
    #expect(root.attributes["note"] == .string("new"))
    #expect(root.attributes["inplace"] == nil)
    #expect(
      root.attributes["pair"]
        == .tuple([
          .int(1), .double(0.5), .none, .bool(true), .list([]), .dict([.init(key: .int(1), value: .string("x"))]),
        ]))
    let block = try #require(root["model.0"])
    #expect(block.children.keys == ["conv", "act", "new"])
    #expect(block.attributes["forward"] == .boundMethod("forward_fuse"))
    #expect(block["conv"]?.parameters.keys == ["weight", "bias"])
    #expect(block["conv"]?.parameters["bias"]?.requiresGrad == false)
    #expect(try block["conv"]?.parameters["bias"]?.tensor.doubles() == [Double](repeating: 2, count: 8))
    #expect(block["new"]?.layer == .identity)
    #expect(block["new"]?.isTraining == true)
    #expect(root["model"]?.isTraining == true)
    #expect(root["model.1"]?.isTraining == false)
  }

  /// A new Identity has the hooks that PyTorch's module code looks for.
  @Test func newModulesHaveWhatTheirSiblingsHave() throws {
    let (_, graph) = try rewritten("conv_bn_small.pt") { _, model in
      try changeModule(&model) { root in
        root.children["1"] = Module(ClassName("torch.nn.modules.linear", "Identity"), layer: .identity)
      }
    }
    func state(_ reference: Int) -> OrderedDictionary<String, Int> {
      graph.stateDictionary(reference).flatMap { graph.dictionary($0) } ?? [:]
    }
    let children = try #require(state(graph.root)["_modules"].flatMap { graph.dictionary($0) })
    let identity = try #require(children["1"])
    #expect(graph.objectClass(identity) == ClassName("torch.nn.modules.linear", "Identity"))
    let relu = state(try #require(children["2"])).keys.filter { $0.hasPrefix("_") || $0 == "training" }
    #expect(Set(state(identity).keys) == Set(relu))
  }

  @Test func bothModelsOfATrainingCheckpoint() throws {
    let (again, graph) = try rewritten("training_checkpoint.pt") { key, model in
      try changeModule(&model) { $0.attributes["note"] = .string(key) }
    }
    #expect(again.models["ema"]?.module?.attributes["note"] == .string("ema"))
    #expect(again.models["model"]?.module?.attributes["note"] == .string("model"))
    let root = try #require(graph.dictionary(graph.root))
    #expect(root["epoch"].flatMap { graph.int($0) } == 11)
    #expect(root["updates"].flatMap { graph.int($0) } == 345)
    #expect(root["date"].flatMap { graph.text($0) } == "2022-11-22T12:00:00")
  }

  @Test func theOptimizerIsDropped() throws {
    let folder = try TemporaryFolder()
    var checkpoint = try Checkpoint(contentsOf: TorchFixtures.path("training_checkpoint.pt"))
    checkpoint.dropOptimizer()
    try checkpoint.write(to: folder["dropped.pt"])
    let graph = try TorchFile(FileBytes(mapping: folder["dropped.pt"])).graph
    let before = try TorchFile(TorchFixtures.map("training_checkpoint.pt")).graph
    let root = try #require(graph.dictionary(graph.root))
    #expect(root["optimizer"].map { graph.isNone($0) } == true)
    #expect(root.keys == before.dictionary(before.root)?.keys)
    // Its momentum buffers are no longer in the file.
    #expect(graph.storages.count < before.storages.count)
    // A file without one stays as it is.
    var bare = try Checkpoint(contentsOf: TorchFixtures.path("yolov5_tiny.pt"))
    bare.dropOptimizer()
    #expect(bare.preferred.module != nil)
  }

  /// Tensors among the attributes go the way of all others, into other files too.
  @Test func attributesThatAreTensors() throws {
    let donor = try #require(try Checkpoint(contentsOf: TorchFixtures.path("yolov5_tiny.pt")).preferred.module)
    let stride = try #require(donor.attributes["stride"])
    let weight = try Tensor([1, 2, 3])
    let (again, graph) = try rewritten("conv_bn_small.pt") { _, model in
      try changeModule(&model) { root in
        root.attributes["stride"] = stride
        root.attributes["list"] = .list([.tensor(.init(weight, requiresGrad: false)), .tensor(.init(weight)), .int(1)])
        root.buffers["same"] = weight
      }
    }
    let root = try #require(again.preferred.module)
    #expect(try root.attributes["stride"]?.tensorValue?.doubles() == [1])
    guard case .list(let items) = root.attributes["list"], case .tensor(let held) = items[0] else {
      Issue.record("is no list of tensors")
      return
    }
    #expect(held.requiresGrad == false && items.count == 3 && items[2] == .int(1))
    #expect(try items[1].tensorValue?.doubles() == [1, 2, 3])
    // One memory before, one memory after.
    #expect(held.tensor.storage === root.buffers["same"]?.storage)
    #expect(graph.storages.filter { $0.elementCount == 3 }.count == 1)
  }

  /// Dicts of both classes and sets keep their kind, alone and inside of others.
  @Test func dictsAndSets() throws {
    let nested = Attribute.dict([
      .init(key: .string("empty"), value: .set([])),
      .init(key: .frozenSet([.int(1)]), value: .orderedDict([.init(key: .int(2), value: .orderedDict([]))])),
      .init(key: .tuple([.int(1), .none]), value: .list([.frozenSet([]), .set([.string("a"), .int(3)]), .dict([])])),
    ])
    let (again, graph) = try rewritten("conv_bn_small.pt") { _, model in
      try changeModule(&model) { $0.attributes["nested"] = nested }
    }
    #expect(again.preferred.module?.attributes["nested"] == nested)
    // An OrderedDict and two kinds of sets are calls of their classes.
    let classes = graph.calls.compactMap { graph.className($0.callable) }
    #expect(classes.filter { $0 == ClassName("builtins", "set") }.count == 2)
    #expect(classes.filter { $0 == ClassName("builtins", "frozenset") }.count == 2)
    for (part, kind) in [
      (Attribute.set([.list([])]), "list"), (.dict([.init(key: .orderedDict([]), value: .none)]), "dict"),
      (.list([.frozenSet([.tuple([.set([])])])]), "set"),
    ] {
      #expect(
        refusal {
          _ = try rewritten("conv_bn_small.pt") { _, model in try changeModule(&model) { $0.attributes["x"] = part } }
        }?.hasSuffix("its attribute 'x' has a \(kind) as a key of a dict or in a set, where Python takes none") == true)
    }
  }

  @Test func entries() throws {
    var checkpoint = try Checkpoint(contentsOf: TorchFixtures.path("training_checkpoint.pt"))
    let optimizer = try #require(checkpoint.entry("optimizer"))
    #expect(optimizer == .opaque("object"))
    try checkpoint.setEntry("optimizer", to: optimizer)
    #expect(checkpoint.entry("optimizer") == optimizer)
    #expect(
      refusal { try checkpoint.setEntry("epoch", to: .list([optimizer])) }
        == "epoch: what was not understood when it was read (object) cannot be an entry")
    // A model whose entry becomes something else is no model.
    try checkpoint.setEntry("ema", to: .string("gone"))
    #expect(checkpoint.models.keys == ["model"])
    let folder = try TemporaryFolder()
    try checkpoint.write(to: folder["entries.pt"])
    let again = try Checkpoint(contentsOf: folder["entries.pt"])
    #expect(again.models.keys == ["model"])
    #expect(again.entry("ema") == .string("gone"))
    #expect(again.entry("optimizer") == optimizer)
  }

  @Test func aSharedModuleIsChangedInAllItsPlaces() throws {
    let (again, _) = try rewritten("trap_conv_twice.pt") { _, model in
      try changeModule(&model) { root in
        root.updateModules { path, module in
          if path == "0" { module.parameters["bias"]?.requiresGrad = false }
        }
      }
    }
    let root = try #require(again.preferred.module)
    #expect(root["0"]?.identity == root["2"]?.identity)
    #expect(root["2"]?.parameters["bias"]?.requiresGrad == false)
  }

  @Test func stateDictsKeepTheirPlaceOrderAndCompanions() throws {
    let (again, graph) = try rewritten("nested_state_dict.pt") { _, model in
      guard case .stateDict(var state) = model else { return }
      state["module.conv.weight"] = try Tensor([Float](repeating: 1, count: 108), [4, 3, 3, 3])
      state["module.bn.running_mean"] = nil
      state.tensors.updateValue(try Tensor([7]), forKey: "module.conv.extra", insertingAt: 1)
      state["module.last"] = try Tensor([8])
      state.tensors.updateValue(try Tensor([9]), forKey: "module.first", insertingAt: 0)
      model = .stateDict(state)
    }
    #expect(
      Array(again.preferred.stateDict().names) == [
        "module.first", "module.conv.weight", "module.conv.extra", "module.conv.bias", "module.bn.weight",
        "module.bn.bias", "module.bn.running_var", "module.bn.num_batches_tracked", "module.last",
      ])
    #expect(try again.preferred.stateDict()["module.conv.weight"]?.doubles() == [Double](repeating: 1, count: 108))
    let root = try #require(graph.dictionary(graph.root))
    #expect(root.keys == ["epoch", "arch", "state_dict", "optimizer"])
  }

  @Test func tiedEntriesStayTied() throws {
    let (again, _) = try rewritten("legacy.pt") { _, model in
      guard case .stateDict(var state) = model else { return }
      let changed = try Tensor([1, 2, 3, 4])
      state["conv.bias"] = changed
      state["tied"] = changed
      model = .stateDict(state)
    }
    #expect(sharing(again.preferred.stateDict()) == [["conv.weight", "turned"], ["conv.bias", "tied"]])
  }
}
