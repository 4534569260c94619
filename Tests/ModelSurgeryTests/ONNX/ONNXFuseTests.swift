import ModelCheckpoints
import ModelCore
import ModelSurgery
import Testing

@Suite struct ONNXFuseTests {
  private func tensor(_ name: String, _ values: [Float], _ shape: [Int]? = nil) throws -> ONNXTensor {
    try ONNXTensor(name, try Tensor(values, shape ?? [values.count]))
  }

  private func statistics(variance: Float = 3) throws -> [ONNXTensor] {
    [
      try tensor("scale", [2, 3]), try tensor("bias", [1, -1]), try tensor("mean", [0.5, 0.25]),
      try tensor("var", [variance, 8]),
    ]
  }

  private let norm = ONNXNode(
    "BatchNormalization", ["c", "scale", "bias", "mean", "var"], ["y"], name: "bn",
    attributes: [ONNXAttribute("epsilon", Float(1))])

  private func model(
    _ nodes: [ONNXNode], _ weights: [ONNXTensor], irVersion: Int = 8, inputs: [String] = ["x"]
  ) -> ONNXModel {
    let graph = ONNXGraph(
      name: "g", nodes: nodes, initializers: weights, inputs: inputs.map { ONNXValueInfo($0, .float32, shape: nil) },
      outputs: [ONNXValueInfo("y", .float32, shape: nil)], valueInfo: [ONNXValueInfo("c", .float32, shape: nil)])
    return ONNXModel(graph: graph, opset: 17, irVersion: irVersion, producerName: "", producerVersion: "")
  }

  @Test func aBatchNormGoesIntoItsConvolution() throws {
    let weight = try tensor("conv.weight", [1, 2, 3, 4], [2, 2, 1])
    var model = model(
      [ONNXNode("Conv", ["x", "conv.weight"], ["c"], name: "conv"), norm], [weight] + (try statistics()))
    let report = try model.fuse()
    #expect(report.fused.map(\.conv) == ["conv"] && report.fused.map(\.bn) == ["bn"] && report.refused.isEmpty)
    #expect(report.parametersBefore == 8 && report.parametersAfter == 6)
    #expect(model.graph.nodes.map(\.outputs) == [["y"]] && model.graph.valueInfo.isEmpty)
    #expect(model.graph.initializers.map(\.name) == ["conv.weight", "conv.bias"])
    // 2 / √(3 + 1) and 3 / √(8 + 1) are both 1.
    #expect(try model.graph.initializers[0].tensor().floats() == [1, 2, 3, 4])
    #expect(try model.graph.initializers[1].tensor().floats() == [0.5, -1.25])
  }

  @Test func aSharedWeightIsCopied() throws {
    let weight = try tensor("w", [1, 2, 3, 4], [2, 2, 1])
    let double = ONNXNode("Mul", ["c", "two"], ["y"], name: "double")
    var model = model(
      [
        ONNXNode("Conv", ["x", "w"], ["c"], name: "conv"), ONNXNode("Conv", ["x", "w"], ["z"], name: "other"), double,
      ], [weight, try tensor("two", [2])])
    let report = try model.fuse()
    #expect(report.absorbed.map(\.node) == ["double"] && model.graph.nodes[0].inputs == ["x", "w.fused"])
    #expect(try model.stateDict()["w.fused"]?.floats() == [2, 4, 6, 8])
    #expect(try model.stateDict()["w"]?.floats() == [1, 2, 3, 4])
  }

  @Test func everyChannelOfAProductIsAColumn() throws {
    let weight = try tensor("w", [1, 2, 3, 4], [2, 2])
    let scale = ONNXNode("Mul", ["c", "s"], ["y"], name: "scale")
    var model = model(
      [ONNXNode("MatMul", ["x", "w"], ["c"], name: "fc"), scale], [weight, try tensor("s", [10, 100])])
    _ = try model.fuse()
    #expect(try model.stateDict()["w"]?.floats() == [10, 200, 30, 400])
    #expect(model.graph.nodes.map(\.operation) == ["MatMul"])
  }

  @Test func initializersThatCallersMaySetAreNoConstants() throws {
    let weight = try tensor("w", [1, 2, 3, 4], [2, 2, 1])
    for (version, fuses) in [(3, true), (4, false)] {
      var model = model(
        [ONNXNode("Conv", ["x", "w"], ["c"], name: "conv"), norm], [weight] + (try statistics()), irVersion: version,
        inputs: ["x", "w", "scale", "bias", "mean", "var"])
      let report = try model.fuse()
      #expect(report.fused.isEmpty == !fuses)
      if fuses { #expect(model.graph.inputs.map(\.name) == ["x", "w", "w.bias"]) }
    }
  }

  @Test func aVarianceBelowZeroIsRefused() throws {
    let weight = try tensor("w", [1, 2, 3, 4], [2, 2, 1])
    var model = model(
      [ONNXNode("Conv", ["x", "w"], ["c"], name: "conv"), norm], [weight] + (try statistics(variance: -2)))
    let report = try model.fuse()
    #expect(report.refused.map(\.conv) == ["conv"] && report.refused[0].reason.contains("below zero"))
    #expect(model.graph.nodes.count == 2)
  }
}
