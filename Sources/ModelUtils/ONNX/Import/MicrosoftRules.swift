import ModelCore
import ModelGraph

/// Operators that ONNX Runtime adds: quantised ones, and what it fuses.
extension NodeRules {
  static let microsoft: [String: Rule] = [
    "QLinearAdd": { call in [try call.quantizedPair(.add)] },
    "QLinearMul": { call in [try call.quantizedPair(.multiply)] },
    "QLinearSigmoid": quantizedFunction { try $0.unary(.sigmoid, $1) },
    "QLinearLeakyRelu": quantizedFunction { try $0.unary(.leakyReLU(slope: $0.float("alpha", 0.01)), $1) },
    "QLinearSoftmax": quantizedFunction { call, x in
      try call.emit(.softmax(axis: call.axis(call.int("axis", -1), x.rank), isLogarithm: false), x)
    },
    "QLinearAveragePool": quantizedFunction { call, x in try call.channelsFirst(x) { try call.with([$0]).averagePool() }
    },
    "QLinearGlobalAveragePool": quantizedFunction { call, x in
      try call.channelsFirst(x) { try call.with([$0]).globalPool(.mean) }
    },
    "QLinearConcat": { call in
      let parts = try stride(from: 2, to: call.operands.count - 2, by: 3).map { index in
        try call.dequantized(call.operand(index), call.operand(index + 1), call.operand(index + 2))
      }
      guard let first = parts.first else { throw ModelError(.malformed, "has no inputs") }
      let joined = try call.all(.concatenate(axis: call.axis(call.int("axis", 1), first.rank)), parts)[0]
      return [try call.quantized(joined, call.operand(0), call.operand(1), call.operand(1).dtype)]
    },
    "QGemm": { call in
      let a = try call.centred(call.operand(0), call.optional(2))
      let b = try call.centred(call.operand(3), call.optional(5), axis: call.flag("transB") ? 0 : 1)
      var product = try call.with([a, b]).gemm()
      if let c = call.optional(6) { product = try call.binary(.add, product, call.convert(c, .float32)) }
      let scale = try call.binary(.multiply, call.operand(1), call.along(call.operand(4), axis: 1, rank: 2))
      guard let outputScale = call.optional(7) else { return [try call.binary(.multiply, product, scale)] }
      return [try call.requantized(product, call.binary(.divide, scale, outputScale), call.optional(8))]
    },
    "QuantizeLinear": { call in try NodeRules.quantization["QuantizeLinear"]?(call) ?? [] },
    "DequantizeLinear": { call in try NodeRules.quantization["DequantizeLinear"]?(call) ?? [] },
    "MatMulIntegerToFloat": { call in
      let a = try call.centred(call.operand(0), call.optional(4))
      let b = try call.centred(call.operand(1), call.optional(5), axis: call.operand(1).rank - 1)
      let product = try call.matrixProduct(a, b)
      let scale = try call.binary(
        .multiply, call.along(call.operand(2), axis: product.rank - 1, rank: product.rank),
        call.along(call.operand(3), axis: product.rank - 1, rank: product.rank))
      return [try call.biased(call.binary(.multiply, product, scale), 6)]
    },
    "DynamicQuantizeMatMul": { call in
      let quantized = try call.dynamicallyQuantized(call.operand(0))
      let a = try call.centred(quantized[0], quantized[2])
      let b = try call.centred(call.operand(1), call.optional(3), axis: call.operand(1).rank - 1)
      let product = try call.matrixProduct(a, b)
      let scale = try call.binary(
        .multiply, quantized[1], call.along(call.operand(2), axis: product.rank - 1, rank: product.rank))
      return [try call.biased(call.binary(.multiply, product, scale), 4)]
    },
    "DynamicQuantizeLSTM": { call in
      func dequantized(_ index: Int, _ scale: Int) throws -> Operand {
        let numbers = try call.convert(call.operand(index), .float32)
        let zero = try call.optional(scale + 1).map { zero in
          let zero = try call.convert(zero, .float32)
          return zero.rank == 1 ? try call.reshape(zero, [zero.count, 1, 1]) : try call.unsqueeze(zero, 1)
        }
        let factor = try call.operand(scale)
        let scales = factor.rank == 1 ? try call.reshape(factor, [factor.count, 1, 1]) : try call.unsqueeze(factor, 1)
        let centred = try zero.map { try call.binary(.subtract, numbers, $0) } ?? numbers
        return try call.permute(call.binary(.multiply, centred, scales), [0, 2, 1])
      }
      func rounded(_ x: Operand) throws -> Operand {
        let quantized = try call.dynamicallyQuantized(x)
        return try call.binary(.multiply, call.centred(quantized[0], quantized[2]), quantized[1])
      }
      return try RecurrentLayer(
        call, gates: 4, input: rounded(call.operand(0)), weights: dequantized(1, 8), stateWeights: dequantized(2, 10),
        round: rounded
      ).lowered()
    },
    "FusedConv": { call in
      var sum = try call.convolution(call.operand(0), call.operand(1), call.optional(2))
      if let addend = call.optional(3) { sum = try call.binary(.add, sum, addend) }
      return [try call.activated(sum)]
    },
    "FusedGemm": { call in [try call.activated(call.gemm())] },
    "FusedMatMul": { call in
      func turned(_ index: Int, _ attribute: String) throws -> Operand {
        let x = try call.operand(index)
        guard try call.flag(attribute), x.rank >= 2 else { return x }
        return try call.permute(x, Array(0..<x.rank - 2) + [x.rank - 1, x.rank - 2])
      }
      guard try !call.flag("transBatchA"), try !call.flag("transBatchB") else { throw Unsizable("turns batches") }
      let product = try call.matrixProduct(turned(0, "transA"), turned(1, "transB"))
      let alpha = try call.float("alpha", 1)
      return [alpha == 1 ? product : try call.binary(.multiply, product, call.scalar(alpha, product.dtype))]
    },
    "MatMulNBits": { call in [try call.packedProduct()] },
    "Gelu": { call in [try call.unary(.gelu(isApproximate: false), call.operand(0))] },
    "BiasGelu": { call in [try call.unary(.gelu(isApproximate: false), call.biased(call.operand(0), 1))] },
    "FastGelu": { call in [try call.unary(.gelu(isApproximate: true), call.biased(call.operand(0), 1))] },
    "QuickGelu": { call in
      let (x, alpha) = (try call.operand(0), try call.float("alpha", 1.702))
      let gate = try call.unary(.sigmoid, call.binary(.multiply, x, call.scalar(alpha, x.dtype)))
      return [try call.binary(.multiply, x, gate)]
    },
    "SkipLayerNormalization": { call in try call.skipNorm(isCentered: true) },
    "SkipSimplifiedLayerNormalization": { call in try call.skipNorm(isCentered: false) },
    "RotaryEmbedding": { call in
      // Places stand before the angles.
      [try call.with([call.optional(0), call.optional(2), call.optional(3), call.optional(1)]).rotated()]
    },
    "MultiHeadAttention": { call in try call.multiHeadAttention() },
  ]

