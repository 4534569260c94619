import ModelCheckpoints
import ModelCore
import ModelGraph
import ModelONNX
import TestSupport
import Testing

@Suite struct DynamicAxesTests {
  private let axes: [ONNXExportOptions.DynamicAxis] = [
    .init("batch", axis: 0), .init("height", axis: 2, step: 2), .init("width", axis: 3, step: 2),
  ]

  @Test func lengthsHaveNames() throws {
    let graph = try exported(.unary(.relu), [1, 3, 8, 8], dynamic: axes)
    let shape: [ONNXValueInfo.Dimension] = [.symbol("batch"), .fixed(3), .symbol("height"), .symbol("width")]
    #expect(graph.inputs[0].kind == .tensor(.float32, shape: shape))
    #expect(graph.outputs[0].kind == .tensor(.float32, shape: shape))
  }

  @Test func whatRemainsNeedsNoArithmetic() throws {
    let flat = try exported(.flatten(Flatten(start: 2)), [1, 3, 8, 8], dynamic: axes)
    #expect(flat.operations == ["Reshape"])
    #expect(try flat.integers(flat.nodes[0].inputs[1]) == [0, 3, -1])
  }

  @Test func otherLengthsFollowFromTheInput() throws {
    let parts: [Extent] = [
      .of(operand: 0, axis: 0), .fixed(3), .of(operand: 0, axis: 2, divisor: 2), .fixed(2), .of(operand: 0, axis: 3),
    ]
    let graph = try exported(.reshape(parts), [1, 3, 8, 8], dynamic: axes)
    #expect(graph.operations == ["Shape", "Shape", "Div", "Shape", "Concat", "Reshape"])
    let older = try exported(.reshape(parts), [1, 3, 8, 8], opset: 14, dynamic: axes)
    #expect(older.first("Shape")?.attributes.isEmpty == true && older.first("Gather") != nil)
  }

  @Test func placesAreCounted() throws {
    let graph = try exported([1, 3, 8, 8], dynamic: axes) { graph, inputs in
      [try graph.emit(.binary(.add), inputs[0], graph.emit(.coordinates(axis: 3), inputs[0]))]
    }
    #expect(graph.operations == ["Shape", "Squeeze", "Range", "Cast", "Add"])
  }

  @Test func whatDependsOnASizeIsRefused() {
    let pool = Operation.adaptivePool(AdaptivePool(.average, outputSize: [2, 2]))
    #expect(
      refusal { _ = try exported(pool, [1, 3, 8, 8], dynamic: axes) }
        == "layer: a pool to a size depends on the size of its input; export it without --dynamic")
    let same = Operation.samePad(SamePadding(kernelSize: [3, 3], stride: [3, 3]))
    #expect(
      refusal { _ = try exported(same, [1, 3, 8, 8], dynamic: axes) }
        == "layer: the padding depends on the size of its input; export it without --dynamic")
    let split = Operation.split(axis: 0, .extents([.of(operand: 0, axis: 0)] + [.fixed(0)]))
    #expect(
      refusal { _ = try exported(split, [1, 3], opset: 12, dynamic: [.init("batch", axis: 0)]) }
        == "layer: opset 12 splits only into parts of fixed lengths; use --opset 13")
  }
}
