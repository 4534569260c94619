import ModelCore
import TestSupport
import Testing

@testable import ModelGraph

/// Every operation against PyTorch.
@Suite struct ReferenceTests {
  static let operations = products.merging(norms) { $1 }.merging(elements) { $1 }.merging(axes) { $1 }
    .merging(windows) { $1 }.merging(arrangements) { $1 }

  @Test(arguments: operations.keys.sorted())
  func agreesWithPyTorch(_ name: String) throws {
    let operation = try #require(Self.operations[name])
    let golden = try #require(OperationGolden.all[name])
    let known = golden.operands.map { $0.type.dtype.isInteger ? $0.values.map { Int($0) } : nil }
    let types = try Inference.types(of: operation, golden.operands.map(\.type), known)
    // The statistics of its batch, which a norm in training gives besides, PyTorch keeps to itself.
    #expect(Array(types.prefix(golden.results.count)) == golden.results.map(\.type))
    #expect(types.count == (golden.results.count == 3 && name.contains("batchnorm") ? 5 : golden.results.count))
    for (array, expected) in zip(try Reference.compute(operation, golden.operands, types), golden.results) {
      #expect(array.values.count == expected.values.count)
      for (index, (value, wanted)) in zip(array.values, expected.values).enumerated() {
        #expect(isClose(value, wanted, array.type.dtype), "element \(index): \(value), not \(wanted)")
      }
    }
  }

  /// Goldens have 13 digits, and sums of few terms in another order differ by less.
  /// Of float32 PyTorch's are rounded.
  private func isClose(_ value: Double, _ wanted: Double, _ dtype: DType) -> Bool {
    let tolerance = dtype == .float32 ? 0x1p-23 : 1e-12
    return value == wanted || (value.isNaN && wanted.isNaN) || abs(value - wanted) <= tolerance * max(1, abs(wanted))
  }

  @Test func everyGoldenIsCompared() { #expect(Set(OperationGolden.all.keys) == Set(Self.operations.keys)) }

  // MARK: Refusals

  private func refused(_ operation: Operation, _ operands: ReferenceArray...) throws -> String? {
    let types = try Inference.types(of: operation, operands.map(\.type), operands.map { _ in nil })
    return refusal { _ = try Reference.compute(operation, operands, types) }
  }

  private func array(_ dtype: DType, _ shape: [Int], _ values: [Double]) -> ReferenceArray {
    ReferenceArray(TensorType(dtype, shape), values)
  }

  @Test func refusesWhatIsNotKnown() {
    let input = array(.float32, [1], [0])
    #expect(
      refusal { _ = try Reference.compute(.other("deform_conv2d"), [input], [input.type]) }
        == "what deform_conv2d computes is not known")
  }

  @Test func refusesRandomNumbers() throws {
    #expect(
      try refused(.dropout(Dropout(probability: 0.5)), array(.float32, [1], [0]))
        == "dropout draws random numbers; set its probability to 0")
  }

  @Test func refusesACumulativeAverage() throws {
    let one = array(.float32, [1], [1])
    let input = array(.float32, [2, 1], [1, 2])
    #expect(
      try refused(.batchNorm(.training(momentum: nil), eps: 0), input, one, one, one, one)?.contains(
        "num_batches_tracked") == true)
  }

  @Test func refusesPlacesBeyondAnAxis() throws {
    let input = array(.float32, [3], [1, 2, 3])
    for place in [3.0, -4, 1e300] {
      #expect(try refused(.gather(axis: 0, batchAxes: 0), input, array(.int64, [1], [place])) != nil, "\(place)")
    }
    let places = array(.float32, [1], [0.5])
    #expect(try refused(.gather(axis: 0, batchAxes: 0), input, places) == "place 0.5 is none of 3")
  }

  @Test func refusesWhatNoElementsHave() throws {
    let none = array(.float32, [2, 0], [])
    #expect(try refused(.reduce(.max, axes: [1], keepsAxes: false), none) == "no elements have no max")
    #expect(try refused(.argmax(axis: 1, keepsAxis: false), none) == "no elements have no largest")
    let picture = array(.float32, [1, 1, 0], [])
    #expect(try refused(.resize(Resize(.size([3]))), picture) == "no elements have no other size")
    #expect(try refused(.adaptivePool(AdaptivePool(.max, outputSize: [1])), picture) == "no elements have no pool")
  }

  @Test func refusesWholeNumbersWithoutAResult() throws {
    let (two, zero) = (array(.int32, [1], [2]), array(.int32, [1], [0]))
    #expect(try refused(.binary(.floorDivide), two, zero) == "divides a whole number by 0")
    #expect(try refused(.binary(.remainder), two, zero) == "divides a whole number by 0")
    #expect(
      try refused(.binary(.power), two, array(.int32, [1], [-1])) == "raises a whole number to a negative power")
    #expect(
      try refused(.unary(.clip(minimum: 2.5, maximum: nil)), two)
        == "2.5 is no int32 number that double precision holds")
    #expect(try refused(.binary(.power), array(.int64, [1], [10]), array(.int64, [1], [30])) != nil)
  }
}
