import ModelAutograd
import ModelCore
import ModelGraph
import TestSupport
import Testing

/// Every rule against central differences in double precision: what the loss changes by when an element does.
@Suite struct FiniteDifferenceTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let operation: Operation
    let shapes: [[Int]]
    var range: ClosedRange<Double> = -1...1
    /// Operands that are whole numbers, or constants where there are none.
    var fixed: [Int: [Int]] = [:]
    var testDescription: String { name }

    /// The operation alone, with operands of a type that are drawn: inputs, but for those that are constants.
    func forward(_ dtype: DType, _ numbers: inout Generator) throws -> (
      graph: Graph, types: [TensorType], tensors: [Tensor], results: [Graph.Value]
    ) {
      var graph = Graph()
      var (types, tensors, operands): ([TensorType], [Tensor], [Graph.Value]) = ([], [], [])
      for (place, shape) in shapes.enumerated() {
        let whole = fixed[place].flatMap { $0.isEmpty ? nil : $0 }
        let dtype = whole == nil ? dtype : place == 0 ? .bool : .int64
        let values =
          whole.map { $0.map(Double.init) }
          ?? (0..<shape.reduce(1, *)).map { _ in Double.random(in: range, using: &numbers) }
        let tensor = try Tensor(values, shape).cast(to: dtype)
        if fixed[place] == [] {
          operands.append(graph.addConstant(tensor))
          continue
        }
        types.append(TensorType(dtype, shape))
        tensors.append(tensor)
        operands.append(graph.addInput("operand \(place)"))
      }
      let results = try graph.emitAll(operation, operands)
      return (graph, types, tensors, results)
    }
  }

  static func window(
    _ stride: Int, _ padding: Int, _ dilation: Int = 1, groups: Int = 1, transposed: Bool = false, out: Int = 0
  ) -> Operation {
    .convolution(
      ConvolutionGeometry(
        stride: [stride, stride], padding: [Margin(padding), Margin(padding)], dilation: [dilation, dilation],
        groups: groups, isTransposed: transposed, outputPadding: [out, out]))
  }

  static let unaries: [Unary] = [
    .abs, .cos, .erf, .exp, .negate, .sin, .square, .tan, .asinh, .atan, .cosh, .sinh, .celu(alpha: 0.7),
    .elu(alpha: 1.3), .gelu(isApproximate: false), .gelu(isApproximate: true), .hardshrink(lambda: 0.3), .hardsigmoid,
    .hardswish, .leakyReLU(slope: 0.1), .logSigmoid, .mish, .relu, .selu, .sigmoid, .silu,
    .softplus(beta: 2, threshold: 20), .softshrink(lambda: 0.2), .softsign, .tanh, .tanhshrink,
    .threshold(0.1, value: -2), .clip(minimum: -0.4, maximum: 0.6),
  ]

  static let recurrences: [Case] = [
    (Recurrent.Kind.rnnTanh, 3), (.rnnReLU, 4), (.gru, 3), (.lstm, 3), (.lstm, 1),
  ].flatMap { kind, length in
    [false, true].flatMap { isReversed in
      [(true, false), (false, kind == .lstm)].map { hasBias, isProjected in
        let (hidden, rows) = (3, 3 * kind.gates)
        let out = isProjected ? 2 : hidden
        var shapes = [[length, 2, 5], [2, out]]
        if kind == .lstm { shapes.append([2, hidden]) }
        shapes += [[rows, 5], [rows, out]]
        if hasBias { shapes += [[rows], [rows]] }
        if isProjected { shapes.append([out, hidden]) }
        return Case(
          name: "\(kind) of \(length)\(isReversed ? ", reversed" : "")\(isProjected ? ", projected" : "")"
            + (hasBias ? "" : ", plain"),
          operation: .recurrence(
            Recurrence(kind, isReversed: isReversed, hasBias: hasBias, isProjected: isProjected)), shapes: shapes)
      }
    }
  }

  static let cases: [Case] =
    [
      Case(name: "convolution", operation: window(1, 1), shapes: [[2, 3, 5, 7], [4, 3, 3, 3], [4]]),
      Case(name: "strided, dilated", operation: window(2, 2, 2), shapes: [[1, 2, 9, 7], [3, 2, 3, 2], [3]]),
      Case(name: "groups", operation: window(1, 0, groups: 2), shapes: [[2, 4, 3, 3], [6, 2, 2, 2], [6]]),
      Case(name: "depthwise", operation: window(2, 1, groups: 3), shapes: [[2, 3, 5, 5], [3, 1, 3, 3], [3]]),
      Case(
        name: "transposed", operation: window(2, 1, transposed: true, out: 1),
        shapes: [[2, 3, 3, 4], [3, 2, 3, 3], [2]]),
      Case(
        name: "transposed groups", operation: window(2, 0, groups: 2, transposed: true),
        shapes: [[1, 4, 3, 2], [4, 3, 2, 2], [6]]),
      Case(name: "linear", operation: .linear, shapes: [[3, 2, 5], [4, 5], [4]]),
      Case(name: "linear of rows", operation: .linear, shapes: [[3, 5], [4, 5]]),
      Case(name: "matrix product", operation: .matrixProduct, shapes: [[2, 1, 3, 4], [5, 4, 2]]),
      Case(name: "einsum", operation: .einsum("bnqc,bkc->bqnk"), shapes: [[2, 3, 2, 4], [2, 5, 4]]),
      Case(name: "einsum that sums", operation: .einsum("abx,bc->ac"), shapes: [[2, 3, 4], [3, 5]]),
      Case(name: "attention", operation: .attention(scale: nil), shapes: [[2, 3, 4], [2, 5, 4], [2, 5, 3]]),
      Case(
        name: "attention with a mask", operation: .attention(scale: 0.7),
        shapes: [[2, 2, 3, 4], [2, 2, 5, 4], [2, 2, 5, 2], [3, 5]]),
      Case(
        name: "batch norm in training", operation: .batchNorm(.training(momentum: 0.1), eps: 1e-3),
        shapes: [[3, 2, 3, 2], [2], [2], [2], [2]], fixed: [3: [], 4: []]),
      Case(
        name: "batch norm in training, no axes", operation: .batchNorm(.training(momentum: 0.1), eps: 1e-3),
        shapes: [[5, 3], [3], [3], [3], [3]], fixed: [3: [], 4: []]),
      Case(
        name: "batch norm", operation: .batchNorm(.inference, eps: 1e-3), shapes: [[3, 2, 3], [2], [2], [2], [2]],
        range: 0.5...1.5, fixed: [3: [], 4: []]),
      Case(name: "layer norm", operation: .layerNorm(axes: 2, eps: 1e-3), shapes: [[3, 2, 5], [2, 5], [2, 5]]),
      Case(name: "plain layer norm", operation: .layerNorm(axes: 1, eps: 1e-3), shapes: [[3, 7]]),
      Case(name: "rms norm", operation: .rmsNorm(axes: 1, eps: 1e-3), shapes: [[3, 2, 5], [5]]),
      Case(name: "group norm", operation: .groupNorm(groups: 2, eps: 1e-3), shapes: [[2, 4, 3], [4], [4]]),
      Case(name: "instance norm", operation: .groupNorm(groups: 3, eps: 1e-3), shapes: [[2, 3, 5]]),
      Case(name: "softmax", operation: .softmax(axis: 1, isLogarithm: false), shapes: [[2, 5, 3]]),
      Case(name: "log softmax", operation: .softmax(axis: -1, isLogarithm: true), shapes: [[2, 5]]),
      Case(name: "prelu", operation: .prelu, shapes: [[2, 3, 5], [3]]),
      Case(name: "prelu of one slope", operation: .prelu, shapes: [[2, 3], [1]]),
      Case(name: "add", operation: .binary(.add), shapes: [[2, 3, 4], [3, 1]]),
      Case(name: "subtract", operation: .binary(.subtract), shapes: [[3, 1], [2, 3, 4]]),
      Case(name: "multiply", operation: .binary(.multiply), shapes: [[2, 1, 4], [3, 1]]),
      Case(name: "divide", operation: .binary(.divide), shapes: [[2, 3], [1, 3]], range: 0.5...2),
      Case(name: "power", operation: .binary(.power), shapes: [[2, 3], [3]], range: 0.5...2),
      Case(name: "minimum", operation: .binary(.minimum), shapes: [[2, 3], [3]]),
      Case(name: "maximum", operation: .binary(.maximum), shapes: [[2, 3], []]),
      Case(name: "remainder", operation: .binary(.remainder), shapes: [[7], [7]], range: 0.6...3),
      Case(name: "select", operation: .select, shapes: [[2, 3], [2, 3], [3]], fixed: [0: [1, 0, 0, 1, 1, 0]]),
      Case(name: "sum", operation: .reduce(.sum, axes: [0, 2], keepsAxes: false), shapes: [[2, 3, 4]]),
      Case(name: "mean", operation: .reduce(.mean, axes: [-1], keepsAxes: true), shapes: [[2, 3, 4]]),
      Case(name: "largest", operation: .reduce(.max, axes: [1], keepsAxes: false), shapes: [[2, 5, 3]]),
      Case(name: "least", operation: .reduce(.min, axes: [0, 1], keepsAxes: false), shapes: [[2, 5, 3]]),
      Case(name: "product", operation: .reduce(.product, axes: [0, 2], keepsAxes: false), shapes: [[2, 3, 2]]),
      Case(name: "norm", operation: .reduce(.norm, axes: [1], keepsAxes: true), shapes: [[2, 5]]),
      Case(
        name: "max pool",
        operation: .pool(
          Pool(.max, kernelSize: [3, 2], stride: [2, 1], padding: [1, 0], dilation: [1, 2], ceilMode: true)),
        shapes: [[2, 2, 6, 5]]),
      Case(
        name: "mean pool",
        operation: .pool(Pool(.average, kernelSize: [3, 3], stride: [2, 2], padding: [1, 1])),
        shapes: [[1, 2, 5, 7]]),
      Case(
        name: "mean pool without its padding",
        operation: .pool(
          Pool(.average, kernelSize: [2, 3], stride: [2, 2], padding: [1, 1], ceilMode: true, countsPadding: false)),
        shapes: [[1, 2, 5, 7]]),
      Case(
        name: "adaptive mean", operation: .adaptivePool(AdaptivePool(.average, outputSize: [3, 1])),
        shapes: [[2, 2, 7, 5]]),
      Case(
        name: "adaptive max", operation: .adaptivePool(AdaptivePool(.max, outputSize: [2, 3])),
        shapes: [[2, 2, 5, 7]]),
      Case(name: "nearest", operation: .resize(Resize(.scale([2]))), shapes: [[1, 2, 3, 5]]),
      Case(name: "nearest, smaller", operation: .resize(Resize(.size([2, 7]))), shapes: [[1, 2, 3, 5]]),
      Case(name: "linear resize", operation: .resize(Resize(.size([5, 4]), mode: .linear)), shapes: [[1, 2, 3, 7]]),
      Case(
        name: "linear resize with corners",
        operation: .resize(Resize(.size([5, 4]), mode: .linear, alignsCorners: true)),
        shapes: [[1, 2, 3, 7]]),
      Case(name: "cubic resize", operation: .resize(Resize(.size([7, 4]), mode: .cubic)), shapes: [[1, 1, 5, 5]]),
      Case(name: "grid sample", operation: .gridSample(alignsCorners: false), shapes: [[2, 3, 4, 5], [2, 3, 2, 2]]),
      // Also places outside.
      Case(
        name: "grid sample with corners", operation: .gridSample(alignsCorners: true),
        shapes: [[1, 2, 3, 1], [1, 3, 5, 2]], range: -1.3...1.3),
      Case(name: "pad", operation: .pad([Margin(0), Margin(1, 2), Margin(-1, 1)], .constant(3)), shapes: [[2, 3, 4]]),
      Case(name: "reflect", operation: .pad([Margin(0), Margin(2, 1)], .reflect), shapes: [[2, 5]]),
      Case(name: "replicate", operation: .pad([Margin(1, 0), Margin(2, 1)], .replicate), shapes: [[2, 3]]),
      Case(name: "circular", operation: .pad([Margin(0), Margin(2, 1)], .circular), shapes: [[2, 3]]),
      Case(name: "pixel shuffle", operation: .pixelShuffle(PixelShuffle(factor: 2)), shapes: [[1, 8, 3, 2]]),
      Case(name: "concatenate", operation: .concatenate(axis: 1), shapes: [[2, 3], [2, 1], [2, 4]]),
      Case(name: "stack", operation: .stack(axis: -1), shapes: [[2, 3], [2, 3]]),
      Case(name: "split", operation: .split(axis: 1, .sizes([2, 1, 4])), shapes: [[2, 7]]),
      Case(name: "slice", operation: .slice(axis: 1, start: -6, end: 6, step: 2), shapes: [[2, 7, 2]]),
      Case(
        name: "gather", operation: .gather(axis: 1, batchAxes: 0), shapes: [[2, 4, 3], [5]],
        fixed: [1: [3, -4, 3, 1, 0]]),
      Case(
        name: "gather by entry", operation: .gather(axis: 1, batchAxes: 1), shapes: [[2, 4, 3], [2, 3]],
        fixed: [1: [3, -4, 3, 1, 0, 1]]),
      Case(name: "scatter", operation: .scatter(.add), shapes: [[4, 2], [3], [3, 2]], fixed: [1: [1, 3, 1]]),
      Case(name: "scatter over", operation: .scatter(.none), shapes: [[4, 2], [2], [2, 2]], fixed: [1: [1, -1]]),
      Case(name: "reshape", operation: .reshape([.fixed(3), .inferred]), shapes: [[2, 3, 2]]),
      Case(name: "permute", operation: .permute([2, 0, -2]), shapes: [[2, 3, 4]]),
      Case(name: "expand", operation: .expand([.fixed(4), .fixed(2), .fixed(3)]), shapes: [[2, 1]]),
      Case(name: "top", operation: .topK(axis: 1, count: 2), shapes: [[2, 5, 3]]),
      Case(
        name: "logarithm", operation: .unary(.log), shapes: [[7]], range: 0.3...2),
      Case(name: "root", operation: .unary(.sqrt), shapes: [[7]], range: 0.3...2),
      Case(name: "root below", operation: .unary(.rsqrt), shapes: [[7]], range: 0.3...2),
      Case(name: "reciprocal", operation: .unary(.reciprocal), shapes: [[7]], range: 0.3...2),
      Case(name: "arc cosine", operation: .unary(.acos), shapes: [[7]], range: -0.8...0.8),
      Case(name: "arc sine", operation: .unary(.asin), shapes: [[7]], range: -0.8...0.8),
      Case(name: "area tangent", operation: .unary(.atanh), shapes: [[7]], range: -0.8...0.8),
      Case(name: "area cosine", operation: .unary(.acosh), shapes: [[7]], range: 1.2...3),
      Case(
        name: "dropout", operation: .dropout(Dropout(probability: 0.4)), shapes: [[3, 5]]),
      Case(
        name: "dropped channels", operation: .dropout(Dropout(probability: 0.4, unit: .channel)), shapes: [[3, 5, 2]]),
    ] + recurrences + unaries.map { Case(name: "\($0)", operation: .unary($0), shapes: [[3, 7]], range: -3...3) }

  @Test(arguments: cases) func equalsCentralDifferences(of test: Case) throws { try check(test) }

  /// A loss of the outputs alone, of the last state alone, of an LSTM's last memory alone.
  @Test(arguments: recurrences) func equalsThemForOneResult(of test: Case) throws {
    var numbers = Generator(7)
    for index in try test.forward(.float64, &numbers).results.indices { try check(test, result: index) }
  }

  /// - Parameter result: the only one that the loss knows; all when nil.
  private func check(_ test: Case, result chosen: Int? = nil) throws {
    var numbers = Generator(7)
    let made = try test.forward(.float64, &numbers)
    var graph = made.graph
    let (types, tensors, results) = (made.types, made.tensors, made.results)
    // A sum of all results, each element with a factor of its own.
    let inferred = try graph.types(of: types)
    var loss: Graph.Value?
    for (index, result) in results.enumerated() where !inferred[result].dtype.isInteger && index == chosen ?? index {
      if case .batchNorm = test.operation, result != results[0] { continue }
      let type = inferred[result]
      let factors = graph.addConstant(
        try Tensor((0..<type.shape.reduce(1, *)).map { _ in Double.random(in: -1...1, using: &numbers) }, type.shape))
      let product = try graph.emit(.binary(.multiply), result, factors)
      let sum = try graph.emit(.reduce(.sum, axes: Array(type.shape.indices), keepsAxes: false), product)
      loss = try loss.map { try graph.emit(.binary(.add), $0, sum) } ?? sum
    }
    let value = try #require(loss)
    let training = try graph.gradients(of: value, for: types, ofInputs: true)
    // What is drawn, where something is.
    let seed = training.seed == nil ? [] : [try Tensor([Int64(11), 3])]
    _ = try training.graph.types(of: types + (seed.isEmpty ? [] : [TensorType(.int64, [2])]))

    for (place, gradient) in training.inputGradients.enumerated() {
      guard types[place].dtype == .float64 else { continue }
      // What the only result does not depend on has none.
      guard chosen == nil || gradient != nil else { continue }
      let found = try training.graph.reference(tensors + seed, of: [try #require(gradient)])[0]
      #expect(found.shape == types[place].shape)
      let gradients = try found.doubles()
      let values = try tensors[place].doubles()
      let step = 1e-6
      for index in values.indices {
        let sides = try [step, -step].map { change in
          var moved = values
          moved[index] += change
          var operands = tensors
          operands[place] = try Tensor(moved, types[place].shape)
          return try training.graph.reference(operands + seed, of: [training[value]])[0].doubles()[0]
        }
        let difference = (sides[0] - sides[1]) / (2 * step)
        // Central differences are off by the third derivative times step², and by rounding over the step.
        #expect(abs(difference - gradients[index]) <= 1e-7 * max(1, abs(difference)), "\(place)[\(index)]")
      }
    }
  }
}
