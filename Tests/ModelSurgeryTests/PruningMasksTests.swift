import ModelCore
import ModelSurgery
import Testing

/// Tensors that `torch.nn.utils.prune` keeps as `weight_orig` and `weight_mask`.
@Suite struct PruningMasksTests {
  let values: [Float] = [1, -2, 3, -4, 5, -6, 7, -8]
  let mask: [Float] = [1, 0, 1, 1, 0, 1, 1, 1]

  func state(_ mask: [Float]? = nil) throws -> StateDict {
    try [
      "c.bias": Tensor([1, 2]), "c.weight_orig": Tensor(values, [2, 4, 1, 1]),
      "c.weight_mask": Tensor(mask ?? self.mask, [2, 4, 1, 1]),
    ]
  }

  func masked(hooks: Int = 1) throws -> Module {
    var conv = Module(
      ClassName("torch.nn.modules.conv", "Conv2d"),
      layer: .convolution(
        Convolution(isTransposed: false, inChannels: 4, outChannels: 2, kernelSize: [1, 1], stride: [1, 1])))
    let state = try state()
    conv.parameters["bias"] = state["c.bias"].map { Parameter($0, requiresGrad: false) }
    conv.parameters["weight_orig"] = state["c.weight_orig"].map { Parameter($0) }
    conv.buffers["weight_mask"] = state["c.weight_mask"]
    conv.attributes["weight"] = .tensor(.init(try Tensor([Float](repeating: 0, count: 8), [2, 4, 1, 1])))
    conv.attributes["_forward_pre_hooks"] = .orderedDict(
      (0..<hooks).map { .init(key: .int($0), value: .opaque("torch.nn.utils.prune.L1Unstructured")) })
    var root = Module(ClassName("torch.nn.modules.container", "Sequential"), layer: .sequential)
    root.children["c"] = conv
    return root
  }

  @Test func stateDicts() throws {
    var state = try state()
    #expect(state.hasMasks && state.computedWeights().map(\.name) == ["c.weight"])
    #expect(state.computedWeights()[0].cause == "a pruning mask" && state.computedWeights()[0].isConv2dWeight)
    #expect(state.namedWeights().map(\.isParameter) == [true, true, false])
    #expect(try state.sparsity().zeros == 2 && state.sparsity().elements == 10)
    let masks = try state.applyMasks()
    #expect(masks == ["c.weight": [1, 0, 1, 1, 0, 1, 1, 1]])
    #expect(Array(state.names) == ["c.bias", "c.weight"] && !state.hasMasks)
    #expect(try state["c.weight"]?.doubles() == [1, 0, 3, -4, 0, -6, 7, -8])
    #expect(try state.applyMasks() == [:])
  }

  @Test func modules() throws {
    var root = try masked()
    #expect(try root.hasMasks && root.sparsity().zeros == 2)
    try root.applyMasks()
    let conv = try #require(root["c"])
    #expect(Array(conv.parameters.keys) == ["bias", "weight"] && conv.buffers.isEmpty)
    #expect(conv.parameters["weight"]?.requiresGrad == true)
    #expect(conv.attributes["weight"] == nil && conv.attributes["_forward_pre_hooks"]?.isEmpty == true)
    #expect(try conv.parameters["weight"]?.tensor.doubles() == [1, 0, 3, -4, 0, -6, 7, -8])
  }

  /// Hooks of others, or none, which leave what the forward uses unknown.
  @Test(arguments: [0, 2])
  func otherHooks(count: Int) throws {
    var root = try masked(hooks: count)
    #expect(try !root.hasMasks && root.applyMasks() == [:] && root["c"]?.parameters["weight_orig"] != nil)
    let report = try root.prune(amount: 0.5)
    #expect(report.layers.isEmpty && report.refused.map(\.name) == ["c.weight"])
  }

  @Test func anAmountOfWhatIsLeft() throws {
    // Half of six: the smallest of what the mask left.
    for method in [PruneMethod.l1, .global] {
      var state = try state()
      let report = try state.prune(PruneOptions(amount: .share(0.5), method: method))
      #expect(report.layers.map(\.zeros) == [5] && report.unmasked == ["c.weight"] && report.refused.isEmpty)
      #expect(try state["c.weight"]?.doubles() == [0, 0, 0, 0, 0, -6, 7, -8])
    }
    var state = try state([0, 0, 0, 0, 1, 0, 1, 1])
    // The first slice is gone, so half of the slices is none (a half rounds to even).
    #expect(
      try state.prune(PruneOptions(amount: .share(0.5), method: .structured(norm: 1, axis: 0))).layers[0].zeros == 5)
    state = try self.state([0, 0, 0, 0, 1, 0, 1, 1])
    #expect(try state.prune(PruneOptions(amount: .share(1), method: .random(seed: 1))).layers[0].zeros == 8)
    #expect(throws: ModelError.self) {
      var state = try self.state()
      try state.prune(PruneOptions(amount: .count(7)))
    }
  }

  @Test func otherMasks() throws {
    for var state in [try state([1, 0.5, 1, 1, 1, 1, 1, 1])] {
      let error = #expect(throws: ModelError.self) { try state.prune(amount: 0.5) }
      #expect(error?.subject == "c.weight" && state["c.weight_orig"] != nil)
    }
    var wide = try state()
    wide["c.weight_mask"] = try Tensor([1])
    #expect(!wide.hasMasks && wide.computedWeights().isEmpty)
  }

  @Test(arguments: [
    (["a.weight_g", "a.weight_v"], "a.weight", "weight norm"),
    (["weight_orig", "weight_u", "weight_v"], "weight", "spectral norm"),
    (["a.parametrizations.weight.original0", "a.parametrizations.weight.original1"], "a.weight", "weight norm"),
    (["parametrizations.weight.original", "parametrizations.weight.0._u"], "weight", "spectral norm"),
    (["a.b.parametrizations.weight.original"], "a.b.weight", "parametrisation"),
  ])
  func computed(names: [String], name: String, cause: String) throws {
    let state = StateDict(OrderedDictionary(uniqueKeysWithValues: try names.map { ($0, try Tensor([1])) }))
    let computed = state.computedWeights()
    #expect(computed.map(\.name) == [name] && computed[0].cause == cause && !computed[0].isConv2dWeight)
  }
}
