import ModelCore
import Testing

@testable import ModelGraph

/// What operations refuse to take; what they make of the rest stands in ReferenceTests.
@Suite struct InferenceTests {
  private func types(
    _ operation: Operation, _ shapes: [[Int]], _ dtypes: [DType]? = nil, known: [[Int]?]? = nil
  ) throws -> [TensorType] {
    let dtypes = dtypes ?? shapes.map { _ in .float32 }
    return try Inference.types(
      of: operation, zip(dtypes, shapes).map { TensorType($0, $1) }, known ?? shapes.map { _ in nil })
  }

  private func geometry(groups: Int = 1, isTransposed: Bool = false, stride: Int = 1) -> Operation {
    .convolution(
      ConvolutionGeometry(
        stride: [stride], padding: [Margin(0)], dilation: [1], groups: groups, isTransposed: isTransposed))
  }

  @Test func products() {
    for (operation, shapes): (Operation, [[Int]]) in [
      (geometry(), [[1, 2, 5], [3, 4, 1]]), (geometry(), [[1, 2, 5]]), (geometry(), [[2, 5], [3, 2, 1]]),
      (geometry(), [[1, 2, 5], [3, 2, 6]]), (geometry(groups: 0), [[1, 2, 5], [3, 2, 1]]),
      (geometry(groups: 2), [[1, 2, 5], [3, 1, 1]]), (geometry(stride: 0), [[1, 2, 5], [3, 2, 1]]),
      (geometry(), [[1, 2, 5], [3, 2, 1], [4]]), (geometry(isTransposed: true), [[1, 2, 0], [2, 3, 1]]),
      (.linear, [[2, 3], [4, 2]]), (.linear, [[], [4, 2]]), (.linear, [[2, 3], [4, 3], [3]]),
      (.matrixProduct, [[2, 3], [2, 3]]), (.matrixProduct, [[3], [3, 2]]), (.matrixProduct, [[2, 2, 3], [5, 3, 2]]),
      (.einsum("ab,bc->ac"), [[2, 3], [4, 2]]), (.einsum("ab,bc->ad"), [[2, 3], [3, 2]]),
      (.einsum("ab,bc"), [[2, 3], [3, 2]]), (.einsum("ab->aa"), [[2, 2]]),
      (.attention(scale: nil), [[2, 3], [4, 2], [4, 2]]), (.attention(scale: nil), [[2, 3], [4, 3], [5, 3]]),
      (.attention(scale: nil), [[2, 3], [4, 3], [4, 3], [3, 4]]),
    ] {
      #expect(throws: ModelError.self, "\(operation) \(shapes)") { try types(operation, shapes) }
    }
  }

  @Test func norms() {
    let one = [2]
    for (operation, shapes): (Operation, [[Int]]) in [
      (.batchNorm(.inference, eps: 0), [[1, 3], one, one, one, one]), (.batchNorm(.inference, eps: 0), [[1, 2], one]),
      (.batchNorm(.training(momentum: 0.1), eps: 0), [[1, 2], one, one, one, one]),
      (.layerNorm(axes: 2, eps: 0), [[3]]), (.layerNorm(axes: 0, eps: 0), [[3]]),
      (.layerNorm(axes: 1, eps: 0), [[3], [2]]), (.groupNorm(groups: 2, eps: 0), [[1, 3]]),
      (.groupNorm(groups: 0, eps: 0), [[1, 3]]), (.softmax(axis: 2, isLogarithm: false), [[1, 3]]),
    ] {
      #expect(throws: ModelError.self, "\(operation) \(shapes)") { try types(operation, shapes) }
    }
  }

  @Test func windowsAndBounds() {
    for operation: Operation in [
      .pool(Pool(.max, kernelSize: [])), .adaptivePool(AdaptivePool(.average, outputSize: [])),
      .unary(.clip(minimum: nil, maximum: .nan)), .unary(.clip(minimum: .nan, maximum: 1)),
    ] {
      #expect(throws: ModelError.self, "\(operation)") { try types(operation, [[1, 2]]) }
    }
  }