  private static func quantizedFunction(
    _ body: @escaping @Sendable (NodeCall, Operand) throws -> Operand
  ) -> Rule {
    { call in
      let x = try call.dequantized(call.operand(0), call.operand(1), call.optional(2))
      let dtype = try call.optional(4)?.dtype ?? call.operand(0).dtype
      return [try call.quantized(body(call, x), call.operand(3), call.optional(4), dtype)]
    }
  }
}

extension NodeCall {
  /// The same node with other operands.
  func with(_ operands: [Operand?]) -> NodeCall {
    NodeCall(node: node, name: name, opsets: opsets, operands: operands, tracer: tracer)
  }

  /// With an input added, where it is there.
  fileprivate func biased(_ x: Operand, _ index: Int) throws -> Operand {
    try optional(index).map { try binary(.add, x, $0) } ?? x
  }

  /// A product by a weight of 4-bit numbers [out, blocks, bytes], two a byte, with a scale for each block and a zero point
  /// of 8 unless one is said.
  fileprivate func packedProduct() throws -> Operand {
    let (packed, rows, columns) = (try operand(1), try int("N", 0), try int("K", 0))
    let block = try int("block_size", 32)
    guard try int("bits", 4) == 4, (16...1 << 16).contains(block), block % 2 == 0, rows > 0, columns > 0,
      optional(4) == nil, packed.dtype == .uint8
    else { throw Unsizable("takes a weight of some other packing") }
    let blocks = (columns - 1) / block + 1
    guard try packed.count == product([rows, blocks, block / 2]) else {
      throw ModelError(.mismatch, "has a weight \(packed.shape) for \(rows) by \(columns)")
    }
    func unpacked(_ bytes: Operand) throws -> Operand {
      let low = try binary(.bitwiseAnd, bytes, scalar(15, .uint8))
      let high = try binary(.shiftRight, bytes, scalar(4, .uint8))
      return try convert(all(.stack(axis: bytes.rank), [low, high])[0], .float32)
    }
    var weight = try reshape(unpacked(reshape(packed, [rows, blocks, block / 2])), [rows, blocks, block])
    let scales = try reshape(operand(2), [rows, blocks, 1])
    if let zeros = optional(3) {
      guard zeros.dtype == .uint8 else { throw Unsizable("has zero points of some other packing") }
      let width = (blocks + 1) / 2
      let each = try reshape(unpacked(reshape(zeros, [rows, width])), [rows, 2 * width])
      weight = try binary(.subtract, weight, reshape(slice(each, 1, 0, blocks), [rows, blocks, 1]))
    } else {
      weight = try binary(.subtract, weight, scalar(8, .float32))
    }
    let whole = try reshape(binary(.multiply, weight, convert(scales, .float32)), [rows, blocks * block])
    let x = try operand(0)
    let product = try emit(.linear, convert(x, .float32), slice(whole, 1, 0, columns))
    return try convert(biased(product, 5), x.dtype)
  }

