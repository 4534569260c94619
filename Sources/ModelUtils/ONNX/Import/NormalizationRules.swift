import ModelCore
import ModelGraph

/// Normalisations.
extension NodeRules {
  static let normalizations: [String: Rule] = [
    "BatchNormalization": { call in try call.batchNorm() },
    "InstanceNormalization": { call in
      let x = try call.operand(0)
      guard x.rank >= 3 else { throw ModelError(.mismatch, "takes 3 axes or more, but \(x.shape) comes to it") }
      let norm = Operation.groupNorm(groups: x.shape[1], eps: try call.float("epsilon", 1e-5))
      return [try call.emit(norm, x, call.operand(1), call.operand(2))]
    },
    "GroupNormalization": { call in
      let (x, groups) = (try call.operand(0), try call.int("num_groups", 0))
      guard x.rank >= 2, groups > 0, x.shape[1] % groups == 0 else {
        throw ModelError(.mismatch, "cannot divide \(x.shape) into \(groups) groups")
      }
      // Before edition 21 scale and bias are each group's, from then on each channel's.
      func byChannel(_ index: Int) throws -> Operand {
        let parameter = try call.operand(index)
        guard call.opset < 21, parameter.shape == [groups], groups != x.shape[1] else { return parameter }
        let repeated = try call.expand(call.reshape(parameter, [groups, 1]), [groups, x.shape[1] / groups])
        return try call.reshape(repeated, [x.shape[1]])
      }
      let norm = Operation.groupNorm(groups: groups, eps: try call.float("epsilon", 1e-5))
      return [try call.emit(norm, x, byChannel(1), byChannel(2))]
    },
    "LayerNormalization": { call in try call.layerNorm() },
    "RMSNormalization": { call in [try call.rmsNorm()] },
    // ONNX Runtime's older name.
    "SimplifiedLayerNormalization": { call in [try call.rmsNorm()] },
    "LpNormalization": { call in
      let (x, p) = (try call.operand(0), try call.int("p", 2))
      let axis = try call.axis(call.int("axis", -1), x.rank)
      guard p == 1 || p == 2 else { throw ModelError(.malformed, "has p of \(p)") }
      let norm = try p == 2 ? call.reduce(.norm, x, [axis]) : call.reduce(.sum, call.unary(.abs, x), [axis])
      // Zeros stay.
      let isZero = try call.compare(.equal, norm, call.scalar(0, x.dtype))
      return [try call.binary(.divide, x, call.emit(.select, isZero, call.scalar(1, x.dtype), norm))]
    },
    "MeanVarianceNormalization": { call in
      let x = try call.operand(0)
      let axes = try (call.ints("axes") ?? [0, 2, 3]).map { try call.axis($0, x.rank) }
      let centred = try call.binary(.subtract, x, call.reduce(.mean, x, axes))
      let variance = try call.reduce(.mean, call.unary(.square, centred), axes)
      let deviation = try call.binary(.add, call.unary(.sqrt, variance), call.scalar(1e-9, x.dtype))
      return [try call.binary(.divide, centred, deviation)]
    },
  ]
}

extension NodeCall {
  func rmsNorm() throws -> Operand {
    let (x, scale) = (try operand(0), try operand(1))
    let axes = x.rank - (try axis(int("axis", -1), x.rank))
    let norm = Operation.rmsNorm(axes: axes, eps: try float("epsilon", 1e-5))
    if scale.shape[...] == x.shape.suffix(axes) { return try emit(norm, x, scale) }
    return try binary(.multiply, emit(norm, x), scale)
  }

  func batchNorm() throws -> [Operand?] {
    let x = try operand(0)
    let eps = try float("epsilon", 1e-5)
    guard x.rank >= 2 else { throw ModelError(.mismatch, "takes two axes or more, but \(x.shape) comes to it") }
    guard try opset >= 9 || flag("spatial", true) else { throw Unsizable("normalises every pixel by itself") }
    let trains =
      try opset >= 14 ? flag("training_mode") : opset >= 7 ? gives(1) : !flag("is_test")
    for index in 3...4 { if let name = optional(index)?.name { tracer.buffers.insert(name) } }
    // From edition 15 on they may be wider than the input.
    let parameters = try (1...4).map { try convert(operand($0), x.dtype) }
    guard trains else { return [try all(.batchNorm(.inference, eps: eps), [x] + parameters)[0]] }
    let momentum = try float("momentum", 0.9)
    let axes = x.shape.indices.filter { $0 != 1 }
    let (mean, centred) = try {
      let mean = try reduce(.mean, x, axes)
      return (mean, try binary(.subtract, x, mean))
    }()
    let variance = try reduce(.mean, unary(.square, centred), axes)
    func line(_ statistic: Operand) throws -> Operand { try reshape(statistic, [x.shape[1]]) }
    let result = try all(
      .batchNorm(.inference, eps: eps), [x, parameters[0], parameters[1], line(mean), line(variance)])[0]
    func running(_ old: Operand, _ new: Operand) throws -> Operand {
      try binary(
        .add, binary(.multiply, old, scalar(momentum, x.dtype)),
        binary(.multiply, line(new), scalar(1 - momentum, x.dtype)))
    }
    return [result, try running(parameters[2], mean), try running(parameters[3], variance)]
  }

  /// Mean and inverse deviation too, where they are asked for.
  func layerNorm() throws -> [Operand?] {
    let (x, scale, bias) = (try operand(0), try operand(1), optional(2))
    let axes = x.rank - (try axis(int("axis", -1), x.rank))
    let eps = try float("epsilon", 1e-5)
    let normalized = x.shape.suffix(axes)
    let norm = Operation.layerNorm(axes: axes, eps: eps)
    var result: Operand
    if scale.shape[...] == normalized, bias.map({ $0.shape[...] == normalized }) ?? true {
      result = try all(norm, [x, scale] + (bias.map { [$0] } ?? []))[0]
    } else {
      result = try binary(.multiply, emit(norm, x), scale)
      if let bias { result = try binary(.add, result, bias) }
    }
    guard gives(1) || gives(2) else { return [result] }
    let last = Array(x.rank - axes..<x.rank)
    let mean = try reduce(.mean, x, last)
    let variance = try reduce(.mean, unary(.square, binary(.subtract, x, mean)), last)
    return [result, mean, try unary(.rsqrt, binary(.add, variance, scalar(eps, x.dtype)))]
  }
}
