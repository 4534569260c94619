import ModelCore
import ModelEngine
import ModelGraph
import Testing

/// The engine's own kernels against the reference interpreter: odd sizes, every kind of mask, margin and type.
@Suite struct KernelTests {
  static let products: [Case] = [
    Case(name: "einsum of heads", operation: .einsum("bnqc,bkc->bqnk"), shapes: [[2, 3, 4, 5], [2, 7, 5]]),
    Case(name: "einsum of one", operation: .einsum("abc->ca"), shapes: [[2, 3, 5]]),
    Case(name: "einsum of a diagonal", operation: .einsum("aab,bc->ca"), shapes: [[3, 3, 5], [5, 2]]),
    Case(name: "einsum of elements", operation: .einsum("ab,ab->ab"), shapes: [[3, 5], [3, 5]]),
    Case(name: "einsum inner", operation: .einsum("ab,ab->a"), shapes: [[3, 5], [3, 5]]),
    Case(name: "einsum to a number", operation: .einsum("ab,bc->"), shapes: [[3, 5], [5, 2]]),
    Case(name: "einsum outer", operation: .einsum("a,b->ba"), shapes: [[3], [5]]),
    Case(name: "einsum of three", operation: .einsum("ab,cbd,de->ace"), shapes: [[3, 5], [2, 5, 7], [7, 3]]),
    Case(
      name: "einsum of places", operation: .einsum("bhwc,hkc->bhwk"), shapes: [[2, 3, 5, 4], [3, 7, 4]]),
    Case(name: "attention", operation: .attention(scale: nil), shapes: [[2, 3, 5, 4], [2, 3, 7, 4], [2, 3, 7, 3]]),
    Case(name: "attention of matrices", operation: .attention(scale: 0.3), shapes: [[5, 4], [7, 4], [7, 4]]),
    Case(
      name: "attention masked", operation: .attention(scale: nil),
      shapes: [[2, 3, 5, 4], [2, 3, 7, 4], [2, 3, 7, 3], [5, 7]]),
    Case(
      name: "attention masked by heads", operation: .attention(scale: nil),
      shapes: [[2, 3, 5, 4], [2, 3, 7, 4], [2, 3, 7, 3], [2, 1, 1, 7]]),
    Case(
      name: "attention kept", operation: .attention(scale: nil),
      shapes: [[2, 3, 5, 4], [2, 3, 2, 4], [2, 3, 2, 3], [3, 5, 2]], types: [3: .bool]),
    Case(
      name: "attention in parts", operation: .attention(scale: nil),
      shapes: [[2, 397, 5], [2, 677, 5], [2, 677, 3], [397, 677]], types: [3: .bool]),
    Case(
      name: "rnn", operation: .recurrence(Recurrence(.rnnTanh)),
      shapes: [[4, 3, 5], [3, 7], [7, 5], [7, 7], [7], [7]]),
    Case(
      name: "rnn with relu", operation: .recurrence(Recurrence(.rnnReLU, isReversed: true, hasBias: false)),
      shapes: [[4, 3, 5], [3, 7], [7, 5], [7, 7]]),
    Case(
      name: "gru", operation: .recurrence(Recurrence(.gru)),
      shapes: [[4, 3, 5], [3, 7], [21, 5], [21, 7], [21], [21]]),
    Case(
      name: "lstm", operation: .recurrence(Recurrence(.lstm, isReversed: true)),
      shapes: [[4, 3, 5], [3, 7], [3, 7], [28, 5], [28, 7], [28], [28]]),
    Case(
      name: "lstm projected", operation: .recurrence(Recurrence(.lstm, isProjected: true)),
      shapes: [[4, 3, 5], [3, 2], [3, 7], [28, 5], [28, 2], [28], [28], [2, 7]]),
  ]

