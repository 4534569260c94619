import ModelCore
import ModelEngine
import ModelGraph
import TestSupport
import Testing

/// Every operation as the engine computes it, against the reference interpreter: odd sizes, values in every layout.
@Suite struct PlanTests {
  static func convolution(
    _ stride: [Int], _ padding: [Margin], dilation: [Int]? = nil, groups: Int = 1, isTransposed: Bool = false,
    adding: [Int]? = nil
  ) -> Operation {
    .convolution(
      ConvolutionGeometry(
        stride: stride, padding: padding, dilation: dilation ?? stride.map { _ in 1 }, groups: groups,
        isTransposed: isTransposed, outputPadding: adding))
  }

  static let cases: [Case] = [
    Case(
      name: "conv2d", operation: convolution([1, 1], [Margin(1), Margin(1)]),
      shapes: [[2, 3, 7, 5], [4, 3, 3, 3], [4]]),
    Case(
      name: "conv2d without bias", operation: convolution([2, 1], [Margin(0), Margin(2)]),
      shapes: [[1, 5, 9, 6], [7, 5, 2, 3]]),
    Case(
      name: "conv2d asymmetric", operation: convolution([2, 2], [Margin(1, 2), Margin(0, 3)]),
      shapes: [[1, 3, 8, 8], [4, 3, 3, 3], [4]]),
    Case(
      name: "conv2d dilated", operation: convolution([1, 1], [Margin(2), Margin(2)], dilation: [2, 3]),
      shapes: [[1, 3, 9, 11], [2, 3, 3, 2], [2]]),
    Case(
      name: "conv2d groups", operation: convolution([1, 1], [Margin(1), Margin(1)], groups: 2),
      shapes: [[2, 6, 5, 5], [4, 3, 3, 3], [4]]),
    Case(
      name: "conv2d depthwise", operation: convolution([2, 2], [Margin(1), Margin(1)], groups: 5),
      shapes: [[1, 5, 8, 7], [5, 1, 3, 3], [5]]),
    Case(
      name: "conv1d", operation: convolution([2], [Margin(2)], dilation: [3]), shapes: [[2, 3, 17], [4, 3, 3], [4]]),
    Case(
      name: "conv3d", operation: convolution([1, 2, 1], [Margin(1), Margin(0), Margin(1)]),
      shapes: [[1, 2, 4, 5, 6], [3, 2, 3, 2, 1], [3]]),
    Case(
      name: "transposed", operation: convolution([2, 2], [Margin(1), Margin(0)], isTransposed: true, adding: [1, 0]),
      shapes: [[1, 4, 5, 3], [4, 3, 3, 2], [3]]),
    Case(
      name: "transposed groups",
      operation: convolution([2, 2], [Margin(0), Margin(0)], groups: 2, isTransposed: true),
      shapes: [[2, 4, 3, 3], [4, 3, 2, 2], [6]]),
    Case(
      name: "transposed dilated", operation: convolution([3], [Margin(1)], dilation: [2], isTransposed: true),
      shapes: [[1, 4, 5], [4, 3, 3], [3]]),
    Case(name: "linear", operation: .linear, shapes: [[2, 3, 5], [7, 5], [7]]),
    Case(name: "linear vector", operation: .linear, shapes: [[5], [3, 5]]),
    Case(name: "product", operation: .matrixProduct, shapes: [[2, 3, 4, 5], [5, 7]]),
    Case(name: "product broadcast", operation: .matrixProduct, shapes: [[3, 1, 2, 5], [4, 5, 3]]),
    Case(
      name: "batch norm", operation: .batchNorm(.inference, eps: 1e-3), shapes: [[2, 3, 5, 4], [3], [3], [3], [3]]),
    Case(
      name: "batch norm of rows", operation: .batchNorm(.inference, eps: 1e-5), shapes: [[4, 3], [3], [3], [3], [3]]),
    Case(name: "layer norm", operation: .layerNorm(axes: 2, eps: 1e-5), shapes: [[3, 4, 5], [4, 5], [4, 5]]),
    Case(name: "layer norm without weights", operation: .layerNorm(axes: 1, eps: 1e-5), shapes: [[3, 7]]),
    Case(name: "group norm", operation: .groupNorm(groups: 2, eps: 1e-5), shapes: [[2, 4, 3, 3], [4], [4]]),
    Case(name: "rms norm", operation: .rmsNorm(axes: 1, eps: 1e-5), shapes: [[2, 5], [5]]),
    Case(name: "softmax of channels", operation: .softmax(axis: 1, isLogarithm: false), shapes: [[2, 5, 3, 4]]),
    Case(name: "log softmax", operation: .softmax(axis: -1, isLogarithm: true), shapes: [[3, 7]]),
    Case(
      name: "max pool", operation: .pool(Pool(.max, kernelSize: [3, 2], stride: [2, 2], padding: [1, 1])),
      shapes: [[2, 3, 7, 6]]),
    Case(
      name: "max pool ceil", operation: .pool(Pool(.max, kernelSize: [3, 3], stride: [2, 2], ceilMode: true)),
      shapes: [[1, 3, 8, 6]]),
    Case(
      name: "max pool dilated", operation: .pool(Pool(.max, kernelSize: [2, 2], stride: [1, 1], dilation: [2, 3])),
      shapes: [[1, 2, 7, 8]]),
    Case(
      name: "mean pool", operation: .pool(Pool(.average, kernelSize: [3, 3], stride: [2, 2], padding: [1, 1])),
      shapes: [[1, 3, 7, 8]]),
    Case(
      name: "mean pool without padding",
      operation: .pool(Pool(.average, kernelSize: [3, 3], stride: [2, 2], padding: [1, 1], countsPadding: false)),
      shapes: [[1, 3, 7, 8]]),
    Case(
      name: "mean pool ceil",
      operation: .pool(Pool(.average, kernelSize: [3, 3], stride: [2, 2], padding: [1, 1], ceilMode: true)),
      shapes: [[1, 3, 8, 6]]),
    Case(
      name: "mean pool ceil unpadded",
      operation: .pool(Pool(.average, kernelSize: [2, 2], stride: [2, 2], ceilMode: true)), shapes: [[1, 3, 7, 5]]),
    Case(
      name: "mean pool divisor", operation: .pool(Pool(.average, kernelSize: [2, 2], divisor: 3)),
      shapes: [[1, 3, 6, 6]]),
    Case(
      name: "adaptive mean", operation: .adaptivePool(AdaptivePool(.average, outputSize: [1, 1])),
      shapes: [[2, 5, 4, 3]]),
    Case(
      name: "adaptive even", operation: .adaptivePool(AdaptivePool(.max, outputSize: [2, 3])), shapes: [[2, 5, 4, 9]]),
    Case(
      name: "adaptive uneven", operation: .adaptivePool(AdaptivePool(.average, outputSize: [3, 2])),
      shapes: [[1, 2, 5, 7]]),
    Case(name: "nearest", operation: .resize(Resize(.scale([2]))), shapes: [[2, 3, 4, 5]]),
    Case(name: "nearest size", operation: .resize(Resize(.size([7, 3]))), shapes: [[1, 3, 4, 5]]),
    Case(
      name: "nearest exact", operation: .resize(Resize(.size([7, 9]), mode: .nearestExact)), shapes: [[1, 3, 4, 5]]),
    Case(name: "bilinear", operation: .resize(Resize(.size([9, 3]), mode: .linear)), shapes: [[2, 3, 4, 5]]),
    Case(
      name: "bilinear corners", operation: .resize(Resize(.size([9, 8]), mode: .linear, alignsCorners: true)),
      shapes: [[1, 3, 4, 5]]),
    Case(
      name: "bilinear scale", operation: .resize(Resize(.scale([1.7, 0.6]), mode: .linear)), shapes: [[1, 3, 5, 6]]),
    Case(name: "cubic", operation: .resize(Resize(.size([5, 7]), mode: .cubic)), shapes: [[1, 2, 4, 4]]),
    Case(
      name: "pad", operation: .pad([Margin(0), Margin(1, 0), Margin(2, 1), Margin(0, 3)], .constant(1.5)),
      shapes: [[1, 2, 3, 4]]),
    Case(
      name: "pad cuts", operation: .pad([Margin(0), Margin(-1, 0), Margin(2, -1), Margin(0)], .constant(0)),
      shapes: [[1, 2, 3, 4]]),
    Case(
      name: "pad mirrored", operation: .pad([Margin(0), Margin(0), Margin(2, 1), Margin(1)], .reflect),
      shapes: [[1, 2, 3, 4]]),
    Case(name: "shuffle", operation: .pixelShuffle(PixelShuffle(factor: 2)), shapes: [[2, 8, 3, 5]]),
    Case(
      name: "unshuffle", operation: .pixelShuffle(PixelShuffle(factor: 2, isInverse: true)), shapes: [[2, 3, 4, 6]]),
    Case(name: "concatenate", operation: .concatenate(axis: 1), shapes: [[2, 3, 4, 5], [2, 1, 4, 5], [2, 2, 4, 5]]),
    Case(name: "concatenate rows", operation: .concatenate(axis: -2), shapes: [[2, 3, 4, 5], [2, 3, 1, 5]]),
    Case(name: "stack", operation: .stack(axis: 1), shapes: [[2, 3, 4], [2, 3, 4]]),
    Case(name: "slice", operation: .slice(axis: 2, start: 1, end: nil, step: 2), shapes: [[2, 3, 7, 4]]),
    Case(name: "flatten", operation: .flatten(Flatten(start: 1)), shapes: [[2, 3, 4, 5]]),
    Case(name: "reshape", operation: .reshape([.fixed(6), .inferred]), shapes: [[2, 3, 4, 5]]),
    Case(name: "permute", operation: .permute([0, 2, 3, 1]), shapes: [[2, 3, 4, 5]]),
    Case(name: "expand", operation: .expand([.fixed(4), .fixed(2), .fixed(3)]), shapes: [[2, 1]].map { [1] + $0 }),
    Case(name: "mean of rows", operation: .reduce(.mean, axes: [-1], keepsAxes: true), shapes: [[2, 3, 4, 5]]),
    Case(
      name: "mean of all", operation: .reduce(.mean, axes: [0, 1, 2, 3], keepsAxes: false), shapes: [[2, 3, 4, 5]]),
    Case(name: "sum", operation: .reduce(.sum, axes: [1], keepsAxes: false), shapes: [[2, 3, 4, 5]]),
    Case(name: "largest", operation: .topK(axis: 1, count: 2), shapes: [[3, 5]]),
    Case(name: "add", operation: .binary(.add), shapes: [[2, 3, 4, 5], [2, 3, 4, 5]]),
    Case(name: "add channels", operation: .binary(.add), shapes: [[2, 3, 4, 5], [3, 1, 1]]),
    Case(name: "multiply pixels", operation: .binary(.multiply), shapes: [[2, 3, 4, 5], [2, 3, 1, 1]]),
    Case(name: "divide by one", operation: .binary(.divide), shapes: [[2, 3, 4], []]),
    Case(name: "power", operation: .binary(.power), shapes: [[2, 3], [3]]),
    Case(name: "maximum", operation: .binary(.maximum), shapes: [[2, 1, 4], [3, 1]]),
    Case(name: "prelu", operation: .prelu, shapes: [[2, 3, 4], [3]]),
    Case(name: "no elements", operation: .unary(.relu), shapes: [[2, 0, 4]]),
    Case(
      name: "no batch", operation: convolution([1, 1], [Margin(1), Margin(1)]),
      shapes: [[0, 3, 7, 5], [4, 3, 3, 3], [4]]),
  ]

