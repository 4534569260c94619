import ModelAutograd
import ModelCore
import ModelEngine
import ModelGraph

/// Operations of any numbers on tensors of any shapes: they compute or throw, the engine computes what the interpreter
/// does, and gradients are what the loss changes by.
struct GraphTarget {
  /// As much as the interpreter may hold.
  private static let memoryLimit = 1 << 20

  static func run(_ bytes: [UInt8]) throws {
    var draws = Draws(bytes)
    // In double precision for gradients, of numbers that lie on no kink.
    let isSmooth = draws.flag()
    var graph = Graph()
    var (values, inputs): ([Graph.Value], [Tensor]) = ([], [])
    for index in 0..<draws.below(4) {
      let tensor = isSmooth ? try draws.smoothTensor() : try draws.tensor()
      switch draws.below(3) {
      case 0: values.append(graph.addConstant(tensor))
      case 1: values.append(graph.addWeight("w\(index)", Graph.Weight(tensor: tensor)))
      default:
        values.append(graph.addInput("\(index)"))
        inputs.append(tensor)
      }
    }
    for _ in 0...draws.below(4) {
      let operands = (0..<draws.below(7)).compactMap { _ in values.isEmpty ? nil : draws.element(values) }
      values += try graph.emitAll(draws.operation(), operands)
      if draws.isAtEnd { break }
    }
    graph.outputs = values
    let types = inputs.map { TensorType($0.dtype, $0.shape) }
    let inferred = try graph.types(of: types)
    let results = try graph.reference(inputs, memoryLimit: memoryLimit)
    for (value, result) in zip(values, results) {
      require(TensorType(result.dtype, result.shape) == inferred[value], "a result is of the type that was inferred")
    }
    if isSmooth {
      try checkGradients(of: graph, inputs, types, inferred)
    } else if !draws.hasDrawnHuge {
      // The engine, as the originals, has no such number in float32.
      try compare(graph, inputs, types, results)
    }
  }

  // MARK: The engine

  /// The engine against the interpreter, but for elements that roundings of the inputs change as much.
  private static func compare(_ graph: Graph, _ inputs: [Tensor], _ types: [TensorType], _ expected: [Tensor]) throws {
    guard !inputs.isEmpty else { return }
    let found = try Session(Plan(graph, for: types)).run(inputs)
    for (ours, wanted) in zip(found, expected) {
      require(ours.dtype == wanted.dtype && ours.shape == wanted.shape, "the engine gives the interpreter's types")
    }
    let exact: Set<DType> = [.float32, .int64, .int32, .bool, .uint8]
    guard expected.allSatisfy({ exact.contains($0.dtype) }) else { return }
    let moved = try graph.reference(inputs.map { try $0.moved(by: 1e-5) }, memoryLimit: memoryLimit)
    let all = try (expected + moved).map { try $0.doubles() }
    // Infinities and NaN may come from any rounding on the way.
    guard all.allSatisfy({ $0.allSatisfy { abs($0) < 1e6 } }) else { return }
    // A norm multiplies by up to a root of 1 / eps, and rounds before it takes the mean away, as the original's.
    let share = graph.nodes.reduce(1e-5) { share, node in
      switch node.operation {
      case .batchNorm(_, let eps), .layerNorm(_, let eps), .groupNorm(_, let eps):
        max(share, 4e-7 / max(eps, 0).squareRoot())
      default: share
      }
    }
    let scale = all.reduce(1) { $1.reduce($0) { max($0, abs($1)) } }
    for place in expected.indices {
      let (wanted, near) = (all[place], all[expected.count + place])
      for (index, value) in try found[place].doubles().enumerated() {
        let slack = share * scale + abs(near[index] - wanted[index])
        require(
          abs(value - wanted[index]) <= slack,
          "the engine gives \(value), not \(wanted[index]), at \(index) of \(expected[place].shape): \(graph.nodes)")
      }
    }
  }

  // MARK: Gradients

  private static func checkGradients(
    of forward: Graph, _ inputs: [Tensor], _ types: [TensorType], _ inferred: InferredTypes
  ) throws {
    var graph = forward
    var loss: Graph.Value?
    for (place, value) in forward.outputs.enumerated() where inferred[value].dtype == .float64 {
      let type = inferred[value]
      let factors = graph.addConstant(
        try Tensor((0..<type.shape.reduce(1, *)).map { 0.3 + 0.7 * Double(($0 * 7 + place) % 11) / 11 }, type.shape))
      let product = try graph.emit(.binary(.multiply), value, factors)
      let sum = try graph.emit(.reduce(.sum, axes: Array(type.shape.indices), keepsAxes: false), product)
      loss = try loss.map { try graph.emit(.binary(.add), $0, sum) } ?? sum
    }
    guard let loss, !inputs.isEmpty else { return }
    let training = try graph.gradients(of: loss, for: types, ofInputs: true)
    guard training.seed == nil else { return }
    let total = { (inputs: [Tensor]) in
      try training.graph.reference(inputs, of: [training[loss]], memoryLimit: memoryLimit)[0].doubles()[0]
    }
    // Beside large sums what an element adds is lost.
    let middle = try total(inputs)
    guard abs(middle) < 1e4 else { return }
    for (place, gradient) in training.inputGradients.enumerated() where types[place].dtype == .float64 {
      guard let gradient else { continue }
      let found = try training.graph.reference(inputs, of: [gradient], memoryLimit: memoryLimit)[0]
      require(found.shape == types[place].shape, "a gradient is of its input's shape")
      let (gradients, values) = (try found.doubles(), try inputs[place].doubles())
      for index in values.indices.prefix(6) {
        func slope(_ step: Double) throws -> (up: Double, down: Double) {
          let sides = try [step, -step].map { change in
            var (moved, operands) = (values, inputs)
            moved[index] += change
            operands[place] = try Tensor(moved, types[place].shape)
            return try (total(operands) - middle) / change
          }
          return (sides[0], sides[1])
        }
        // Where the slopes of several steps differ there is a kink nearby, a jump or a pole; where those of the two sides
        // do, a kink right here, as of the greatest of equals.
        let sides = try [1e-4, 5e-5, 1e-6].map(slope)
        let slopes = sides.map { ($0.up + $0.down) / 2 }
        let size = max(1, abs(slopes[0]))
        guard size < 1e4, slopes.allSatisfy({ abs($0 - slopes[0]) <= 1e-6 * size }),
          abs(sides[2].up - sides[2].down) <= 1e-3 * size
        else { continue }
        // The logarithm of a base below 0 goes into the exponent's gradient, as the original's.
        if gradients[index].isNaN, forward.nodes.contains(where: { $0.operation == .binary(.power) }) { continue }
        require(
          abs(gradients[index] - slopes[0]) <= 1e-4 * size,
          "the gradient of input \(place) at \(index) is \(gradients[index]), not \(slopes[0]): \(forward.nodes)")
      }
    }
  }
}

extension Tensor {
  /// Floating elements up or down by a share of their own.
  fileprivate func moved(by share: Double) throws -> Tensor {
    guard dtype.isFloatingPoint else { return self }
    let values = try doubles().enumerated().map { $1 * (1 + ($0 % 3 == 1 ? -share : share)) }
    return try Tensor(values, shape).cast(to: dtype)
  }
}