  @Test func truthHasNoBounds() {
    for function: Unary in [.clip(minimum: 0, maximum: nil), .threshold(1e-5, value: 1e-5)] {
      #expect(throws: ModelError.self, "\(function)") { try types(.unary(function), [[2]], [.bool]) }
    }
  }

  @Test func wholeNumbersHaveNoFractions() {
    for operation: Operation in [
      .softmax(axis: 0, isLogarithm: false), .reduce(.mean, axes: [0], keepsAxes: false),
      .reduce(.norm, axes: [0], keepsAxes: false), .layerNorm(axes: 1, eps: 0),
      .adaptivePool(AdaptivePool(.average, outputSize: [1])), .pool(Pool(.average, kernelSize: [1])),
    ] {
      #expect(throws: ModelError.self, "\(operation)") { try types(operation, [[2, 2]], [.int64]) }
    }
  }

  @Test func elementsAndAxes() {
    for (operation, shapes): (Operation, [[Int]]) in [
      (.prelu, [[2, 3], [2]]), (.binary(.add), [[2], [3]]), (.binary(.add), [[2]]), (.select, [[2], [2]]),
      (.dropout(Dropout(probability: 1.5)), [[2]]), (.reduce(.sum, axes: [2], keepsAxes: true), [[2]]),
      (.argmax(axis: 1, keepsAxis: false), [[2]]), (.topK(axis: 2, count: 1), [[1, 7]]),
      (.topK(axis: 0, count: -1), [[1]]), (.topK(axis: 0, count: 1), [[]]), (.unary(.relu), []),
    ] {
      #expect(throws: ModelError.self, "\(operation) \(shapes)") { try types(operation, shapes) }
    }
  }

  @Test func sequences() throws {
    let (rnn, lstm) = (Operation.recurrence(Recurrence(.rnnTanh)), Operation.recurrence(Recurrence(.lstm)))
    let biases = [[8], [8]]
    let whole = [[5, 2, 3], [2, 2], [2, 2], [8, 3], [8, 2]] + biases
    #expect(try types(lstm, whole).map(\.shape) == [[5, 2, 2], [2, 2], [2, 2]])
    for (operation, shapes): (Operation, [[Int]]) in [
      (lstm, Array(whole.dropLast())), (lstm, [[5, 2, 4]] + whole.dropFirst()),
      (lstm, [[5, 3, 3]] + whole.dropFirst()),
      (lstm, [[5, 2]] + whole.dropFirst()), (lstm, [[5, 2, 3], [2, 2], [2, 3]] + whole.dropFirst(3)),
      (lstm, [[5, 2, 3], [2, 2], [2, 2], [6, 3], [8, 2]] + biases),
      (rnn, [[1, 1, 1], [1, 0], [0, 1], [0, 0], [0], [0]]),
      (rnn, [[1, 1, 1], [1, 1], [1, 1], [1, 1], [1], [2]]),
      (.recurrence(Recurrence(.gru, isProjected: true)), [[1, 1, 1], [1, 1], [3, 1], [3, 1], [3], [3], [1, 1]]),
      (.recurrence(Recurrence(.lstm, hasBias: false, isProjected: true)), Array(whole.dropLast(2)) + [[1, 2]]),
    ] {
      #expect(throws: ModelError.self, "\(operation) \(shapes)") { try types(operation, shapes) }
    }
  }