  fileprivate func channelsFirst(_ x: Operand, _ body: (Operand) throws -> Operand) throws -> Operand {
    guard try flag("channels_last"), x.rank > 2 else { return try body(x) }
    let result = try body(permute(x, [0, x.rank - 1] + Array(1..<x.rank - 1)))
    return try permute(result, [0] + Array(2..<x.rank) + [1])
  }

  fileprivate func quantizedPair(_ function: Binary) throws -> Operand {
    let a = try dequantized(operand(0), operand(1), optional(2))
    let b = try dequantized(operand(3), operand(4), optional(5))
    return try quantized(binary(function, a, b), operand(6), optional(7), optional(7)?.dtype ?? operand(0).dtype)
  }

  fileprivate func activated(_ x: Operand) throws -> Operand {
    let parameters = try floats("activation_params") ?? []
    func parameter(_ index: Int, _ name: String, _ standard: Double) throws -> Double {
      try parameters.indices.contains(index) ? parameters[index] : float(name, standard)
    }
    switch try text("activation", "") {
    case "": return x
    case "Relu": return try unary(.relu, x)
    case "Sigmoid": return try unary(.sigmoid, x)
    case "Tanh": return try unary(.tanh, x)
    case "LeakyRelu": return try unary(.leakyReLU(slope: parameter(0, "activation_alpha", 0.01)), x)
    case "Clip":
      return try unary(
        .clip(
          minimum: parameter(0, "activation_alpha", -.infinity), maximum: parameter(1, "activation_beta", .infinity)), x
      )
    case "HardSigmoid":
      let scaled = try binary(.multiply, x, scalar(parameter(0, "activation_alpha", 0.2), x.dtype))
      return try unary(
        .clip(minimum: 0, maximum: 1), binary(.add, scaled, scalar(parameter(1, "activation_beta", 0.5), x.dtype)))
    case let name: throw ModelError(.unsupported, "has an activation \(name)")
    }
  }

  /// The sum of an input and what skips over it, normalised; the sum itself is the fourth output.
  fileprivate func skipNorm(isCentered: Bool) throws -> [Operand?] {
    var sum = try binary(.add, operand(0), operand(1))
    sum = try biased(sum, isCentered ? 4 : 3)
    let eps = try float("epsilon", 1e-5)
    guard isCentered else { return [try emit(.rmsNorm(axes: 1, eps: eps), sum, operand(2)), nil, nil, sum] }
    return [
      try all(.layerNorm(axes: 1, eps: eps), [sum, operand(2)] + (optional(3).map { [$0] } ?? []))[0], nil, nil, sum,
    ]
  }

  /// Queries, keys and values [batch, length, heads · features], biases of all three side by side, and what is added to
  /// the scores.
  fileprivate func multiHeadAttention() throws -> [Operand?] {
    guard let heads = try int("num_heads"), heads > 0, let keys = optional(1), let values = optional(2),
      optional(4) == nil, operands.dropFirst(6).allSatisfy({ $0 == nil }), try !flag("unidirectional")
    else { throw Unsizable("takes packed inputs, masks of keys, or a past") }
    let inputs = [try operand(0), keys, values]
    guard inputs.allSatisfy({ $0.rank == 3 && $0.shape[2] % heads == 0 }) else {
      throw Unsizable("takes packed inputs")
    }
    var start = 0
    let headed = try inputs.map { input -> Operand in
      let width = input.shape[2]
      var x = input
      if let bias = optional(3) { x = try binary(.add, x, slice(bias, 0, start, start + width)) }
      start += width
      return try permute(reshape(x, [x.shape[0], x.shape[1], heads, width / heads]), [0, 2, 1, 3])
    }
    let scale = try float("scale", 0)
    let result = try all(
      .attention(scale: scale == 0 ? nil : scale), headed + (optional(5).map { [$0] } ?? []))[0]
    return [
      try reshape(
        permute(result, [0, 2, 1, 3]), [result.shape[0], result.shape[2], result.shape[1] * result.shape[3]])
    ]
  }
}
