import ModelArchitectures
import ModelAutograd
import ModelCore
import ModelEngine
import ModelGraph
import TestSupport
import Testing

/// What is computed again instead of kept: the same to the last bit, in less memory.
@Suite struct RecomputationTests {
  /// A graph's gradients with what they are for.
  private struct Made {
    var training: TrainingGraph
    var types: [TensorType]
    /// What is looked at besides gradients and running statistics.
    var values: [Graph.Value]
  }

  /// The mean square of a network's floating outputs behind it.
  private func network(_ name: String, _ shape: [Int]) throws -> (graph: Graph, made: Made) {
    let type = TensorType(.float32, shape)
    var graph = try Graph(try Architecture(named: name).module(classes: 10), inputs: [type], mode: .training)
    let known = try graph.types(of: [type])
    var loss: Graph.Value?
    for output in graph.outputs where known[output].dtype.isFloatingPoint {
      let axes = Array(known[output].shape.indices)
      let mean = try graph.emit(.reduce(.mean, axes: axes, keepsAxes: false), graph.emit(.unary(.square), output))
      loss = try loss.map { try graph.emit(.binary(.add), $0, mean) } ?? mean
    }
    let value = try #require(loss)
    let training = try graph.gradients(of: value, for: [type])
    let seeds = training.seed == nil ? [] : [TensorType(.int64, [2])]
    return (graph, Made(training: training, types: [type] + seeds, values: [value] + graph.outputs))
  }

  private func inputs(_ types: [TensorType]) throws -> [Tensor] {
    var numbers = Generator(11)
    return try types.map { type in
      let count = type.shape.reduce(1, *)
      return type.dtype.isInteger
        ? try Tensor((0..<count).map { Int64($0 + 5) }, type.shape)
        : try Tensor((0..<count).map { _ in Float.random(in: -1...1, using: &numbers) }, type.shape)
    }
  }

