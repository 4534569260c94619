import ModelCheckpoints
import ModelCore
import ModelGraph
import ModelONNX
import TestSupport
import Testing

/// The form that an operation takes in an opset.
@Suite struct OpsetTests {
  @Test func functionsThatNewerOpsetsHave() throws {
    func form(_ function: Unary, _ opset: Int) throws -> [String] {
      try exported(.unary(function), [2, 3], opset: opset).operations
    }
    #expect(try form(.hardswish, 13) == ["HardSigmoid", "Mul"])
    #expect(try form(.hardswish, 14) == ["HardSwish"])
    #expect(try form(.mish, 17) == ["Softplus", "Tanh", "Mul"])
    #expect(try form(.mish, 18) == ["Mish"])
    #expect(try form(.gelu(isApproximate: false), 19) == ["Div", "Erf", "Add", "Mul", "Mul"])
    #expect(try form(.gelu(isApproximate: true), 20) == ["Gelu"])
    #expect(try form(.softplus(beta: 2, threshold: 20), 17) == ["Mul", "Softplus", "Div"])
    #expect(try form(.softplus(beta: 1, threshold: 3), 17) == ["Mul", "Softplus", "Div", "Greater", "Where"])
  }

  @Test func normalisations() throws {
    let norm = Operation.layerNorm(axes: 1, eps: 1e-6)
    #expect(try exported(norm, [2, 3], weights: [3], [3], opset: 17).operations == ["LayerNormalization"])
    #expect(
      try exported(norm, [2, 3], weights: [3], [3], opset: 16).operations
        == ["ReduceMean", "Sub", "Mul", "ReduceMean", "Add", "Sqrt", "Div", "Mul", "Add"])
    let groups = Operation.groupNorm(groups: 2, eps: 1e-5)
    #expect(
      try exported(groups, [1, 4, 3, 3], weights: [4], [4]).operations
        == ["Reshape", "InstanceNormalization", "Reshape", "Unsqueeze", "Unsqueeze", "Mul", "Add"])
    #expect(
      try exported(groups, [1, 4, 3, 3], weights: [4], [4], opset: 21).operations == ["GroupNormalization"])
    let channels = Operation.groupNorm(groups: 4, eps: 1e-5)
    #expect(try exported(channels, [1, 4, 3, 3]).operations == ["InstanceNormalization"])
  }

  @Test func axesAreAttributesAtFirst() throws {
    func axes(_ reduction: Reduction, _ opset: Int) throws -> [Int]? {
      let graph = try exported(.reduce(reduction, axes: [1, -1], keepsAxes: false), [2, 3, 4], opset: opset)
      let node = graph.nodes[0]
      return try node.inputs.count > 1 ? graph.integers(node.inputs[1]) : node.attribute("axes")?.ints
    }
    for opset in [12, 13, 17, 18] {
      #expect(try axes(.sum, opset) == [1, -1])
      #expect(try axes(.mean, opset) == [1, -1])
    }
    let sum = Operation.reduce(.sum, axes: [1], keepsAxes: true)
    #expect(try exported(sum, [2, 3], opset: 12).nodes[0].inputs.count == 1)
    #expect(try exported(sum, [2, 3], opset: 13).nodes[0].inputs.count == 2)
    let stack = Operation.stack(axis: 1)
    #expect(
      try exported(stack, [2, 3], weights: [2, 3], opset: 12).first("Unsqueeze")?.attribute("axes")?.ints == [1])
    #expect(try exported(stack, [2, 3], weights: [2, 3], opset: 13).first("Unsqueeze")?.inputs.count == 2)
    let split = Operation.split(axis: 1, .sizes([1, 2]))
    #expect(try exported(split, [2, 3], opset: 12).nodes[0].attribute("split")?.ints == [1, 2])
    #expect(try exported(split, [2, 3], opset: 13).nodes[0].inputs.count == 2)
  }

  @Test func softmaxOfAnInnerAxis() throws {
    let softmax = Operation.softmax(axis: 1, isLogarithm: false)
    #expect(try exported(softmax, [2, 3, 4], opset: 12).operations == ["Transpose", "Softmax", "Transpose"])
    #expect(try exported(softmax, [2, 3, 4], opset: 13).operations == ["Softmax"])
    #expect(try exported(softmax, [2, 3], opset: 12).operations == ["Softmax"])
  }

  @Test func resizing() throws {
    let double = Operation.resize(Resize(.scale([2])))
    let old = try exported(double, [1, 2, 3, 4], opset: 12)
    #expect(old.nodes[0].inputs.count == 3 && !old.nodes[0].inputs[1].isEmpty)
    let new = try exported(double, [1, 2, 3, 4], opset: 13)
    #expect(new.nodes[0].inputs[1].isEmpty)
    #expect(try new.initializers.map { try $0.tensor().doubles() } == [[1, 1, 2, 2]])
    let odd = try exported(.resize(Resize(.size([5, 7]), mode: .linear)), [1, 2, 3, 4])
    #expect(try odd.integers(odd.nodes[0].inputs[3]) == [1, 2, 5, 7])
  }

  @Test func padding() throws {
    let circular = Operation.pad([Margin(0), Margin(1, 2)], .circular)
    #expect(try exported(circular, [2, 5], opset: 18).operations == ["Slice", "Slice", "Concat"])
    #expect(try exported(circular, [2, 5], opset: 19).first("Pad")?.attribute("mode")?.text == "wrap")
  }

  @Test func poolsThatReachBeyond() throws {
    let pool = Pool(.max, kernelSize: [3, 3], stride: [2, 2], ceilMode: true)
    let graph = try exported(.pool(pool), [1, 2, 6, 7])
    #expect(graph.nodes[0].attribute("pads")?.ints == [0, 0, 1, 0])
    #expect(graph.nodes[0].attribute("ceil_mode") == nil)
    let mean = try exported(.adaptivePool(AdaptivePool(.average, outputSize: [2, 3])), [1, 2, 5, 6])
    #expect(mean.operations == ["Transpose", "MatMul", "Transpose", "MatMul"])
  }

  @Test func versionsOfTheFormat() throws {
    for (opset, version) in [(12, 8), (18, 8), (19, 9), (20, 9), (21, 10), (22, 10)] {
      var graph = Graph()
      let x = graph.addInput("x")
      graph.outputs = [try graph.emit(.unary(.relu), x)]
      let model = try ONNXModel(exporting: [TensorType(.float32, [2])], ONNXExportOptions(opset: opset)) { _ in graph }
      #expect(model.irVersion == version && model.opset == opset)
    }
  }
}