  static let functions: [Unary] = [
    .abs, .ceil, .clip(minimum: -0.5, maximum: nil), .clip(minimum: 0, maximum: 6), .cos, .elu(alpha: 1.5), .erf, .exp,
    .floor, .gelu(isApproximate: false), .gelu(isApproximate: true), .hardsigmoid, .hardswish, .leakyReLU(slope: 0.1),
    .logSigmoid, .mish, .negate, .reciprocal, .relu, .round, .selu, .sigmoid, .sign, .silu, .sin,
    .softplus(beta: 1, threshold: 20), .softsign, .square, .tanh,
  ]

  @Test(arguments: cases)
  func operation(_ test: Case) throws { try test.check() }

  @Test(arguments: functions)
  func function(_ function: Unary) throws {
    var graph = Graph()
    let input = graph.addInput("x")
    graph.outputs = [try graph.emit(.unary(function), input)]
    try expectSame(graph, [tensor([2, 3, 5, 7], 3)])
    // Behind a convolution it is computed with it; of sums near 0 the reciprocal tells nothing.
    if function == .reciprocal { return }
    let weight = graph.addWeight("w", Graph.Weight(tensor: try tensor([4, 3, 1, 1], 5)))
    let product = try graph.emit(Self.convolution([1, 1], [Margin(0), Margin(0)]), input, weight)
    graph.outputs = [try graph.emit(.unary(function), product)]
    try expectSame(graph, [tensor([2, 3, 5, 7], 3)])
  }