  /// All that a step leaves: losses and outputs, gradients, running statistics; with the bytes that it took.
  private func step(_ made: Made) throws -> (tensors: [Tensor], bytes: Int) {
    let graph = made.training.graph
    let variables = try Variables(
      graph.weights, parameters: Array(made.training.gradients.keys), others: Array(graph.updates.keys))
    let plan = try TrainingPlan(
      graph, gradients: made.training.gradients, for: made.types, giving: made.values.map { made.training[$0] },
      variables: variables)
    var tensors = try TrainingSession(plan, variables).run(try inputs(made.types))
    for path in variables.paths {
      tensors.append(
        variables.isParameter(path) ? try variables.gradient(of: path) : try #require(variables[path]))
    }
    return (tensors, plan.arenaBytes)
  }

  private func equal(_ first: [Tensor], _ second: [Tensor]) throws -> Bool {
    try first.count == second.count && zip(first, second).allSatisfy { try $0.bytes() == $1.bytes() }
  }

  private func recomputed(_ made: Made) throws -> Made {
    var again = made
    again.training = try made.training.recomputingActivations(for: made.types)
    return again
  }

  // MARK: Networks

  struct Net: Sendable, CustomTestStringConvertible {
    let name: String
    let shape: [Int]
    /// The share of the arena that is left, at most.
    let share: Double
    var testDescription: String { "\(name) \(shape)" }
  }

  @Test(arguments: [
    Net(name: "resnet18", shape: [8, 3, 64, 64], share: 0.8),
    Net(name: "mobilenet_v3_small", shape: [2, 3, 75, 93], share: 0.85),
    Net(name: "efficientnet_b0", shape: [3, 3, 67, 50], share: 0.7),
    Net(name: "yolov5n", shape: [2, 3, 64, 96], share: 0.8),
  ]) func givesTheSameInLessMemory(_ net: Net) throws {
    let made = try network(net.name, net.shape).made
    let again = try recomputed(made)
    #expect(!again.training.graph.recomputations.isEmpty)
    let (kept, computed) = (try step(made), try step(again))
    #expect(try equal(kept.tensors, computed.tensors))
    #expect(Double(computed.bytes) < net.share * Double(kept.bytes), "\(computed.bytes) of \(kept.bytes)")
    // It follows from the graph alone.
    #expect(try recomputed(made).training.graph.recomputations == again.training.graph.recomputations)
  }

  // MARK: Graphs

  /// Blocks of a convolution, a norm, an activation and a dropout, with a shortcut around every second.
  private func chain(_ activation: Unary, blocks: Int, dtype: DType = .float32) throws -> (Graph, Graph.Value) {
    var numbers = Generator(3)
    var graph = Graph()
    func weight(_ path: String, _ shape: [Int], isBuffer: Bool = false) throws -> Graph.Value {
      let values = (0..<shape.reduce(1, *)).map { _ in
        Double.random(in: isBuffer ? 0.5...1 : -0.5...0.5, using: &numbers)
      }
      let tensor = try Tensor(values, shape).cast(to: dtype)
      return graph.addWeight(path, Graph.Weight(tensor: tensor, requiresGrad: !isBuffer, isBuffer: isBuffer))
    }
    var value = graph.addInput("x")
    let geometry = ConvolutionGeometry(stride: [1, 1], padding: [Margin(1), Margin(1)], dilation: [1, 1])
    for block in 0..<blocks {
      let before = value
      value = try graph.emit(.convolution(geometry), value, weight("\(block).kernel", [3, 3, 3, 3]))
      let line = try ["weight", "bias", "mean", "variance"].map {
        try weight("\(block).\($0)", [3], isBuffer: ["mean", "variance"].contains($0))
      }
      let results = try graph.emitAll(.batchNorm(.training(momentum: 0.1), eps: 1e-3), [value] + line)
      graph.update("\(block).mean", to: results[1])
      graph.update("\(block).variance", to: results[2])
      value = try graph.emit(.unary(activation), results[0])
      if block % 2 == 1 { value = try graph.emit(.binary(.add), value, before) }
      value = try graph.emit(.dropout(Dropout(probability: 0.2)), value)
      // What no norm comes before.
      value = try graph.emit(
        .unary(activation), graph.emit(.convolution(geometry), value, weight("\(block).last", [3, 3, 3, 3])))
    }
    graph.outputs = [value]
    return (graph, value)
  }

  @Test(arguments: [Unary.relu, .silu, .hardswish, .leakyReLU(slope: 0.1), .gelu(isApproximate: false), .sigmoid])
  func everyActivationGivesTheSame(_ activation: Unary) throws {
    let types = [TensorType(.float32, [2, 3, 9, 7]), TensorType(.int64, [2]), TensorType(.float32, [2, 3, 9, 7])]
    let (graph, output) = try chain(activation, blocks: 7)
    let training = try graph.gradientsOfOutputs(for: [types[0]], ofInputs: true)
    let made = Made(training: training, types: types, values: [output])
    let again = try recomputed(made)
    #expect(!again.training.graph.recomputations.isEmpty)
    let (kept, computed) = (try step(made), try step(again))
    #expect(kept.tensors.count == 1 + training.gradients.count + 14)
    #expect(try equal(kept.tensors, computed.tensors))
    #expect(computed.bytes < kept.bytes)
    #expect(again.training.outputGradients == training.outputGradients)
  }

  @Test func theInterpreterGivesTheSame() throws {
    let shape = [1, 3, 5, 6]
    let types = [TensorType(.float64, shape), TensorType(.int64, [2]), TensorType(.float64, shape)]
    let (graph, output) = try chain(.silu, blocks: 5, dtype: .float64)
    let training = try graph.gradientsOfOutputs(for: [types[0]], ofInputs: true)
    let again = try training.recomputingActivations(for: types)
    #expect(!again.graph.recomputations.isEmpty)
    let tensors = try inputs(types).map { $0.dtype == .int64 ? $0 : try $0.cast(to: .float64) }
    func all(_ made: TrainingGraph) throws -> [Tensor] {
      try made.graph.reference(
        tensors,
        of: [made[output]] + made.gradients.values + made.inputGradients.compactMap(\.self)
          + made.graph.updates.values)
    }
    #expect(try equal(try all(training), try all(again)))
    // Statistics are moved once, by what was computed first.
    #expect(again.graph.updates == training.graph.updates)
    #expect(
      again.graph.updates.values.allSatisfy { value in
        again.graph.producer(of: value).map { $0 < again.forwardNodeCount } == true
      })
    // The forward is as it was, and what is computed again stands behind it.
    #expect(again.forwardNodeCount == training.forwardNodeCount)
    for (place, original) in again.graph.recomputations {
      #expect(place >= again.forwardNodeCount && original < again.forwardNodeCount)
      #expect(again.graph.nodes[place].operation == training.graph.nodes[original].operation)
    }
    #expect(again.graph.recomputations.count == Set(again.graph.recomputations.values).count)
  }

  @Test func whatSavesNothingIsLeft() throws {
    let type = TensorType(.float32, [4])
    for count in 0..<4 {
      var graph = Graph()
      let weight = graph.addWeight("w", Graph.Weight(tensor: try Tensor([Float](repeating: 2, count: 4), [4])))
      var value = try graph.emit(.binary(.multiply), graph.addInput("x"), weight)
      for _ in 0..<count { value = try graph.emit(.unary(.silu), value) }
      let loss = try graph.emit(.reduce(.sum, axes: [0], keepsAxes: false), value)
      let training = try graph.gradients(of: loss, for: [type])
      let again = try training.recomputingActivations(for: [type])
      let tensors = [try Tensor([Float(1), 2, -3, 0], [4])]
      #expect(try equal(training.graph.reference(tensors), again.graph.reference(tensors)))
    }
    var graph = Graph()
    let x = graph.addInput("x")
    graph.outputs = [x]
    let nothing = try graph.gradientsOfOutputs(for: [type])
    #expect(try nothing.recomputingActivations(for: [type, type]).graph.nodes.isEmpty)
    #expect(refusal { _ = try nothing.recomputingActivations(for: []) } != nil || nothing.graph.nodes.isEmpty)
  }

  @Test func refusesOtherTypes() throws {
    let (graph, _) = try chain(.relu, blocks: 2)
    let type = TensorType(.float32, [1, 3, 4, 4])
    let training = try graph.gradientsOfOutputs(for: [type])
    #expect(refusal { _ = try training.recomputingActivations(for: [type]) }?.contains("inputs") == true)
  }
}
