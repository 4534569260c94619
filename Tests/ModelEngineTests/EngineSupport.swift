import ModelCore
import ModelEngine
import ModelGraph
import Testing

/// An operation with the shapes that come to it.
struct Case: Sendable, CustomTestStringConvertible {
  let name: String
  let operation: Operation
  /// The input's shape, then those of the weights.
  let shapes: [[Int]]
  var testDescription: String { name }
  /// Operands of another type than float32.
  var types: [Int: DType] = [:]

  /// The other operands stored as weights, and computed while it runs; the input as it comes, and behind a permutation.
  func check(hasKernels: Bool = true) throws {
    for isStored in [true, false] {
      for isPermuted in [false, true] {
        var graph = Graph()
        var (inputs, operands): ([Tensor], [Graph.Value]) = ([], [])
        for (index, shape) in shapes.enumerated() {
          let isVariance = if case .batchNorm = operation { index == 4 } else { false }
          let isPositive = isVariance || name == "power"
          let tensor = try tensor(shape, index + name.utf8.count, positive: isPositive, types[index] ?? .float32)
          if index > 0, isStored {
            operands.append(graph.addWeight("w\(index)", Graph.Weight(tensor: tensor)))
          } else if index == 0, isPermuted, shape.count > 1 {
            let axes = Array(shape.indices.reversed())
            inputs.append(try tensor.permuted(axes))
            operands.append(try graph.emit(.permute(axes), graph.addInput("x")))
          } else {
            inputs.append(tensor)
            operands.append(graph.addInput("\(index)"))
          }
        }
        graph.outputs = try graph.emitAll(operation, operands)
        try expectSame(graph, inputs, "\(name), stored \(isStored), permuted \(isPermuted)", hasKernels: hasKernels)
      }
    }
  }
}

/// Numbers from -2 to 2, the variances among them positive; bool is true above 0.
func tensor(_ shape: [Int], _ seed: Int, positive: Bool = false, _ dtype: DType = .float32) throws -> Tensor {
  var state = UInt64(truncatingIfNeeded: seed &* 2_654_435_761 &+ 1)
  let values = (0..<shape.reduce(1, *)).map { _ -> Float in
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    let unit = Float(state >> 40) / Float(1 << 24)
    return positive ? unit + 0.5 : unit * 4 - 2
  }
  if dtype == .bool { return try Tensor(integers: values.map { $0 > 0 ? 1 : 0 }, dtype, shape) }
  if !dtype.isFloatingPoint { return try Tensor(integers: values.map { Int($0.rounded()) }, dtype, shape) }
  return try Tensor(values, shape).cast(to: dtype)
}

/// The engine's float32 against double precision: sums of some dozen terms, of numbers up to a few hundred.
/// - Parameter hasKernels: whether every step has a kernel of its own.
func expectSame(_ graph: Graph, _ inputs: [Tensor], _ what: String = "", hasKernels: Bool = true) throws {
  let expected = try graph.reference(inputs)
  let plan = try Plan(graph, for: inputs.map { TensorType($0.dtype, $0.shape) })
  let slow = plan.steps.filter { $0.implementation.hasPrefix("ref") }
  #expect(slow.isEmpty || !hasKernels, "\(what): \(slow)")
  let session = try Session(plan)
  // The second run finds the memory as the first has left it.
  for _ in 0..<2 {
    for (ours, wanted) in zip(try session.run(inputs), expected) {
      #expect(ours.shape == wanted.shape && ours.dtype == wanted.dtype, "\(what)")
      let (a, b) = (try ours.doubles(), try wanted.doubles())
      let scale = b.reduce(1) { $1.isFinite ? max($0, abs($1)) : $0 }
      for (x, y) in zip(a, b) {
        #expect(x == y || x.isNaN && y.isNaN || abs(x - y) <= 4e-6 * scale, "\(what): \(x), not \(y)")
      }
    }
  }
}