  static let norms: [Case] = [
    Case(name: "group norm of a map", operation: .groupNorm(groups: 3, eps: 1e-5), shapes: [[2, 6, 5, 7], [6], [6]]),
    Case(name: "group norm of rows", operation: .groupNorm(groups: 1, eps: 1e-5), shapes: [[3, 5]]),
    Case(name: "instance norm", operation: .groupNorm(groups: 5, eps: 1e-3), shapes: [[2, 5, 4, 3, 2]]),
    Case(name: "rms norm of two axes", operation: .rmsNorm(axes: 2, eps: nil), shapes: [[3, 4, 17]]),
    Case(name: "layer norm of a long row", operation: .layerNorm(axes: 1, eps: 1e-6), shapes: [[2, 133], [133]]),
    Case(
      name: "batch norm in training", operation: .batchNorm(.training(momentum: 0.1), eps: 1e-5),
      shapes: [[3, 5, 4, 7], [5], [5], [5], [5]]),
    Case(
      name: "batch norm of all batches", operation: .batchNorm(.training(momentum: nil), eps: 1e-5),
      shapes: [[4, 5], [5], [5], [5], [5], []], types: [5: .int64]),
    Case(name: "softmax of a number", operation: .softmax(axis: nil, isLogarithm: false), shapes: [[]]),
    Case(name: "softmax of a middle axis", operation: .softmax(axis: 2, isLogarithm: false), shapes: [[2, 3, 5, 7]]),
  ]

  static let reductions: [Case] = [Reduction.sum, .mean, .max, .min, .product, .norm].flatMap { reduction in
    [[0], [1], [2], [-1], [0, 2], [1, 2], [2, 3], [0, 1, 2, 3]].map { axes in
      Case(
        name: "\(reduction.rawValue) of \(axes)", operation: .reduce(reduction, axes: axes, keepsAxes: axes.count > 1),
        shapes: [[2, 3, 5, 4]])
    }
  }

  static let places: [Case] = [
    Case(name: "gather", operation: .gather(axis: 1, batchAxes: 0), shapes: [[3, 4, 5], [2, 3]], types: [1: .int64]),
    Case(
      name: "gather numbers", operation: .gather(axis: -1, batchAxes: 0), shapes: [[3, 4, 5], [7]], types: [1: .int32]),
    Case(
      name: "gather by entries", operation: .gather(axis: 2, batchAxes: 1), shapes: [[3, 4, 5], [3, 2]],
      types: [1: .int64]),
    Case(
      name: "gather wide", operation: .gather(axis: 1, batchAxes: 1), shapes: [[3, 4, 5], [3, 2]],
      types: [0: .float64, 1: .int64]),
    Case(
      name: "gather bytes", operation: .gather(axis: 0, batchAxes: 0), shapes: [[3, 4, 5], []],
      types: [0: .bool, 1: .int64]),
    Case(name: "argmax", operation: .argmax(axis: 1, keepsAxis: true), shapes: [[3, 17, 4]]),
    Case(
      name: "argmax of equals", operation: .argmax(axis: 0, keepsAxis: false), shapes: [[31, 4]], types: [0: .int64]),
    Case(name: "largest of all", operation: .topK(axis: -1, count: 99), shapes: [[3, 23]]),
    Case(name: "largest of columns", operation: .topK(axis: 1, count: 5), shapes: [[2, 29, 3]]),
    Case(name: "largest of equals", operation: .topK(axis: 0, count: 7), shapes: [[31]], types: [0: .int32]),
    Case(
      name: "pad circular", operation: .pad([Margin(0), Margin(2, 1), Margin(1, 3)], .circular), shapes: [[2, 3, 4]]),
    Case(
      name: "pad replicated", operation: .pad([Margin(0), Margin(5, 1), Margin(-1, 3)], .replicate),
      shapes: [[2, 3, 4]]),
    Case(
      name: "pad mirrored and cut", operation: .pad([Margin(0), Margin(2, -1), Margin(-1, -1)], .reflect),
      shapes: [[2, 3, 4]]),
    Case(name: "pad circular and cut", operation: .pad([Margin(2, -1), Margin(-1, 2)], .circular), shapes: [[5, 4]]),
    Case(
      name: "pad whole numbers", operation: .pad([Margin(2, -1), Margin(0, 1)], .constant(-3)), shapes: [[5, 4]],
      types: [0: .int64]),
    Case(
      name: "concatenate types", operation: .concatenate(axis: 1), shapes: [[3, 4], [3, 2], [3, 0]], types: [0: .int64]),
    Case(name: "stack types", operation: .stack(axis: -1), shapes: [[3, 4], [3, 4]], types: [0: .bool]),
    Case(name: "coordinates", operation: .coordinates(axis: 1), shapes: [[3, 7]]),
    Case(name: "dropout of all", operation: .dropout(Dropout(probability: 1)), shapes: [[3, 7]]),
  ]

