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
    var graph = Graph()
    var (types, tensors, operands): ([TensorType], [Tensor], [Graph.Value]) = ([], [], [])
    for (place, shape) in test.shapes.enumerated() {
      let count = shape.reduce(1, *)
      let whole = test.fixed[place].flatMap { $0.isEmpty ? nil : $0 }
      let dtype: DType = whole == nil ? .float32 : place == 0 ? .bool : .int64
      let values =
        whole.map { $0.map(Double.init) } ?? (0..<count).map { _ in Double.random(in: test.range, using: &numbers) }
      let tensor = try Tensor(values, shape).cast(to: dtype)
      if test.fixed[place] == [] {
        operands.append(graph.addConstant(tensor))
        continue
      }
      types.append(TensorType(dtype, shape))
      tensors.append(tensor)
      operands.append(graph.addInput("operand \(place)"))
    }
    let results = try graph.emitAll(test.operation, operands)
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
}