  /// A residual block: batch norms go into weights, the sum and what follows it are computed with the last convolution.
  @Test func fusion() throws {
    var graph = Graph()
    let input = graph.addInput("x")
    func conv(_ name: String, _ x: Graph.Value) throws -> Graph.Value {
      let weight = graph.addWeight("\(name).w", Graph.Weight(tensor: try tensor([4, 4, 3, 3], name.utf8.count)))
      let norm = try (0..<4).map { index in
        graph.addWeight("\(name).\(index)", Graph.Weight(tensor: try tensor([4], index, positive: index == 3)))
      }
      let y = try graph.emit(Self.convolution([1, 1], [Margin(1), Margin(1)]), x, weight)
      return try graph.emitAll(.batchNorm(.inference, eps: 1e-5), [y] + norm)[0]
    }
    let first = try graph.emit(.unary(.silu), conv("a", input))
    let shortcut = try conv("longer", input)
    let sum = try graph.emit(.binary(.add), conv("bb", first), shortcut)
    graph.outputs = [try graph.emit(.unary(.relu), sum), first]
    let inputs = [try tensor([2, 4, 6, 5], 9)]
    try expectSame(graph, inputs)
    let plan = try Plan(graph, for: [TensorType(.float32, [2, 4, 6, 5])])
    #expect(
      plan.steps.map(\.operation).filter { $0 != "copy" } == ["convolution", "silu", "convolution", "convolution"])
  }

  /// What a value shares with another must not be written over while that is still read.
  @Test func views() throws {
    var graph = Graph()
    let input = graph.addInput("x")
    let parts = try graph.emitAll(.split(axis: 1, .equal(2)), [input])
    let sum = try graph.emit(.binary(.add), parts[0], parts[1])
    let joined = try graph.emit(.concatenate(axis: 1), sum, parts[1], sum)
    let flat = try graph.emit(.reshape([.fixed(2), .inferred]), joined)
    graph.outputs = [flat, try graph.emit(.permute([3, 1, 0, 2]), joined), parts[1], input]
    try expectSame(graph, [tensor([2, 6, 3, 5], 1)])
  }

  @Test func otherTypes() throws {
    var graph = Graph()
    let input = graph.addInput("x")
    let places = graph.addConstant(try Tensor(integers: [2, 0], .int64, [2]))
    graph.outputs = [
      try graph.emit(.gather(axis: 0, batchAxes: 0), input, places), try graph.emit(.convert(.int64), input),
      try graph.emit(.argmax(axis: 1, keepsAxis: false), input), try graph.emit(.shape, input),
      try graph.emit(.compare(.less), input, graph.addConstant(Tensor([0] as [Float], []))),
    ]
    try expectSame(graph, [tensor([3, 4], 2)])
  }

  // MARK: Refusals

  @Test func refusals() throws {
    var graph = Graph()
    let input = graph.addInput("pixels")
    graph.outputs = [try graph.emit(.unary(.relu), input)]
    let session = try Session(Plan(graph, for: [TensorType(.float32, [2, 3])]))
    #expect(
      refusal { _ = try session.run([tensor([3, 2], 1)]) }
        == "pixels: is float32 [3, 2], the plan is made for float32 [2, 3]")
    #expect(refusal { _ = try session.run([]) } == "takes 1 tensors, not 0")
    #expect(refusal { _ = try Plan(graph, for: []) } == "takes 1 tensors, not 0")
    #expect(refusal { _ = try session.run([tensor([2, 3], 1).cast(to: .float16)]) } != nil)
    graph.outputs = [try graph.emit(.other("some.Thing"), input)]
    #expect(refusal { _ = try Plan(graph, for: [TensorType(.float32, [2])]) }?.contains("some.Thing") == true)
    // Beyond any machine's memory: nothing is allocated.
    var large = Graph()
    large.outputs = [try large.emit(.expand([.fixed(1 << 20), .fixed(1 << 24)]), large.addInput("x"))]
    large.outputs = [try large.emit(.unary(.relu), large.outputs[0])]
    #expect(refusal { _ = try Session(Plan(large, for: [TensorType(.float32, [1])])) } != nil)
  }

  /// Sessions on several threads share a plan.
  @Test func threads() async throws {
    var graph = Graph()
    let weight = graph.addWeight("w", Graph.Weight(tensor: try tensor([8, 3, 3, 3], 5)))
    graph.outputs = [
      try graph.emit(Self.convolution([1, 1], [Margin(1), Margin(1)]), graph.addInput("x"), weight)
    ]
    let plan = try Plan(graph, for: [TensorType(.float32, [1, 3, 9, 9])])
    let inputs = try (0..<8).map { try tensor([1, 3, 9, 9], $0) }
    let expected = try inputs.map { try graph.reference([$0])[0].floats() }
    try await withThrowingTaskGroup(of: (Int, [Float]).self) { group in
      for (index, input) in inputs.enumerated() {
        group.addTask { (index, try Session(plan).run([input])[0].floats()) }
      }
      for try await (index, values) in group {
        #expect(zip(values, expected[index]).allSatisfy { abs($0 - $1) < 1e-4 })
      }
    }
  }
}