  static let windows: [Case] = [
    Case(
      name: "mean pool ceil with divisor",
      operation: .pool(
        Pool(.average, kernelSize: [3, 2], stride: [2, 2], padding: [1, 0], ceilMode: true, divisor: 5)),
      shapes: [[2, 3, 7, 5]]),
    Case(
      name: "mean pool with a divisor below 0",
      operation: .pool(Pool(.average, kernelSize: [3], stride: [1], padding: [1], divisor: -2)), shapes: [[2, 3, 7]]),
    Case(
      name: "mean pool of rows",
      operation: .pool(Pool(.average, kernelSize: [3], stride: [2], padding: [1], ceilMode: true)), shapes: [[2, 3, 8]]),
    Case(
      name: "max pool of a volume", operation: .pool(Pool(.max, kernelSize: [2, 3, 2], padding: [1, 1, 0])),
      shapes: [[2, 3, 4, 5, 6]]),
    Case(name: "max pool without a batch", operation: .pool(Pool(.max, kernelSize: [2, 2])), shapes: [[3, 5, 6]]),
    Case(
      name: "adaptive max uneven", operation: .adaptivePool(AdaptivePool(.max, outputSize: [3, 4])),
      shapes: [[2, 3, 5, 7]]),
    Case(
      name: "adaptive to more", operation: .adaptivePool(AdaptivePool(.average, outputSize: [7, nil])),
      shapes: [[2, 3, 5, 4]]),
    Case(
      name: "adaptive rows", operation: .adaptivePool(AdaptivePool(.average, outputSize: [3])), shapes: [[2, 3, 7]]),
    Case(
      name: "adaptive volume", operation: .adaptivePool(AdaptivePool(.average, outputSize: [2, 1, 3])),
      shapes: [[2, 3, 5, 4, 7]]),
    Case(name: "nearest rows", operation: .resize(Resize(.size([7]))), shapes: [[2, 3, 4]]),
    Case(name: "linear rows", operation: .resize(Resize(.scale([2.3]), mode: .linear)), shapes: [[2, 3, 5]]),
    Case(
      name: "trilinear", operation: .resize(Resize(.size([3, 7, 5]), mode: .linear, alignsCorners: true)),
      shapes: [[1, 2, 4, 5, 3]]),
    Case(name: "nearest volume", operation: .resize(Resize(.scale([2]))), shapes: [[1, 2, 2, 3, 4]]),
    Case(name: "bicubic", operation: .resize(Resize(.scale([1.7, 0.6]), mode: .cubic)), shapes: [[2, 3, 5, 7]]),
    Case(name: "grid sample", operation: .gridSample(alignsCorners: false), shapes: [[2, 3, 5, 7], [2, 4, 3, 2]]),
    Case(
      name: "grid sample by corners", operation: .gridSample(alignsCorners: true),
      shapes: [[2, 3, 5, 1], [2, 4, 3, 2]]),
  ]

  @Test(arguments: products + norms)
  func product(_ test: Case) throws { try test.check() }

  @Test(arguments: reductions + places + windows)
  func arrangement(_ test: Case) throws { try test.check() }

  static let dtypes: [DType] = [.float64, .float16, .bfloat16, .int64, .int32, .int16, .int8, .uint8, .bool]

