import ModelCheckpoints
import ModelCore
import ModelGraph

/// Normalisation.
extension ONNXLowering {
  mutating func batchNorm(_ mode: BatchNormMode, eps: Double, _ operands: [ONNXValue]) throws -> ONNXValue {
    guard case .inference = mode else {
      throw ModelError(.unsupported, "a batch norm in training is not exported")
    }
    return node("BatchNormalization", operands, [ONNXAttribute("epsilon", Float(eps))], like: operands[0])
  }

  mutating func layerNorm(axes: Int, eps: Double, _ operands: [ONNXValue]) throws -> ONNXValue {
    let input = operands[0]
    if opset >= 17 {
      let scale = try operands.count > 1 ? operands[1] : filled(1, input.dtype, input.shape.suffix(axes))
      let attributes = [ONNXAttribute("axis", -axes), ONNXAttribute("epsilon", Float(eps))]
      return node("LayerNormalization", [input, scale] + operands.dropFirst(2), attributes, like: input)
    }
    let last = Array(-axes..<0)
    let centred = node("Sub", input, try reduce(input, "ReduceMean", last, keepsAxes: true))
    let variance = try reduce(node("Mul", centred, centred), "ReduceMean", last, keepsAxes: true)
    let root = node("Sqrt", [node("Add", variance, try scalar(eps, like: input))], like: variance)
    return scaled(node("Div", centred, root), Array(operands.dropFirst()))
  }

  mutating func rmsNorm(axes: Int, eps: Double?, _ operands: [ONNXValue]) throws -> ONNXValue {
    let input = operands[0]
    let mean = try reduce(node("Mul", input, input), "ReduceMean", Array(-axes..<0), keepsAxes: true)
    let eps = eps ?? (input.dtype == .float64 ? Double.ulpOfOne : Double(Float.ulpOfOne))
    let root = node("Sqrt", [node("Add", mean, try scalar(eps, like: input))], like: mean)
    return scaled(node("Div", input, root), Array(operands.dropFirst()))
  }

  mutating func groupNorm(groups: Int, eps: Double, _ operands: [ONNXValue]) throws -> ONNXValue {
    let input = operands[0]
    let channels = input.shape[1]
    let epsilon = ONNXAttribute("epsilon", Float(eps))
    if groups == channels, input.rank > 2 {
      let scale = try operands.count > 1 ? operands[1] : filled(1, input.dtype, [channels])
      let shift = try operands.count > 2 ? operands[2] : filled(0, input.dtype, [channels])
      return node("InstanceNormalization", [input, scale, shift], [epsilon], like: input)
    }
    if opset >= 21, input.rank > 2 {
      let scale = try operands.count > 1 ? operands[1] : filled(1, input.dtype, [channels])
      let shift = try operands.count > 2 ? operands[2] : filled(0, input.dtype, [channels])
      return node(
        "GroupNormalization", [input, scale, shift], [epsilon, ONNXAttribute("num_groups", groups)], like: input)
    }
    // A group is a channel of an instance norm.
    let grouped = try reshaped(
      input, to: input.shapes.map { [$0[0], groups, $0.dropFirst().reduce(1, *) / groups] })
    let one = try filled(1, input.dtype, [groups])
    let zero = try filled(0, input.dtype, [groups])
    let normal = node("InstanceNormalization", [grouped, one, zero], [epsilon], like: grouped)
    let back = try reshaped(normal, to: input.shapes, beside: [input])
    return scaled(back, try operands.dropFirst().map { try channelwise($0, rank: input.rank) })
  }

  /// A value for each channel, so that it is broadcast over the axes behind.
  mutating func channelwise(_ value: ONNXValue, rank: Int) throws -> ONNXValue {
    guard rank > 2, value.rank == 1 else { return value }
    return try unsqueezed(value, axes: Array(1..<rank - 1))
  }

  /// Times the first of the weights, plus the second, where there are any.
  private mutating func scaled(_ value: ONNXValue, _ weights: [ONNXValue]) -> ONNXValue {
    var value = value
    if weights.count > 0 { value = node("Mul", value, weights[0]) }
    if weights.count > 1 { value = node("Add", value, weights[1]) }
    return value
  }
}
