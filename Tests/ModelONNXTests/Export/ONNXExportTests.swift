import ModelCheckpoints
import ModelCore
import ModelGraph
import ModelONNX
import TestSupport
import Testing

@Suite struct ONNXExportTests {
  private let convolution = Operation.convolution(
    ConvolutionGeometry(stride: [2, 2], padding: [Margin(1), Margin(0, 1)], dilation: [1, 1]))

  @Test func namesFollowModules() throws {
    let graph = try exported([1, 3, 8, 8]) { graph, inputs in
      let made = try graph.call("model.0.conv", inputs) { graph in
        let weight = graph.addWeight("model.0.conv.weight", Graph.Weight(tensor: try Tensor(.float32, [4, 3, 3, 3])))
        return [try graph.emit(convolution, inputs[0], weight)]
      }
      return try graph.call("model.0.act", made) { [try $0.emit(.unary(.silu), made[0])] }
    }
    #expect(graph.nodes.map(\.name) == ["/model.0/conv/Conv", "/model.0/act/Sigmoid", "/model.0/act/Mul"])
    #expect(graph.nodes[0].inputs == ["images", "model.0.conv.weight"])
    #expect(graph.nodes[0].attribute("pads")?.ints == [1, 0, 1, 1])
    #expect(graph.nodes[2].outputs == ["output0"])
    #expect(graph.valueInfo.map(\.name) == ["/model.0/conv/Conv_output_0", "/model.0/act/Sigmoid_output_0"])
    #expect(graph.valueInfo[0].kind == .tensor(.float32, shape: [.fixed(1), .fixed(4), .fixed(4), .fixed(4)]))
    #expect(graph.inputs.map(\.name) == ["images"])
  }

  @Test func namesAreUnique() throws {
    let graph = try exported([2, 3]) { graph, inputs in
      [try graph.emit(.unary(.exp), graph.emit(.unary(.exp), inputs[0]))]
    }
    #expect(graph.nodes.map(\.name) == ["/Exp", "/Exp_1"])
  }

  @Test func whatDoesNotDependOnElementsIsComputed() throws {
    let graph = try exported([1, 3, 4, 5]) { graph, inputs in
      let columns = try graph.emit(.coordinates(axis: 3), inputs[0])
      let half = graph.addConstant(try Tensor([Float(0.5)], []))
      return [try graph.emit(.binary(.add), inputs[0], graph.emit(.binary(.add), columns, half))]
    }
    #expect(graph.operations == ["Add"])
    #expect(try graph.initializers.map { try $0.tensor().doubles() } == [[0.5, 1.5, 2.5, 3.5, 4.5]])
  }

  @Test func whatIsNotNeededIsLeftOut() throws {
    let graph = try exported([2, 3]) { graph, inputs in
      let weight = graph.addWeight("unused", Graph.Weight(tensor: try Tensor(.float32, [3])))
      _ = try graph.emit(.binary(.add), inputs[0], weight)
      let same = try graph.emit(.dropout(Dropout(probability: 0.5)), inputs[0])
      return [try graph.emit(.unary(.relu), graph.emit(.reshape([.fixed(2), .fixed(3)]), same))]
    }
    #expect(graph.operations == ["Relu"])
    #expect(graph.initializers.isEmpty)
  }

  @Test func outputsHaveNamesOfTheirOwn() throws {
    let graph = try exported([2, 3]) { graph, inputs in
      let y = try graph.emit(.unary(.relu), inputs[0])
      return [y, y, inputs[0], graph.addConstant(try Tensor([Float(1)], [1]))]
    }
    #expect(graph.outputs.map(\.name) == ["output0", "output1", "output2", "output3"])
    #expect(graph.operations == ["Relu", "Identity", "Identity", "Identity"])
    #expect(graph.nodes[0].outputs == ["output0"] && graph.nodes[1].inputs == ["output0"])
  }

  @Test func equalConstantsAreOne() throws {
    let graph = try exported([2, 3]) { graph, inputs in
      func two(_ graph: inout Graph) throws -> Graph.Value { graph.addConstant(try Tensor([Float(2)], [])) }
      return [try graph.emit(.binary(.add), graph.emit(.binary(.multiply), inputs[0], two(&graph)), two(&graph))]
    }
    #expect(graph.initializers.count == 1)
  }

  @Test func zerosBeforeAConvolutionAreItsPadding() throws {
    let graph = try exported([1, 3, 8, 8]) { graph, inputs in
      let weight = graph.addWeight("weight", Graph.Weight(tensor: try Tensor(.float32, [4, 3, 3, 3])))
      let margins = [Margin(0), Margin(0), Margin(1, 2), Margin(0, 1)]
      return [try graph.emit(convolution, graph.emit(.pad(margins, .constant(0)), inputs[0]), weight)]
    }
    #expect(graph.operations == ["Conv"])
    #expect(graph.nodes[0].attribute("pads")?.ints == [2, 0, 3, 2])
  }

  @Test func weightsStayAsTheyAre() throws {
    let plane = try exported(.linear, [2, 3], weights: [4, 3], [4])
    #expect(plane.operations == ["Gemm"])
    #expect(plane.nodes[0].attribute("transB")?.int == 1)
    let cube = try exported(.linear, [2, 5, 3], weights: [4, 3], [4])
    #expect(cube.operations == ["Transpose", "MatMul", "Add"])
    #expect(cube.initializers.map(\.shape) == [[4, 3], [4]])
  }

  // MARK: Refusals

  @Test(arguments: [11, 23]) func opsetsOutOfRange(opset: Int) {
    #expect(refusal { _ = try exported(.unary(.relu), [2], opset: opset) } == "opset \(opset) is none of 12 to 22")
  }

  @Test func whatIsNotExported() {
    #expect(
      refusal {
        _ = try exported(.batchNorm(.training(momentum: 0.1), eps: 1e-5), [2, 3], weights: [3], [3], [3], [3])
      }
        == "layer: a batch norm in training is not exported")
    #expect(
      refusal { _ = try exported(.gather(axis: 2, batchAxes: 1), [2, 3, 4], weights: [2, 5]) }
        == "layer: a gather along axis 2 behind 1 batch axes is not exported")
    let lstm = Operation.recurrence(Recurrence(.lstm, hasBias: false, isProjected: true))
    #expect(
      refusal { _ = try exported(lstm, [2, 3, 4], weights: [3, 2], [3, 5], [20, 4], [20, 2], [2, 5]) }
        == "layer: ONNX has no LSTM whose states are projected")
    let many = AdaptivePool(.max, outputSize: [300])
    #expect(
      refusal { _ = try exported(.adaptivePool(many), [1, 2, 500]) }
        == "layer: an adaptive maximum of 300 windows of several sizes is not exported")
  }

  @Test func gridSampleNeedsItsOpset() {
    #expect(
      refusal { _ = try exported(.gridSample(alignsCorners: false), [1, 2, 3, 4], weights: [1, 5, 6, 2], opset: 15) }
        == "layer: opset 15 has no GridSample, which its attention needs; export it with --opset 16 or more")
  }

  @Test func dynamicAxesThatAreNotThere() {
    #expect(
      refusal { _ = try exported(.unary(.relu), [2], dynamic: [.init("batch", axis: 1)]) }
        == "batch: there is no axis 1 of input 0")
  }
}