  /// Elements of every type, and of two.
  @Test(arguments: dtypes)
  func otherTypes(_ dtype: DType) throws {
    var operations: [Operation] = [.compare(.less), .compare(.equal), .binary(.maximum), .binary(.and)]
    if dtype != .bool { operations += [.binary(.add), .binary(.multiply), .binary(.subtract)] }
    for other in [dtype, .float32, .int64] {
      for operation in operations {
        try Case(
          name: "\(operation)", operation: operation, shapes: [[2, 3, 5], [3, 1]], types: [0: dtype, 1: other]
        ).check()
      }
      try Case(
        name: "select", operation: .select, shapes: [[3, 1], [2, 3, 5], [5]], types: [0: .bool, 1: dtype, 2: other]
      ).check()
      try Case(name: "convert", operation: .convert(other), shapes: [[3, 7]], types: [0: dtype]).check()
      try Case(name: "convert", operation: .convert(dtype), shapes: [[3, 7]], types: [0: other]).check()
    }
    var functions = [Unary.abs, .not, .square, .relu, .sigmoid]
    if dtype != .bool { functions.append(.clip(minimum: -1, maximum: 1)) }
    if dtype != .bool && dtype != .uint8 { functions.append(.negate) }
    for function in functions {
      try Case(name: "\(function)", operation: .unary(function), shapes: [[3, 7]], types: [0: dtype]).check()
    }
    for reduction in dtype.isFloatingPoint ? [Reduction.sum, .mean, .max] : [.sum, .max] {
      try Case(
        name: reduction.rawValue, operation: .reduce(reduction, axes: [1], keepsAxes: false), shapes: [[2, 3, 5]],
        types: [0: dtype]
      ).check()
    }
  }

  /// The functions that oneDNN does not have, of numbers near 0, large ones, and none.
  @Test(arguments: [
    Unary.celu(alpha: 0.7), .cos, .elu(alpha: 1.5), .erf, .hardshrink(lambda: 0.5), .hardsigmoid, .logSigmoid, .negate,
    .not, .round, .selu, .sign, .sin, .softplus(beta: 1, threshold: 20), .softplus(beta: 2, threshold: 3),
    .softshrink(lambda: 0.5), .softsign, .tan, .tanhshrink, .threshold(0.25, value: -3), .floor, .ceil,
    .acos, .acosh, .asin, .asinh, .atan, .atanh, .cosh, .sinh,
  ])
  func function(_ function: Unary) throws {
    let numbers: [Float] =
      [0, -0.0, 1e-20, -1e-6, 0.5, -0.5, 1, 2.5, -3.5, 7, -9, 30, -60, .nan] + (0..<201).map { Float($0 - 100) * 0.1 }
    let wide: [Float] = [100, -100, 1000, 1e6, -1e6, 1e9, .infinity, -.infinity]
    var graph = Graph()
    graph.outputs = [try graph.emit(.unary(function), graph.addInput("x"))]
    try expectSame(graph, [Tensor(numbers)], "\(function)")
    for number in wide { try expectSame(graph, [Tensor([number])], "\(function) of \(number)") }
  }

  /// What has no kernel is computed by the reference: other types than float32, and operands without elements.
  @Test(arguments: [
    Case(
      name: "product of doubles", operation: .linear, shapes: [[3, 5], [2, 5]], types: [0: .float64, 1: .float64]),
    Case(name: "product of two types", operation: .matrixProduct, shapes: [[3, 5], [5, 2]], types: [1: .int64]),
    Case(
      name: "pool of whole numbers", operation: .pool(Pool(.max, kernelSize: [2, 2])), shapes: [[1, 2, 5, 4]],
      types: [0: .int64]),
    Case(
      name: "scatter", operation: .scatter(.none), shapes: [[4, 3], [2], [2, 3]], types: [1: .int64]),
    Case(
      name: "scatter and add", operation: .scatter(.add), shapes: [[4, 3], [3], [3, 3]], types: [1: .int32]),
    Case(name: "sum of nothing", operation: .reduce(.sum, axes: [1], keepsAxes: false), shapes: [[3, 0]]),
    Case(name: "product of nothing", operation: .matrixProduct, shapes: [[3, 0], [0, 2]]),
  ])
  func withoutKernel(_ test: Case) throws { try test.check(hasKernels: false) }

  @Test(arguments: [
    Binary.quotient, .truncatedRemainder, .bitwiseAnd, .bitwiseOr, .bitwiseXor, .shiftLeft, .shiftRight,
  ])
  func wholeNumbers(_ function: Binary) throws {
    var graph = Graph()
    graph.outputs = [try graph.emit(.binary(function), graph.addInput("x"), graph.addInput("y"))]
    for dtype in [DType.int64, .int32, .int8] {
      let x = try Tensor(integers: [7, -7, 100, -128, 0, 127], dtype, [6])
      let y = try Tensor(integers: [2, 3, 5, 1, 7, 4], dtype, [6])
      try expectSame(graph, [x, y], "\(function) of \(dtype)")
    }
  }

