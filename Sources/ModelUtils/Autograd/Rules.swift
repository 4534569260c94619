import ModelCore
import ModelGraph

extension Operation {
  /// The operands that a gradient can flow to, by their places.
  func differentiableOperands(_ count: Int) -> Range<Int> {
    switch self {
    case .convolution, .linear, .matrixProduct, .einsum, .recurrence, .layerNorm, .rmsNorm, .groupNorm, .softmax,
      .unary, .prelu, .binary, .reduce, .pad, .samePad, .pixelShuffle, .concatenate, .stack, .pool, .adaptivePool,
      .gridSample, .other, .gradient, .attention, .flatten, .permute:
      0..<count
    case .batchNorm(.inference, _): 0..<count
    case .batchNorm(.training, _): 0..<min(3, count)
    case .select: 1..<max(1, count)
    // Further operands lend their shapes, places or draws.
    case .convert, .dropout, .resize, .split, .slice, .gather, .reshape, .expand, .topK: 0..<min(1, count)
    case .scatter: 0..<count
    case .compare, .argmax, .coordinates, .shape: 0..<0
    }
  }

  /// How many of its results, the first ones, hand gradients on.
  func differentiableResults(_ count: Int) -> Int {
    switch self {
    case .batchNorm: 1
    default: count
    }
  }
}

/// The gradient of every operation: given those of its results, those of its operands; nil where none flows.
extension Differentiation {
  mutating func gradients(of node: Graph.Node, _ incoming: [Value?]) throws -> [Value?] {
    // Several results have rules of their own.
    switch node.operation {
    case .split(let axis, _): return [try splitGradient(axis, node, incoming)]
    case .topK(let axis, _): return [try incoming[0].map { try topKGradient(axis, node, $0) }]
    case .recurrence(let recurrence): return try recurrenceGradients(recurrence, node, incoming)
    default: break
    }
    guard let gradient = incoming[0] else { return [] }
    switch node.operation {
    case .convolution(let geometry): return try convolutionGradients(geometry, node, gradient)
    case .linear: return try linearGradients(node, gradient)
    case .matrixProduct: return try matrixProductGradients(node, gradient)
    case .einsum(let equation): return try einsumGradients(equation, node, gradient)
    case .attention(let scale): return try attentionGradients(scale, node, gradient)
    case .batchNorm(let mode, let eps): return try batchNormGradients(mode, eps, node, gradient)
    case .layerNorm(let axes, let eps):
      return try normGradients(node, gradient) { .layerNorm(axes: axes, eps: eps, isAffine: $0) }
    case .rmsNorm(let axes, let eps):
      return try normGradients(node, gradient) { .rmsNorm(axes: axes, eps: eps, hasWeight: $0) }
    case .groupNorm(let groups, let eps):
      return try normGradients(node, gradient) { .groupNorm(groups: groups, eps: eps, isAffine: $0) }
    case .softmax(let axis, let isLogarithm): return [try softmaxGradient(axis, isLogarithm, node, gradient)]
    case .unary(let function): return [try unaryGradient(function, node, gradient)]
    case .prelu: return try emitAll(.gradient(.prelu), node.operands + [gradient])
    case .binary(let function): return try binaryGradients(function, node, gradient)
    case .select: return try selectGradients(node, gradient)
    case .convert: return [try emit(.convert(types[node.operands[0]].dtype), gradient)]
    // The same draws again.
    case .dropout: return [try emitAll(node.operation, [gradient] + node.operands.dropFirst())[0]]
    case .reduce(let reduction, let axes, _): return [try reduceGradient(reduction, axes, node, gradient)]
    case .pool(let pool):
      return [try emit(.gradient(.pool(pool)), node.operands[0], node.results[0], gradient)]
    case .adaptivePool(let pool):
      return [try emit(.gradient(.adaptivePool(pool)), node.operands[0], node.results[0], gradient)]
    case .resize(let resize): return [try resizeGradient(resize, node, gradient)]
    case .pad(let margins, let mode): return [try padGradient(margins, mode, node, gradient)]
    case .samePad(let padding):
      let margins = try padding.margins(of: shape(node.operands[0]))
      return [try padGradient(margins, .constant(padding.value), node, gradient)]
    case .pixelShuffle(var shuffle):
      shuffle.isInverse.toggle()
      return [try emit(.pixelShuffle(shuffle), gradient)]
    case .concatenate(let axis): return try concatenateGradients(axis, node, gradient)
    case .stack(let axis): return try stackGradients(axis, node, gradient)
    case .slice(let axis, let start, _, let step): return [try sliceGradient(axis, start, step, node, gradient)]
    case .gather(let axis, let batchAxes): return [try gatherGradient(axis, batchAxes, node, gradient)]
    case .scatter(let reduction): return try scatterGradients(reduction, node, gradient)
    case .reshape, .flatten: return [try reshaped(gradient, to: shape(node.operands[0]))]
    case .permute(let axes): return [try permuteGradient(axes, node, gradient)]
    case .expand: return [try reduced(gradient, types[node.results[0]], to: node.operands[0])]
    case .compare, .argmax, .coordinates, .shape: return []
    case .split, .topK, .recurrence: return []
    case .gridSample(let alignsCorners): return try gridSampleGradients(alignsCorners, node, gradient)
    case .gradient: throw noRule("a gradient")
    case .other(let name): throw noRule(name)
    }
  }
}
