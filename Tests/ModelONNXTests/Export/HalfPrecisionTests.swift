import ModelCheckpoints
import ModelCore
import ModelGraph
import ModelONNX
import Testing

@Suite struct HalfPrecisionTests {
  private func narrowed(_ operation: ModelGraph.Operation, _ shape: [Int], weights: [Int]...) throws -> ONNXGraph {
    var graph = Graph()
    let x = graph.addInput("x")
    let values = try weights.enumerated().map { index, shape in
      graph.addWeight("weight\(index)", Graph.Weight(tensor: try Tensor(.float32, shape)))
    }
    graph.outputs = try graph.emitAll(operation, [x] + values)
    var model = try ONNXModel(exporting: [TensorType(.float32, shape)]) { _ in graph }
    try model.narrow()
    return model.graph
  }

  @Test func inputsAndOutputsStayWide() throws {
    let graph = try narrowed(.linear, [2, 3], weights: [4, 3])
    #expect(graph.operations == ["Cast", "Gemm", "Cast"])
    #expect(graph.nodes[1].inputs == ["images_float16", "weight0"])
    #expect(graph.nodes[2].outputs == ["output0"])
    #expect(graph.initializers[0].elementType == ONNXElementType(.float16))
    #expect(graph.inputs[0].kind == .tensor(.float32, shape: [.fixed(2), .fixed(3)]))
    #expect(graph.valueInfo.map(\.name) == ["images_float16", "output0_float16"])
  }

  @Test func factorsStayWide() throws {
    let graph = try narrowed(.resize(Resize(.scale([2]))), [1, 2, 3, 3])
    #expect(graph.operations == ["Cast", "Resize", "Cast"])
    #expect(graph.initializers[0].elementType == .float32)
  }

  @Test func placesAreChosenInFloat32() throws {
    let graph = try narrowed(.topK(axis: 0, count: 2), [5])
    #expect(graph.operations == ["TopK"])
    #expect(graph.nodes[0].inputs[0] == "images")
  }

  @Test func smallNumbersDoNotVanish() throws {
    let graph = try narrowed(.unary(.clip(minimum: 1e-12, maximum: 1e9)), [5])
    #expect(try graph.initializers.map { try $0.tensor().doubles() } == [[0x1p-24], [65504]])
  }
}