  /// Where a class is nearly certain its logarithm is far below the rounding of 1.
  @Test func logarithmsOfWhatIsNearlyCertain() throws {
    var graph = Graph()
    let x = graph.addInput("x")
    graph.outputs = [try graph.emit(.softmax(axis: 1, isLogarithm: true), x)]
    let scores = try Tensor([16, 0, -1, 0, 2, 9, -1e3, 1e3, 991] as [Float], [3, 3])
    let session = try Session(Plan(graph, for: [TensorType(.float32, [3, 3])]))
    let (wanted, found) = (try graph.reference([scores])[0].doubles(), try session.run([scores])[0].doubles())
    #expect(zip(wanted, found).allSatisfy { abs($0 - $1) <= 2e-7 * abs($0) }, "\(wanted), \(found)")
  }

  @Test func quotientsGoTowardZero() throws {
    #expect(Binary.quotient(-7, 2) == -3 && Binary.truncatedRemainder(-7, 2) == -1 && Binary.remainder(-7, 2) == 1)
    #expect(Binary.quotient.whole(-7, 2) == -3 && Binary.truncatedRemainder.whole(-7, 2) == -1)
    #expect(Binary.quotient.whole(1, 0) == nil && Binary.quotient.whole(.min, -1) == .min)
    #expect(
      Binary.shiftRight.whole(-8, 1) == -4 && Binary.shiftLeft.whole(1, 70) == 0 && Binary.shiftLeft.whole(1, -1) == nil
    )
    #expect(Unary.bitwiseNot(5) == -6)
  }

  @Test func aSumWithKnownNumbersIsALayersBias() throws {
    for (operation, shapes, bias) in [
      (PlanTests.convolution([1, 1], [Margin(1), Margin(1)]), [[1, 3, 6, 5], [4, 3, 3, 3]], [4, 1, 1]),
      (Operation.linear, [[2, 3, 5], [7, 5]], [7]),
    ] {
      for isKnown in [true, false] {
        var graph = Graph()
        let weight = graph.addWeight("w", Graph.Weight(tensor: try tensor(shapes[1], 1)))
        let layer = try graph.emit(operation, graph.addInput("x"), weight)
        let added = try tensor(isKnown ? bias : [1], 2)
        graph.outputs = [
          try graph.emit(.unary(.relu), graph.emit(.binary(.add), graph.addConstant(added), layer))
        ]
        try expectSame(graph, [tensor(shapes[0], 3)])
        let plan = try Plan(graph, for: [TensorType(.float32, shapes[0])])
        #expect((plan.steps.count == 1) == isKnown)
      }
    }
  }

  @Test func refusalsInARun() throws {
    var graph = Graph()
    let (x, y) = (graph.addInput("x"), graph.addInput("y"))
    graph.outputs = [try graph.emit(.binary(.remainder), x, y)]
    let whole = [TensorType(.int64, [2]), TensorType(.int64, [2])]
    let session = try Session(Plan(graph, for: whole))
    let seven = try Tensor(integers: [7, -7], .int64, [2])
    #expect(throws: ModelError.self) { _ = try session.run([seven, Tensor(integers: [3, 0], .int64, [2])]) }
    #expect(try session.run([seven, Tensor(integers: [3, 3], .int64, [2])])[0].integers() == [1, 2])
    graph.outputs = [try graph.emit(.gather(axis: 0, batchAxes: 0), x, y)]
    let gather = try Session(Plan(graph, for: whole))
    #expect(throws: ModelError.self) { _ = try gather.run([seven, Tensor(integers: [0, 2], .int64, [2])]) }
    #expect(try gather.run([seven, Tensor(integers: [-1, 0], .int64, [2])])[0].integers() == [-7, 7])
    graph.outputs = [try graph.emit(.dropout(Dropout(probability: 0.5)), x)]
    #expect(throws: ModelError.self) { _ = try Plan(graph, for: whole) }
  }
}
