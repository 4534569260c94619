import ModelCore
import TestSupport
import Testing

@testable import ModelGraph

/// Whole graphs by the reference interpreter.
@Suite struct GraphRunTests {
  /// relu(x · W) as two scopes, and an update of W.
  private func graph() throws -> (Graph, hidden: Graph.Value) {
    var graph = Graph()
    let input = graph.addInput("x")
    let weight = Graph.Weight(tensor: try Tensor([1, -1, 2, 0.5], [2, 2]), requiresGrad: true, isBuffer: false)
    let value = graph.addWeight("fc.weight", weight)
    let root = try graph.enter("", parent: nil, inputs: [input])
    let layer = try graph.enter("fc", parent: root, inputs: [input])
    let hidden = try graph.append(.linear, [input, value], scope: layer)[0]
    graph.leave(layer, outputs: [hidden])
    graph.outputs = try graph.append(.unary(.relu), [hidden], scope: root)
    graph.leave(root, outputs: graph.outputs)
    graph.update("fc.weight", to: hidden)
    return (graph, hidden)
  }

  @Test func computesOutputs() throws {
    let outputs = try graph().0.reference([try Tensor([1, 2, 3, 4], [2, 2])])
    #expect(try outputs.map { try $0.floats() } == [[0, 3, 0, 8]])
    #expect(outputs[0].dtype == .float32 && outputs[0].shape == [2, 2])
  }

  @Test func computesChosenValues() throws {
    let (graph, hidden) = try graph()
    let input = try Tensor([1, 2], [1, 2])
    #expect(graph.outputs(ofModule: "fc") == [hidden])
    let values = try graph.reference([input], of: [hidden, graph.inputs[0]] + graph.updates.values)
    #expect(try values.map { try $0.floats() } == [[-1, 3], [1, 2], [-1, 3]])
  }

  @Test func ofAnotherTypeIsRounded() throws {
    var graph = Graph()
    let input = graph.addInput("x")
    let root = try graph.enter("", parent: nil, inputs: [input])
    graph.outputs = try graph.append(.binary(.multiply), [input, input], scope: root)
    let halves = try Tensor([3, 0.1], [2]).converted(to: .float16)
    let result = try graph.reference([halves])[0]
    #expect(result.dtype == .float16)
    #expect(try result.floats() == [9, 0.009994507])
  }

  @Test func whatIsNotNeededIsNotComputed() throws {
    var (graph, hidden) = try graph()
    let drawn = try graph.append(.dropout(Dropout(probability: 0.5)), [hidden], scope: 1)
    let input = try Tensor([1, 2], [1, 2])
    #expect(try graph.reference([input]).count == 1)
    #expect(
      refusal { _ = try graph.reference([input], of: drawn) }
        == "fc: dropout draws random numbers; set its probability to 0")
  }

  @Test func refusals() throws {
    let graph = try graph().0
    #expect(refusal { _ = try graph.reference([]) } == "takes 1 inputs, not 0")
    let wide = try Tensor([1, 2, 3], [1, 3])
    #expect(refusal { _ = try graph.reference([wide]) } == "fc: takes 2 channels, but 3 come to it")
    // Input, weight and result in double precision take 32, 32 and 32 bytes.
    let input = try Tensor([1, 2, 3, 4], [2, 2])
    #expect(
      refusal { _ = try graph.reference([input], memoryLimit: 95) }
        == "fc: the values in use take more than 95 bytes; take a smaller input")
    #expect(try graph.reference([input], memoryLimit: 96).count == 1, "what is used no more is let go")
  }

  @Test func unknownOperationsAreRefusedByName() throws {
    var (graph, hidden) = try graph()
    graph.outputs = try graph.append(.other("roi_align"), [hidden], scope: 1)
    #expect(
      refusal { _ = try graph.reference([try Tensor([1, 2], [1, 2])]) }
        == "fc: what roi_align computes is not known")
  }
}
