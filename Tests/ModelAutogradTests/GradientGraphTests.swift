import ModelAutograd
import ModelCore
import ModelGraph
import TestSupport
import Testing

@Suite struct GradientGraphTests {
  private func scalar(_ number: Double) throws -> Tensor { try Tensor([number], []) }

  @Test func addsTheGradientsOfAllUses() throws {
    // x³ + x at 3: 27 + 1.
    var graph = Graph()
    let x = graph.addInput("x")
    let square = try graph.emit(.binary(.multiply), x, x)
    let cube = try graph.emit(.binary(.multiply), square, x)
    let loss = try graph.emit(.binary(.add), cube, x)
    let training = try graph.gradients(of: loss, for: [TensorType(.float64, [])], ofInputs: true)
    let gradient = try #require(training.inputGradients.first ?? nil)
    let values = try training.graph.reference([scalar(3)], of: [training[loss], gradient])
    #expect(try values.map { try $0.doubles()[0] } == [30, 28])
  }

  @Test func givesParametersTheirGradients() throws {
    var graph = Graph()
    let x = graph.addInput("x")
    let weight = graph.addWeight("w", Graph.Weight(tensor: try Tensor([2.0, 3], [2])))
    let fixed = graph.addWeight("fixed", Graph.Weight(tensor: try Tensor([5.0, 7], [2]), requiresGrad: false))
    let buffer = graph.addWeight("buffer", Graph.Weight(tensor: try Tensor([1.0, 1], [2]), isBuffer: true))
    let unused = graph.addWeight("unused", Graph.Weight(tensor: try Tensor([1.0], [1])))
    _ = unused
    var value = try graph.emit(.binary(.multiply), x, weight)
    value = try graph.emit(.binary(.multiply), value, fixed)
    value = try graph.emit(.binary(.multiply), value, buffer)
    let loss = try graph.emit(.reduce(.sum, axes: [0], keepsAxes: false), value)
    graph.outputs = [loss]
    let type = TensorType(.float64, [2])
    let training = try graph.gradients(of: loss, for: [type])
    #expect(training.gradients.keys == ["w"])
    #expect(training.graph.outputs.count == 2)
    let inputs = [try Tensor([1.0, 10], [2])]
    #expect(try training.graph.reference(inputs)[1].doubles() == [5, 70])
    let chosen = try graph.gradients(of: loss, with: ["fixed"], for: [type])
    #expect(try chosen.graph.reference(inputs)[1].doubles() == [2, 30])
  }

  /// As torch's: a product with one zero moves with that alone, one with two with nothing.
  @Test(arguments: [([2.0, 5, 0], [0.0, 0, 10]), ([0, 5, 0], [0, 0, 0]), ([2, 5, 3], [15, 6, 10])])
  func productsMayHoldZeros(factors: [Double], expected: [Double]) throws {
    var graph = Graph()
    let loss = try graph.emit(.reduce(.product, axes: [0], keepsAxes: false), graph.addInput("x"))
    let training = try graph.gradients(of: loss, for: [TensorType(.float64, [3])], ofInputs: true)
    let gradient = try #require(training.inputGradients.first ?? nil)
    #expect(try training.graph.reference([Tensor(factors, [3])], of: [gradient])[0].doubles() == expected)
  }

