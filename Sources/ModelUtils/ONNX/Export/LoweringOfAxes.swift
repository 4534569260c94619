import ModelCheckpoints
import ModelCore
import ModelGraph

/// Over axes.
extension ONNXLowering {
  mutating func softmax(_ x: ONNXValue, axis: Int?, isLogarithm: Bool) throws -> ONNXValue {
    let operation = isLogarithm ? "LogSoftmax" : "Softmax"
    guard x.rank > 0 else {
      let line = try reshaped(x, to: x.shapes.map { _ in [1] })
      return try reshaped(node(operation, [line], [ONNXAttribute("axis", 0)], like: line), to: x.shapes)
    }
    // PyTorch's choice where none is said.
    let axis = axis.map { $0 < 0 ? $0 + x.rank : $0 } ?? ([1, 3].contains(x.rank) ? 0 : 1)
    if opset >= 13 || axis == x.rank - 1 { return node(operation, [x], [ONNXAttribute("axis", axis)], like: x) }
    // Before opset 13 the axis and all behind it are one.
    var order = Array(0..<x.rank)
    order.swapAt(axis, x.rank - 1)
    let turned = transposed(x, order)
    return transposed(node(operation, [turned], [ONNXAttribute("axis", x.rank - 1)], like: turned), order)
  }

  mutating func reduce(
    _ x: ONNXValue, _ reduction: Reduction, _ axes: [Int], keepsAxes: Bool, _ dtype: DType
  ) throws -> ONNXValue {
    let x = cast(x, to: dtype)
    if axes.isEmpty { return reduction == .norm ? node("Abs", [x], like: x) : x }
    let operation =
      switch reduction {
      case .sum: "ReduceSum"
      case .mean: "ReduceMean"
      case .max: "ReduceMax"
      case .min: "ReduceMin"
      case .product: "ReduceProd"
      case .norm: "ReduceL2"
      }
    if reduction == .max || reduction == .min, dtype == .bool {
      return cast(try reduce(cast(x, to: .int32), operation, axes, keepsAxes: keepsAxes), to: .bool)
    }
    return try reduce(x, operation, axes, keepsAxes: keepsAxes)
  }

  /// A reduction by its name; which axes is said by an attribute, or in newer opsets by an operand.
  mutating func reduce(_ x: ONNXValue, _ operation: String, _ axes: [Int], keepsAxes: Bool) throws -> ONNXValue {
    let chosen = Set(axes.map { $0 < 0 ? $0 + x.rank : $0 })
    let shapes = x.shapes.map { shape in
      shape.indices.compactMap { chosen.contains($0) ? (keepsAxes ? 1 : nil) : shape[$0] }
    }
    var attributes = [ONNXAttribute("keepdims", keepsAxes ? 1 : 0)]
    guard opset >= (operation == "ReduceSum" ? 13 : 18) else {
      attributes.append(ONNXAttribute("axes", axes))
      return node(operation, [x], attributes, x.dtype, shapes)
    }
    return node(operation, [x, try integers(axes)], attributes, x.dtype, shapes)
  }

  mutating func argmax(_ x: ONNXValue, axis: Int, keepsAxis: Bool, _ shapes: [[Int]]) -> ONNXValue {
    let x = x.dtype == .bool ? cast(x, to: .int32) : x
    return node(
      "ArgMax", [x], [ONNXAttribute("axis", axis), ONNXAttribute("keepdims", keepsAxis ? 1 : 0)], .int64, shapes)
  }

  mutating func topK(_ x: ONNXValue, axis: Int, _ types: [(DType, [[Int]])]) throws -> [ONNXValue] {
    let place = axis < 0 ? axis + x.rank : axis
    let counts = types[0].1.map { $0[place] }
    let count = try lengthsOperand([counts], beside: [x])
    let attributes = [ONNXAttribute("axis", axis), ONNXAttribute("largest", 1), ONNXAttribute("sorted", 1)]
    return node("TopK", [x, count], attributes, types)
  }
}
