import ModelCore
import TestSupport
import Testing

/// What is done to weights is done alike to modules, state dicts and graphs.
@Suite struct WeightContainerTests {
  private func module() throws -> Module {
    var conv = Module(
      ClassName("torch.nn.modules.conv", "Conv2d"),
      layer: .convolution(Convolution(inChannels: 1, outChannels: 2, kernelSize: [1, 1])))
    conv.parameters["weight"] = Parameter(try Tensor([1, 2], [2, 1, 1, 1]))
    var norm = Module(
      ClassName("torch.nn.modules.batchnorm", "BatchNorm2d"),
      layer: .batchNorm(BatchNorm(rank: 2, features: 2, eps: 0.5)))
    norm.parameters["weight"] = Parameter(try Tensor([1, 1]), requiresGrad: false)
    norm.buffers["running_mean"] = try Tensor([0, 0])
    norm.buffers["hidden"] = try Tensor([7])
    norm.nonPersistentBuffers = ["hidden"]
    return Module(ClassName("a", "A"), children: ["conv": conv, "again": conv, "norm": norm])
  }

  @Test func everyWeightOnce() throws {
    let weights = try module().namedWeights()
    #expect(weights.map(\.name) == ["conv.weight", "norm.weight", "norm.running_mean", "norm.hidden"])
    #expect(
      weights.map(\.role) == [.parameter(requiresGrad: true), .parameter(requiresGrad: false), .buffer, .buffer])
    #expect(weights.map(\.isConv2dWeight) == [true, false, false, false])
    #expect(try module().batchNormEps().map(\.eps) == [0.5])
    let state = try module().stateDict()
    #expect(state.namedWeights().map(\.name) == ["conv.weight", "norm.weight", "norm.running_mean"])
    #expect(state.namedWeights().map(\.isParameter) == [true, true, false])
    #expect(state.batchNormEps().isEmpty)
  }

  @Test func changesReachEveryPlace() throws {
    func check(_ container: some WeightContainer, names: [String]) throws {
      var container = container
      var seen: [String] = []
      try container.updateWeights(
        where: { $0.isParameter },
        change: { weights in
          seen = weights.map(\.name)
          for index in weights.indices { weights[index].tensor = try Tensor(.float32, weights[index].tensor.shape) }
        })
      #expect(seen == names)
      for (name, tensor) in container.stateDict() where name.hasSuffix("weight") {
        #expect(try tensor.doubles().allSatisfy { $0 == 0 }, "\(name)")
      }
    }
    try check(module(), names: ["conv.weight", "norm.weight"])
    try check(Model.module(module()), names: ["conv.weight", "norm.weight"])
    try check(module().stateDict(), names: ["conv.weight", "norm.weight"])
  }

  @Test func whatThrowsLeavesAllAsItWas() throws {
    struct Stop: Error {}
    var changed = try module()
    #expect(throws: Stop.self) {
      try changed.updateWeights(where: { _ in true }, change: { _ in throw Stop() })
    }
    #expect(try changed["conv"]?.parameters["weight"]?.tensor.floats() == [1, 2])
    #expect(try changed["norm"]?.buffers["hidden"]?.floats() == [7])
  }

  @Test func namesAreSet() throws {
    var model = Model.module(try module())
    let new = try Tensor([5, 6], [2, 1, 1, 1])
    model.setTensors { $0 == "again.weight" ? new : nil }
    #expect(try model.stateDict()["conv.weight"]?.floats() == [5, 6])
  }

  @Test func aStateDictIsACollection() throws {
    var state: StateDict = ["a": try Tensor([1]), "b": try Tensor([2, 3])]
    #expect(state.count == 2 && state.map(\.name) == ["a", "b"])
    #expect(state.first { $0.tensor.count == 2 }?.name == "b")
    state.remove("a")
    #expect(state.names == ["b"] && state[0].name == "b")
    #expect(StateDict().isEmpty)
  }

  @Test func validation() throws {
    #expect(refusal { try module().validate() } == "norm: has no bias")
    var conv = try #require(try module()["conv"])
    try conv.validate()
    conv.layer = .convolution(Convolution(inChannels: 1, outChannels: 3, kernelSize: [1, 1]))
    #expect(
      refusal { try conv.validate() } == "its weight has shape [2, 1, 1, 1], its configuration gives [3, 1, 1, 1]")
    conv.layer = .convolution(Convolution(inChannels: 1, outChannels: 2, kernelSize: [1, 1], stride: [0, 1]))
    #expect(refusal { try conv.validate() } == "its configuration is none of a convolution")
  }
}