  @Test func takesOutputsGradientsFromOutside() throws {
    var graph = Graph()
    let x = graph.addInput("x")
    let weight = graph.addWeight("w", Graph.Weight(tensor: try Tensor([2.0], [])))
    graph.outputs = [
      try graph.emit(.binary(.multiply), x, weight), try graph.emit(.unary(.square), weight),
    ]
    let type = TensorType(.float64, [3])
    let training = try graph.gradientsOfOutputs(for: [type])
    #expect(training.outputGradients.count == 2)
    #expect(training.forwardNodeCount == 2)
    let values = try training.graph.reference(
      [Tensor([1.0, 2, 3], [3]), Tensor([1.0, 1, 10], [3]), Tensor([100.0], [])],
      of: [try #require(training.gradients["w"])])
    // 1 + 2 + 30, and 100 · 2 · 2.
    #expect(try values[0].doubles() == [433])
  }

  @Test func refusesWhatHasNoGradient() throws {
    var graph = Graph()
    let x = graph.addInput("x")
    let doubled = try graph.emit(.binary(.add), x, x)
    let type = TensorType(.float32, [2])
    #expect(refusal { _ = try graph.gradients(of: doubled, for: [type]) }?.contains("one floating number") == true)
    #expect(
      refusal { _ = try graph.gradients(of: doubled, with: ["w"], for: [type]) }?.contains("no parameter") == true)
    let result = try graph.call("net.odd", [x]) { graph in
      let slope = try graph.emit(.gradient(.unary(.sigmoid)), x, x)
      return [try graph.emit(.reduce(.sum, axes: [0], keepsAxes: false), slope)]
    }
    let error = refusal { _ = try graph.gradients(of: result[0], for: [type], ofInputs: true) }
    #expect(error?.contains("net.odd") == true && error?.contains("a gradient has no gradient") == true)
    let counts = graph.addWeight("counts", Graph.Weight(tensor: try Tensor([Int64(1)])))
    _ = counts
    #expect(
      refusal { _ = try graph.gradients(of: result[0], with: ["counts"], for: [type]) }?.contains("whole numbers")
        == true)
  }

  @Test func dropsTheSameForwardAndBackward() throws {
    var graph = Graph()
    let x = graph.addInput("x")
    let first = try graph.emit(.dropout(Dropout(probability: 0.3)), x)
    let second = try graph.emit(.dropout(Dropout(probability: 0.3)), x)
    let loss = try graph.emit(.reduce(.sum, axes: [0], keepsAxes: false), first)
    graph.outputs = [first, second]
    let count = 10_000
    let training = try graph.gradients(of: loss, for: [TensorType(.float64, [count])], ofInputs: true)
    let ones = try Tensor([Double](repeating: 1, count: count), [count])
    func run(_ seed: Int64, _ step: Int64) throws -> [[Double]] {
      try training.graph.reference([ones, Tensor([seed, step])]).map { try $0.doubles() }
    }
    let results = try run(1, 5)
    // First and second dropout, then the input's gradient, which goes by the first.
    #expect(results[0] == results[2])
    #expect(results[0] != results[1])
    let kept = results[0].count { $0 != 0 }
    // Three deviations of √(n · p · (1 - p)) are 137.
    #expect(abs(kept - 7000) < 138)
    #expect(results[0].allSatisfy { $0 == 0 || abs($0 - 1 / 0.7) < 1e-12 })
    #expect(try run(1, 5) == results)
    #expect(try run(1, 6) != results)
    #expect(try run(2, 5) != results)
  }

  @Test func drawsAsPhilox() {
    // The published answers of Philox4x32-10 for a counter and a key of zeros: 6627e8d5 e169c58d bc57ac4c 9b00dbd8.
    let all = [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8].map { Double($0) / 0x1p32 }
    for (unit, share) in all.enumerated() {
      let above = DropoutDraws(Dropout(probability: share + 1e-9), state: [0, 0])
      let below = DropoutDraws(Dropout(probability: share - 1e-9), state: [0, 0])
      #expect(above.factor(of: unit) == 0 && below.factor(of: unit) != 0)
    }
  }

  @Test func keepsRunningStatistics() throws {
    var graph = Graph()
    let x = graph.addInput("x")
    let ones = try Tensor([1.0, 1], [2])
    let operands = ["w", "b", "mean", "var"].map { name in
      graph.addWeight(name, Graph.Weight(tensor: ones, isBuffer: name == "mean" || name == "var"))
    }
    let results = try graph.emitAll(.batchNorm(.training(momentum: 0.5), eps: 0), [x] + operands)
    #expect(results.count == 5)
    let loss = try graph.emit(.reduce(.sum, axes: [0, 1], keepsAxes: false), results[0])
    let training = try graph.gradients(of: loss, for: [TensorType(.float64, [2, 2])])
    #expect(training.gradients.keys == ["w", "b"])
    let values = try training.graph.reference(
      [Tensor([1.0, 2, 3, 6], [2, 2])], of: [training[results[1]], training[results[3]], training[results[4]]])
    #expect(try values[0].doubles() == [1.5, 2.5])
    #expect(try values[1].doubles() == [2, 4])
    #expect(try values[2].doubles() == [1, 0.5])
  }
}