  @Test func windows() {
    for (operation, shapes): (Operation, [[Int]]) in [
      (.pool(Pool(.max, kernelSize: [4])), [[1, 1, 3]]), (.pool(Pool(.max, kernelSize: [2, 2])), [[3, 3]]),
      (.pool(Pool(.average, kernelSize: [2], divisor: 0)), [[1, 1, 3]]), (.resize(Resize(.scale([0.1]))), [[1, 1, 3]]),
      (.resize(Resize(.scale([.nan]))), [[1, 1, 3]]), (.resize(Resize(.size([2, 2]))), [[1, 1, 3]]),
      (.resize(Resize(.operand)), [[1, 1, 3]]), (.pad([Margin(3)], .reflect), [[3]]),
      (.pad([Margin(1)], .circular), [[0]]),
      (.pad([Margin(-1, 3)], .circular), [[3]]), (.pad([Margin(-2)], .constant(0)), [[3]]),
      (.gridSample(alignsCorners: true), [[1, 1, 2, 2], [2, 1, 1, 2]]),
    ] {
      #expect(throws: ModelError.self, "\(operation) \(shapes)") { try types(operation, shapes) }
    }
  }

  @Test func arrangements() {
    for (operation, shapes): (Operation, [[Int]]) in [
      (.pixelShuffle(PixelShuffle(factor: 2)), [[3, 1, 1]]), (.concatenate(axis: 0), [[2, 1], [2, 2]]),
      (.stack(axis: 0), [[2], [3]]), (.split(axis: 0, .sizes([1, 1])), [[3]]), (.split(axis: 0, .equal(3)), [[4]]),
      (.slice(axis: 0, start: 0, end: nil, step: 0), [[3]]), (.gather(axis: 1, batchAxes: 0), [[1, 3, 4]]),
      (.gather(axis: 3, batchAxes: 0), [[1, 3, 4], [1, 2]]), (.gather(axis: 1, batchAxes: 1), [[2, 3], [1, 2]]),
      (.reshape([.fixed(4)]), [[3]]), (.reshape([.inferred, .inferred]), [[4]]), (.permute([0, 0]), [[2, 2]]),
      (.expand([.fixed(3)]), [[2]]), (.coordinates(axis: 1), [[2]]), (.other("nms"), [[1]]),
      (.reshape([.of(operand: 1, axis: 0)]), [[3]]),
      (.reshape([.of(operand: 0, axis: 0, divisor: 2), .inferred]), [[3]]),
      (.reshape([.element(operand: 1, index: 0)]), [[3], [1]]),
      (.reshape([.axes(operand: 1, from: 0)]), [[3]]), (.reshape([.axes(operand: 0, from: 2)]), [[3]]),
      (.reshape([.axes(operand: 0, from: 1, to: 0)]), [[3]]), (.expand([.axes(operand: 0, from: 0)]), [[3]]),
    ] {
      #expect(throws: ModelError.self, "\(operation) \(shapes)") { try types(operation, shapes) }
    }
  }

  @Test func extentsFollowOperands() throws {
    #expect(
      try types(.reshape([.of(operand: 1, axis: -1, multiple: 2), .inferred]), [[3, 4], [5, 3]]).map(\.shape) == [
        [6, 2]
      ])
    #expect(
      try types(.reshape([.element(operand: 1, index: 1), .inferred]), [[3, 4], [2]], known: [nil, [9, 2]]).map(\.shape)
        == [[2, 6]])
    #expect(
      try types(.split(axis: 1, .extents([.fixed(1), .of(operand: 1, axis: 0)])), [[2, 4], [3]]).map(\.shape)
        == [[2, 1], [2, 3]])
  }

  @Test func elementTypesArePromoted() throws {
    #expect(try types(.binary(.add), [[2], [2]], [.float16, .bfloat16]).map(\.dtype) == [.float32])
    #expect(try types(.binary(.add), [[2], []], [.float16, .float64]).map(\.dtype) == [.float16])
    #expect(try types(.binary(.add), [[2], []], [.int32, .float32]).map(\.dtype) == [.float32])
    #expect(try types(.binary(.divide), [[2], [2]], [.int32, .int8]).map(\.dtype) == [.float32])
    #expect(try types(.reduce(.sum, axes: [0], keepsAxes: false), [[2]], [.bool]).map(\.dtype) == [.int64])
  }
}
