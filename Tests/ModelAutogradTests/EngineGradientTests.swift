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

  /// The loss is computed outside, between the two passes.
  @Test func inTwoParts() throws {
    var numbers = Generator(6)
    func weight(_ shape: [Int]) throws -> Graph.Weight {
      Graph.Weight(
        tensor: try Tensor((0..<shape.reduce(1, *)).map { _ in Float.random(in: 0.1...1, using: &numbers) }, shape))
    }
    var graph = Graph()
    let x = graph.addInput("x")
    let kernel = graph.addWeight("kernel", try weight([5, 3]))
    let line = try ["weight", "bias", "mean", "variance"].map { graph.addWeight($0, try weight([5])) }
    let product = try graph.emit(.linear, x, kernel)
    let norm = try graph.emitAll(.batchNorm(.training(momentum: 0.5), eps: 1e-3), [product] + line)
    graph.update("mean", to: norm[1])
    graph.update("variance", to: norm[2])
    graph.outputs = [try graph.emit(.unary(.relu), norm[0]), try graph.emit(.unary(.sigmoid), product)]
    let (type, outputType) = (TensorType(.float32, [7, 3]), TensorType(.float32, [7, 5]))
    let parameters = ["kernel", "weight", "bias"]
    let training = try graph.gradientsOfOutputs(with: parameters, for: [type])
    let outputs = graph.outputs.map { training[$0] }
    let variables = try Variables(graph.weights, parameters: parameters, others: ["mean", "variance"])
    let plan = try TrainingPlan(
      training.graph, gradients: training.gradients, for: [type, outputType, outputType], giving: outputs,
      variables: variables, cut: (training.forwardNodeCount, 2))
    let session = try TrainingSession(plan, variables)
    let mean = try #require(variables["mean"])
    func random(_ type: TensorType) throws -> Tensor {
      try Tensor(
        (0..<type.shape.reduce(1, *)).map { _ in Float.random(in: -1...1, using: &numbers) }, type.shape)
    }
    let picture = try random(type)
    _ = try session.forward([random(type)])
    let found = try session.forward([picture])
    #expect(try variables["mean"]?.floats() == mean.floats())
    let gradients = [try random(outputType), try random(outputType)]
    try session.backward(gradients)

    let tensors = [picture] + gradients
    let updates = graph.updates.values.map { training[$0] }
    let wanted = try training.graph.reference(tensors, of: outputs + updates + training.gradients.values)
    let paths = ["mean", "variance"].map { variables[$0] }
    let mine = try found + paths.compactMap { $0 } + training.gradients.keys.map { try variables.gradient(of: $0) }
    #expect(mine.count == wanted.count)
    // Some roundings of float32.
    for (a, b) in zip(mine, wanted) { #expect(try a.isClose(to: b, relative: 1e-5, absolute: 1e-6)) }

    #expect(refusal { try session.backward([gradients[0]]) } != nil)
    #expect(refusal { _ = try session.forward(tensors) } != nil)
    let whole = try TrainingPlan(
      training.graph, gradients: training.gradients, for: [type, outputType, outputType], giving: outputs,
      variables: variables)
    #expect(
      refusal { _ = try TrainingSession(whole, variables).forward([picture]) } == "this plan computes its loss itself")
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
