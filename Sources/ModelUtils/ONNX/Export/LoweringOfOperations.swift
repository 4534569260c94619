import ModelCheckpoints
import ModelCore
import ModelGraph

extension ONNXLowering {
  /// Writes an operation: what stands for its results.
  /// - Throws: `ModelError` for what the opset cannot say.
  mutating func lower(_ node: Graph.Node) throws -> [ONNXValue] {
    let operands = try node.operands.map { try operand($0) }
    guard let x = operands.first, !node.results.isEmpty else { throw ModelError(.mismatch, "has no input") }
    let results = node.results.map { (dtype: probes.types[0][$0].dtype, shapes: self.shapes(of: $0)) }
    let (dtype, shapes) = (results[0].dtype, results[0].shapes)
    let others = Array(operands.dropFirst())
    switch node.operation {
    case .convolution(let geometry): return [try convolution(geometry, operands, shapes)]
    case .linear: return [try linear(operands, shapes)]
    case .matrixProduct: return [matrixProduct(x, operands[1])]
    case .einsum(let equation):
      return [self.node("Einsum", operands, [ONNXAttribute("equation", equation)], dtype, shapes)]
    case .attention(let scale): return [try attention(scale: scale, operands)]
    case .recurrence(let recurrence): return try self.recurrence(recurrence, operands, results)
    case .batchNorm(let mode, let eps): return [try batchNorm(mode, eps: eps, operands)]
    case .layerNorm(let axes, let eps): return [try layerNorm(axes: axes, eps: eps, operands)]
    case .rmsNorm(let axes, let eps): return [try rmsNorm(axes: axes, eps: eps, operands)]
    case .groupNorm(let groups, let eps): return [try groupNorm(groups: groups, eps: eps, operands)]
    case .softmax(let axis, let isLogarithm): return [try softmax(x, axis: axis, isLogarithm: isLogarithm)]
    case .unary(let function): return [try unary(function, x, dtype)]
    case .prelu: return [try prelu(x, operands[1])]
    case .binary(let function):
      let isCount = node.operands.allSatisfy { self.isCount($0) }
      return [try binary(function, x, operands[1], dtype, isCount: isCount)]
    case .compare(let comparison): return [compare(comparison, x, operands[1])]
    case .select: return [select(operands, dtype, shapes)]
    case .convert(let dtype): return [cast(x, to: dtype)]
    case .dropout: return [x]
    case .reduce(let reduction, let axes, let keepsAxes):
      return [try reduce(x, reduction, axes, keepsAxes: keepsAxes, dtype)]
    case .argmax(let axis, let keepsAxis): return [argmax(x, axis: axis, keepsAxis: keepsAxis, shapes)]
    case .topK(let axis, _): return try topK(x, axis: axis, results)
    case .pool(let pool): return [try self.pool(pool, x, shapes)]
    case .adaptivePool(let pool): return [try adaptivePool(pool, x, shapes)]
    case .resize(let resize): return [try self.resize(resize, x, beside: others, shapes)]
    case .pad(let margins, let mode): return [try pad(x, margins, mode)]
    case .samePad(let padding): return [try samePad(padding, x)]
    case .gridSample(let alignsCorners):
      return [try gridSample(operands, alignsCorners: alignsCorners, shapes)]
    case .pixelShuffle(let shuffle): return [try pixelShuffle(shuffle, x, shapes)]
    case .concatenate(let axis): return [concatenate(operands, axis: axis, dtype, shapes)]
    case .stack(let axis): return [try stack(operands, axis: axis, dtype, shapes)]
    case .split(let axis, _): return try split(x, axis: axis, beside: others, results)
    case .slice(let axis, let start, let end, let step):
      return [try slice(x, axis: axis, start: start, end: end, step: step, shapes)]
    case .gather(let axis, let batchAxes):
      return [try gather(x, operands[1], axis: axis, batchAxes: batchAxes, shapes)]
    case .scatter(let reduction): return [try scatter(x, others, reduction)]
    case .reshape, .flatten: return [try reshaped(x, to: shapes, beside: others)]
    case .permute(let axes): return [transposed(x, axes)]
    case .expand: return [try expand(x, beside: others, shapes)]
    case .coordinates(let axis): return [try coordinates(x, axis: axis, shapes)]
    case .shape: return [shape(of: x)]
    case .gradient: throw ModelError(.unsupported, "a gradient is no operator of ONNX")
    case .other(let name): throw ModelError(.unsupported, "what \(name) computes is not known")
    }
  }

  /// Whether a value's elements are whole and cannot be below zero: places, lengths and what is made of them.
  private func isCount(_ value: Graph.Value, depth: Int = 0) -> Bool {
    if let elements = constantElements(of: value) { return elements.allSatisfy { $0 >= 0 } }
    guard depth < 16, let producer = graph.producer(of: value) else { return false }
    let node = graph.nodes[producer]
    func all(_ operands: ArraySlice<Graph.Value>) -> Bool { operands.allSatisfy { isCount($0, depth: depth + 1) } }
    switch node.operation {
    case .topK: return node.results[1] == value
    case .argmax, .coordinates, .shape: return true
    case .gather, .slice, .reshape, .flatten, .permute, .expand: return all(node.operands.prefix(1))
    case .concatenate, .stack, .binary(.add), .binary(.multiply), .binary(.floorDivide), .binary(.remainder):
      return all(node.operands[...])
    default: return false
    }
  }
}
