import ModelCore
import Testing

/// Walking and changing a tree in which modules and parameters are shared.
@Suite struct ModuleTests {
  static let relu = Module(
    ClassName("torch.nn.modules.activation", "ReLU"), layer: .activation(Activation(.relu)))

  /// root(first: block(conv, act), second: the same block, act: the same ReLU, tied: a module with the conv's weight)
  private func tree() throws -> Module {
    let weight = Parameter(try Tensor([1, 2]))
    let conv = Module(
      ClassName("torch.nn.modules.conv", "Conv2d"),
      parameters: ["weight": weight, "bias": Parameter(try Tensor([3]), requiresGrad: false)])
    let block = Module(ClassName("models.common", "Conv"), children: ["conv": conv, "act": Self.relu])
    let tied = Module(
      ClassName("", "Tied"), parameters: ["weight": weight],
      buffers: ["mean": try Tensor([4]), "mask": try Tensor([5])], nonPersistentBuffers: ["mask"])
    return Module(
      ClassName("", "Net"), buffers: ["own": try Tensor([6])],
      children: ["first": block, "second": block, "act": Self.relu, "tied": tied])
  }

  @Test func modulesAreVisitedOnceInPyTorchsOrder() throws {
    var paths: [String] = []
    try tree().forEachModule { path, _ in paths.append(path) }
    #expect(paths == ["", "first", "first.conv", "first.act", "tied"])
  }

  @Test func parametersAreVisitedOnce() throws {
    var names: [String] = []
    try tree().forEachParameter { name, _ in names.append(name) }
    #expect(names == ["first.conv.weight", "first.conv.bias"])
  }

  @Test func equalModulesAreDistinctUnlessTheyAreTheSame() {
    let one = Module(ClassName("", "A"))
    let two = Module(ClassName("", "A"))
    let root = Module(ClassName("", "Root"), children: ["a": one, "b": two, "c": one])
    var paths: [String] = []
    root.forEachModule { path, _ in paths.append(path) }
    #expect(paths == ["", "a", "b"])
    var copy = root
    copy.isTraining = true
    #expect(copy.identity == root.identity)
  }

  @Test func stateDictHasTheTensorsUnderEveryName() throws {
    let state = try tree().stateDict()
    #expect(
      Array(state.names) == [
        "own", "first.conv.weight", "first.conv.bias", "second.conv.weight", "second.conv.bias", "tied.weight",
        "tied.mean",
      ])
    #expect(state["first.conv.weight"]?.identity == state["tied.weight"]?.identity)
    #expect(state.metadata == nil)
  }

  @Test func changesAppearInEveryPlace() throws {
    var root = try tree()
    let original = root
    var visited: [String] = []
    root.updateModules { path, module in
      visited.append(path)
      module.isTraining = true
      if module.className.name == "Conv2d" { module.parameters["bias"] = nil }
    }
    #expect(visited == ["", "first", "first.conv", "first.act", "tied"])
    for path in ["", "first", "first.conv", "second", "second.conv", "second.act", "act", "tied"] {
      #expect(root[path]?.isTraining == true, "\(path)")
      #expect(original[path]?.isTraining == false, "\(path)")
    }
    #expect(root["second.conv"]?.parameters.keys == ["weight"])
    #expect(original["second.conv"]?.parameters.keys == ["weight", "bias"])
    #expect(root["first"]?.identity == root["second"]?.identity)
  }

  @Test func aParentMayChangeItsChildrenBeforeTheyAreVisited() throws {
    var root = try tree()
    var visited: [String] = []
    root.updateModules { path, module in
      visited.append(path)
      module.children["act"] = nil
      if path.isEmpty { module.children["new"] = Module(ClassName("", "New")) }
    }
    #expect(visited == ["", "first", "first.conv", "tied", "new"])
    #expect(root["second.act"] == nil)
    #expect(root["act"] == nil)
  }

  @Test func anErrorStopsTheWalk() throws {
    struct Stop: Error {}
    var root = try tree()
    var visited = 0
    #expect(throws: Stop.self) {
      try root.updateModules { path, _ in
        visited += 1
        if path == "first.conv" { throw Stop() }
      }
    }
    #expect(visited == 3)
    #expect(throws: Stop.self) { try root.forEachModule { _, _ in throw Stop() } }
  }

  @Test func paths() throws {
    let root = try tree()
    #expect(root[""]?.className.name == "Net")
    #expect(root["first.conv"]?.className.name == "Conv2d")
    #expect(root["first.missing"] == nil)
    #expect(root["first.conv.weight"] == nil)
  }
}
