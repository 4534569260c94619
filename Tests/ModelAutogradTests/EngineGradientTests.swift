import ModelAutograd
import ModelCore
import ModelEngine
import ModelGraph
import TestSupport
import Testing

/// The engine's gradients against the interpreter's.
@Suite struct EngineGradientTests {
  @Test(arguments: FiniteDifferenceTests.cases) func equalsTheInterpreter(of test: FiniteDifferenceTests.Case) throws {
    var numbers = Generator(3)
    var (graph, types, tensors, results) = try test.forward(.float32, &numbers)
    let inferred = try graph.types(of: types)
    graph.outputs = results.filter { !inferred[$0].dtype.isInteger }
    if case .batchNorm = test.operation { graph.outputs = [results[0]] }
    let training = try graph.gradientsOfOutputs(for: types, ofInputs: true)
    if training.seed != nil {
      types.append(TensorType(.int64, [2]))
      tensors.append(try Tensor([Int64(4), 7]))
    }
    for output in graph.outputs {
      types.append(inferred[output])
      let shape = inferred[output].shape
      let values = (0..<shape.reduce(1, *)).map { _ in Double.random(in: -1...1, using: &numbers) }
      tensors.append(try Tensor(values, shape).cast(to: .float32))
    }
    let gradients = training.inputGradients.compactMap(\.self)
    #expect(!gradients.isEmpty)
    let expected = try training.graph.reference(tensors, of: gradients)
    let session = try Session(Plan(training.graph, for: types, giving: gradients))
    for (place, (a, b)) in zip(expected, try session.run(tensors)).enumerated() {
      let (wanted, found) = (try a.doubles(), try b.doubles())
      #expect(a.shape == b.shape)
      let largest = max(wanted.map(abs).max() ?? 0, 1e-3)
      let error = zip(wanted, found).map { abs($0 - $1) }.max() ?? 0
      // A few roundings of float32 for each of some dozen sums.
      #expect(error <= 1e-5 * largest, "gradient \(place) is off by \(error) of \(largest)")
    }
  }

  /// A norm's sum with a convolution's result, whose activation either of the two could take.
  @Test func aNormMeetsAConvolution() throws {
    var numbers = Generator(5)
    func weight(_ shape: [Int]) throws -> Graph.Weight {
      let values = (0..<shape.reduce(1, *)).map { _ in Float.random(in: 0.1...1, using: &numbers) }
      return Graph.Weight(tensor: try Tensor(values, shape))
    }
    var graph = Graph()
    let x = graph.addInput("x")
    let geometry = ConvolutionGeometry(stride: [1, 1], padding: [Margin(1), Margin(1)], dilation: [1, 1])
    let kernel = graph.addWeight("kernel", try weight([4, 3, 3, 3]))
    let other = graph.addWeight("other", try weight([4, 3, 3, 3]))
    let line = try ["weight", "bias", "mean", "variance"].map { graph.addWeight($0, try weight([4])) }
    let convolved = try graph.emit(.convolution(geometry), x, kernel)
    let norm = try graph.emitAll(.batchNorm(.training(momentum: 0.1), eps: 1e-3), [convolved] + line)[0]
    let shortcut = try graph.emit(.convolution(geometry), x, other)
    graph.outputs = [try graph.emit(.unary(.relu), try graph.emit(.binary(.add), norm, shortcut))]
    let types = [TensorType(.float32, [2, 3, 5, 7]), TensorType(.float32, [2, 4, 5, 7])]
    let training = try graph.gradientsOfOutputs(for: [types[0]])
    let tensors = try types.map { type in
      try Tensor((0..<type.shape.reduce(1, *)).map { _ in Float.random(in: -1...1, using: &numbers) }, type.shape)
    }
    let gradients = Array(training.gradients.values)
    let expected = try training.graph.reference(tensors, of: gradients)
    let found = try Session(Plan(training.graph, for: types, giving: gradients)).run(tensors)
    for (a, b) in zip(expected, found) {
      let (wanted, actual) = (try a.doubles(), try b.doubles())
      let largest = max(wanted.map(abs).max() ?? 0, 1e-3)
      #expect(zip(wanted, actual).allSatisfy { abs($0 - $1) <= 1e-5 * largest })
    }
  }
}
