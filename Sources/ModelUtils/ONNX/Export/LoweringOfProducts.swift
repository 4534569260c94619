import ModelCheckpoints
import ModelCore
import ModelGraph

/// Products.
extension ONNXLowering {
  mutating func convolution(
    _ geometry: ConvolutionGeometry, _ operands: [ONNXValue], _ shapes: [[Int]]
  ) throws -> ONNXValue {
    var (input, margins) = (operands[0], geometry.padding)
    if !geometry.isTransposed, let source = padded[input.name],
      source.margins.prefix(2).allSatisfy({ $0 == Margin(0) }),
      source.margins.allSatisfy({ $0.before >= 0 && $0.after >= 0 })
    {
      input = source.source
      margins = zip(margins, source.margins.dropFirst(2)).map { Margin($0.before + $1.before, $0.after + $1.after) }
    }
    guard margins.allSatisfy({ $0.before >= 0 && $0.after >= 0 }) else {
      throw ModelError(.unsupported, "ONNX has no convolution that cuts its input, as a negative padding does")
    }
    let kernel = Array(operands[1].shape.dropFirst(2))
    var attributes = [
      ONNXAttribute("dilations", geometry.dilation), ONNXAttribute("group", geometry.groups),
      ONNXAttribute("kernel_shape", kernel), ONNXAttribute("pads", margins.map(\.before) + margins.map(\.after)),
      ONNXAttribute("strides", geometry.stride),
    ]
    if geometry.isTransposed, geometry.outputPadding.contains(where: { $0 != 0 }) {
      attributes.append(ONNXAttribute("output_padding", geometry.outputPadding))
    }
    return node(
      geometry.isTransposed ? "ConvTranspose" : "Conv", [input] + operands.dropFirst(), attributes, input.dtype, shapes)
  }

  mutating func linear(_ operands: [ONNXValue], _ shapes: [[Int]]) throws -> ONNXValue {
    let (input, weight) = (operands[0], operands[1])
    if input.rank == 2 {
      return node("Gemm", operands, [ONNXAttribute("transB", 1)], input.dtype, shapes)
    }
    // The weight stays as it is in the state dict.
    let key = "transposed \(weight.name)"
    let turned =
      dimensions[key]
      ?? node(
        "Transpose", [weight], [ONNXAttribute("perm", [1, 0])], weight.dtype, weight.shapes.map { $0.reversed() })
    dimensions[key] = turned
    let product = node("MatMul", [input, turned], [], input.dtype, shapes)
    return operands.count < 3 ? product : node("Add", product, operands[2])
  }

  mutating func matrixProduct(_ first: ONNXValue, _ second: ONNXValue) -> ONNXValue {
    node("MatMul", [first, second], [], first.dtype, zip(first.shapes, second.shapes).map(productShape))
  }

  private func productShape(_ first: [Int], _ second: [Int]) -> [Int] {
    broadcastShape(first.dropLast(2), second.dropLast(2)) + [first[first.count - 2], second[second.count - 1]]
  }

  /// Spelled out: scaled queries times keys, a softmax, times values.
  mutating func attention(scale: Double?, _ operands: [ONNXValue]) throws -> ONNXValue {
    let (queries, keys, values) = (operands[0], operands[1], operands[2])
    let features = queries.shape[queries.rank - 1]
    let scale = scale ?? 1 / Double(features).squareRoot()
    let scaled = node("Mul", queries, try scalar(scale, like: queries))
    var axes = Array(0..<keys.rank)
    axes.swapAt(axes.count - 2, axes.count - 1)
    let turned = node(
      "Transpose", [keys], [ONNXAttribute("perm", axes)], keys.dtype,
      keys.shapes.map { shape in axes.map { shape[$0] } })
    var scores = matrixProduct(scaled, turned)
    if operands.count > 3 {
      let mask = operands[3]
      if mask.dtype == .bool {
        scores = node("Where", [mask, scores, try scalar(-.infinity, like: scores)], like: scores)
      } else {
        scores = node("Add", scores, mask)
      }
    }
    return matrixProduct(try softmax(scores, axis: scores.rank - 1, isLogarithm: false), values)
  }
}
