import ModelCore
import ModelGraph
import Testing

/// Graphs built by hand, through the public interface alone.
@Suite struct GraphBuildingTests {
  @Test func computesWhatWasBuilt() throws {
    var graph = Graph()
    let pixels = graph.addInput("pixels")
    let weight = graph.addWeight("fc.weight", Graph.Weight(tensor: try Tensor([1, -1, 2, 0.5], [2, 2])))
    let hidden = try graph.call("fc", [pixels]) { [try $0.emit(.linear, pixels, weight)] }
    let half = graph.addConstant(try Tensor([0.5]))
    graph.outputs = [try graph.emit(.binary(.multiply), graph.emit(.unary(.relu), hidden[0]), half)]
    #expect(try graph.reference([Tensor([1, 2, 3, 4], [2, 2])]).map { try $0.floats() } == [[0, 1.5, 0, 4]])
    #expect(graph.scopes.map(\.path) == ["", "fc"])
    #expect(graph.outputs(ofModule: "fc") == hidden)
    #expect(graph.weights["fc.weight"]?.requiresGrad == true)
  }

  @Test func aWeightIsDefinedOnce() throws {
    var graph = Graph()
    let first = graph.addWeight("w", Graph.Weight(tensor: try Tensor([1])))
    let other = try Tensor([2])
    #expect(graph.addWeight("w", Graph.Weight(tensor: other)) == first)
    #expect(try graph.weights["w"]?.tensor.floats() == [1])
  }

  @Test func callsStandInEachOther() throws {
    var graph = Graph()
    let x = graph.addInput("x")
    _ = try graph.call("a", [x]) { graph in
      let inner = try graph.call("a.b", [x]) { [try $0.emit(.unary(.relu), x)] }
      return [try graph.emit(.unary(.abs), inner[0])]
    }
    #expect(graph.scopes.map(\.path) == ["", "a", "a.b"])
    #expect(graph.scopes.map(\.parent) == [nil, 0, 1])
    #expect(graph.nodes.map(\.scope) == [2, 1])
  }

  @Test func errorsNameTheCall() throws {
    var graph = Graph()
    let x = graph.addInput("x")
    let weight = graph.addWeight("head.weight", Graph.Weight(tensor: try Tensor([1, 2], [1, 2])))
    graph.outputs = try graph.call("head", [x]) { [try $0.emit(.linear, x, weight)] }
    let error = #expect(throws: ModelError.self) { try graph.shapes(of: [[1, 3]]) }
    #expect(error?.description == "head: takes 2 channels, but 3 come to it")
    #expect(error?.kind == .mismatch)
  }

  @Test func refusesWhatIsNotItsOwn() throws {
    var (graph, other) = (Graph(), Graph())
    _ = other.addInput("x")
    let foreign = other.addInput("y")
    #expect(throws: ModelError.self) { try graph.emit(.unary(.relu), foreign) }
    #expect(throws: ModelError.self) { try graph.call("m", [foreign]) { _ in [] } }
    #expect(graph.nodes.isEmpty && graph.definitions.isEmpty)
    graph.outputs = [foreign]
    #expect(throws: ModelError.self) { try graph.reference([]) }
  }

  @Test func severalResultsAreAskedForAsSuch() throws {
    var graph = Graph()
    let x = graph.addInput("x")
    #expect(throws: ModelError.self) { try graph.emit(.topK(axis: 0, count: 1), x) }
    #expect(try graph.emitAll(.topK(axis: 0, count: 1), [x]).count == 2)
    #expect(throws: ModelError.self) { try graph.emitAll(.split(axis: 0, .equal(0)), [x]) }
  }

  /// Kinds of what the random graphs found.
  @Test func degenerateOperationsThrowOrGiveNothing() throws {
    func run(_ operation: Operation, _ tensors: Tensor...) throws -> Tensor {
      var graph = Graph()
      graph.outputs = [try graph.emitAll(operation, tensors.map { graph.addConstant($0) })[0]]
      return try graph.reference([])[0]
    }
    let picture = try Tensor([Float](repeating: 1, count: 4), [1, 1, 2, 2])
    #expect(throws: ModelError.self) { try run(.pad([Margin](repeating: Margin(.min), count: 4), .reflect), picture) }
    #expect(throws: ModelError.self) { try run(.slice(axis: 0, start: .min, end: nil, step: 1), picture) }
    #expect(throws: ModelError.self) {
      try run(.pool(Pool(.max, kernelSize: [1], stride: [1], padding: [2])), Tensor([], [1, 1, 0]))
    }
    let pool = AdaptivePool(.max, outputSize: [0, 1 << 31])
    #expect(try run(.adaptivePool(pool), picture).shape == [1, 1, 0, 1 << 31])
    #expect(
      try run(.matrixProduct, Tensor([], [3, 2, 0]), Tensor([], [0, 2])).floats() == .init(repeating: 0, count: 12))
    #expect(try run(.matrixProduct, Tensor([], [3, 0, 2]), Tensor([1, 2], [2, 1])).shape == [3, 0, 1])
  }
}
