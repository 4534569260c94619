import CEngine
import CKernels
import ModelCore
import ModelGraph

/// What oneDNN calls a function of each element.
struct EltwiseFunction: Hashable, Sendable {
  let function: ce_function.RawValue
  var alpha: Float = 0
  var beta: Float = 0

  private init(_ function: ce_function, _ alpha: Double = 0, _ beta: Double = 0) {
    (self.function, self.alpha, self.beta) = (function.rawValue, Float(alpha), Float(beta))
  }

  var isSiLU: Bool { function == CE_SWISH.rawValue }

  /// Nil for what oneDNN does not have, or not as PyTorch computes it.
  init?(_ unary: Unary) {
    switch unary {
    case .abs: self.init(CE_ABS)
    case .clip(let minimum, let maximum):
      self.init(CE_CLIP, minimum ?? -.infinity, maximum ?? .infinity)
    case .elu(let alpha): self.init(CE_ELU, alpha)
    case .exp: self.init(CE_EXP)
    case .gelu(let isApproximate): self.init(isApproximate ? CE_GELU_TANH : CE_GELU_ERF)
    case .hardswish: self.init(CE_HARDSWISH, 1.0 / 6, 0.5)
    case .leakyReLU(let slope): self.init(CE_RELU, slope)
    case .log: self.init(CE_LOG)
    case .mish: self.init(CE_MISH)
    case .relu: self.init(CE_RELU)
    case .sigmoid: self.init(CE_LOGISTIC)
    case .silu: self.init(CE_SWISH, 1)
    case .sqrt: self.init(CE_SQRT)
    case .square: self.init(CE_SQUARE)
    case .tanh: self.init(CE_TANH)
    default: return nil
    }
  }
}

/// What the kernels call a function of each element.
private struct UnaryKernel {
  let function: mk_function
  var a: Float = 0
  var b: Float = 0

  private init(_ function: mk_function, _ a: Double = 0, _ b: Double = 0) {
    (self.function, self.a, self.b) = (function, Float(a), Float(b))
  }

  /// Nil for what oneDNN computes, and what has no kernel.
  init?(_ unary: Unary) {
    switch unary {
    case .ceil: self.init(MK_CEIL)
    case .celu(let alpha): self.init(MK_CELU, alpha)
    case .cos: self.init(MK_COS)
    case .elu(let alpha): self.init(MK_ELU, alpha)
    case .erf: self.init(MK_ERF)
    case .floor: self.init(MK_FLOOR)
    case .hardshrink(let lambda): self.init(MK_HARDSHRINK, lambda)
    case .hardsigmoid: self.init(MK_HARDSIGMOID)
    case .logSigmoid: self.init(MK_LOG_SIGMOID)
    case .negate: self.init(MK_NEGATE)
    case .not: self.init(MK_NOT)
    case .reciprocal: self.init(MK_RECIPROCAL)
    case .round: self.init(MK_ROUND)
    case .rsqrt: self.init(MK_RSQRT)
    case .selu: self.init(MK_SELU)
    case .sign: self.init(MK_SIGN)
    case .sin: self.init(MK_SIN)
    case .softplus(let beta, let threshold): self.init(MK_SOFTPLUS, beta, threshold)
    case .softshrink(let lambda): self.init(MK_SOFTSHRINK, lambda)
    case .softsign: self.init(MK_SOFTSIGN)
    case .tan: self.init(MK_TAN)
    case .tanhshrink: self.init(MK_TANHSHRINK)
    case .threshold(let threshold, let value): self.init(MK_THRESHOLD, threshold, value)
    case .abs, .clip, .exp, .gelu, .hardswish, .leakyReLU, .log, .mish, .relu, .sigmoid, .silu, .sqrt, .square, .tanh,
      .acos, .acosh, .asin, .asinh, .atan, .atanh, .bitwiseNot, .cosh, .sinh:
      return nil
    }
  }
}

extension Compiler {
  /// A function of float32 elements, by oneDNN where it has it.
  mutating func unary(_ unary: Unary, _ node: Graph.Node) throws {
    let function = EltwiseFunction(unary)
    if function == nil, UnaryKernel(unary) == nil { return try numbers(of: unary, node) }
    let (source, result) = try inPlace(node, isRetyped: function == nil)
    let count = source.layout.count
    if let function {
      let flat = try MemoryDescription([count], strides: [1], source.dtype)
      let primitive = try Primitive("function of elements") {
        ce_eltwise(&$0, ce_function(function.function), function.alpha, function.beta, flat.handle, flat.handle)
      }
      add(node, "\(unary)", primitive, [(CE_SRC, source)], [(CE_DST, result)])
    } else if let kernel = UnaryKernel(unary) {
      let (function, a, b) = (kernel.function, kernel.a, kernel.b)
      let walk = Walk([.rowMajor([count]), .rowMajor([count])])
      add(node, "\(unary)", "own", reads: [source], writes: [result]) { memory in
        nonisolated(unsafe) let (from, to) = (memory.floats(source), memory.floats(result))
        return {
          walk.forEachPlane { starts, plane in
            mk_unary(function, a, b, to + starts[0], from + starts[0], plane.columns)
          }
        }
      }
    }
  }

  /// A dense operand and where its result of the same layout goes: over the operand, where that is a copy that nothing
  /// else takes.
  /// - Parameter isRetyped: whether it is wanted in its own type, not the one that it is stored in.
  private mutating func inPlace(_ node: Graph.Node, isRetyped: Bool) throws -> (source: Placed, result: Placed) {
    let input = try isRetyped ? place(node.operands[0]) : stored(node.operands[0])
    let layout = Layout.ordered(input.layout.shape, input.layout.order)
    let source = try dense(input, as: layout)
    guard source.buffer == input.buffer else {
      set(node.results[0], source)
      return (source, source)
    }
    return (source, allocate(layout, source.dtype, for: node.results[0]))
  }

  /// Two operands of any types, broadcast.
  mutating func binary(_ function: Binary, _ node: Graph.Node) throws {
    let type = types[node.results[0]]
    guard type.dtype == .float32 else { return try numbers(of: function, node) }
    let kernel: mk_pair? =
      switch function {
      case .add: MK_ADD
      case .subtract: MK_SUBTRACT
      case .multiply: MK_MULTIPLY
      case .divide: MK_DIVIDE
      case .minimum: MK_MINIMUM
      case .maximum: MK_MAXIMUM
      case .power: MK_POWER
      case .floorDivide: MK_FLOOR_DIVIDE
      case .remainder: MK_REMAINDER
      case .and: MK_AND
      case .or: MK_OR
      case .xor: MK_XOR
      case .quotient, .truncatedRemainder, .bitwiseAnd, .bitwiseOr, .bitwiseXor, .shiftLeft, .shiftRight: nil
      }
    guard let kernel else { return try numbers(of: function, node) }
    try pair(kernel, function.rawValue, node.operands.map { try converted(place($0), to: .float32) }, node)
  }

  /// A slope for each channel, or one.
  mutating func prelu(_ node: Graph.Node) throws {
    let (input, slopes) = (try place(node.operands[0]), try place(node.operands[1]))
    var layout = Layout(
      shape: input.layout.shape, strides: input.layout.shape.map { _ in 0 }, offset: slopes.layout.offset)
    if slopes.layout.count > 1 { layout.strides[1] = slopes.layout.strides[0] }
    try pair(MK_PRELU, "prelu", [input, slopes.with(layout)], node)
  }

  /// The product of the elements of two values, broadcast.
  mutating func multiplied(_ left: Placed, _ right: Placed, _ node: Graph.Node) throws -> Placed {
    let shape = zip(left.layout.shape, right.layout.shape).map { max($0, $1) }
    let result = allocate(.rowMajor(shape), .float32)
    let walk = Walk([result, left, right].map { $0.layout.expanded(to: shape) })
    pair(MK_MULTIPLY, "multiply", [left, right], result, walk, node)
    return result
  }

  private mutating func pair(_ function: mk_pair, _ name: String, _ operands: [Placed], _ node: Graph.Node) throws {
    let (walk, result) = broadcast(operands, node)
    pair(function, name, operands, result, walk, node)
  }

  private mutating func pair(
    _ function: mk_pair, _ name: String, _ operands: [Placed], _ result: Placed, _ walk: Walk, _ node: Graph.Node
  ) {
    add(node, name, "own", reads: operands, writes: [result]) { memory in
      nonisolated(unsafe) let (to, a, b) = (
        memory.floats(result), memory.floats(operands[0]), memory.floats(operands[1])
      )
      return {
        walk.forEachPlane { starts, plane in
          mk_binary(function, to + starts[0], a + starts[1], b + starts[2], &plane)
        }
      }
    }
  }

  /// A walk over a node's result and its operands, broadcast; the result lies as the largest operand does.
  mutating func broadcast(_ operands: [Placed], _ node: Graph.Node) -> (walk: Walk, result: Placed) {
    let shape = types[node.results[0]].shape
    let model = operands.max { $0.layout.count < $1.layout.count }
    let layout = model.map { $0.layout.shape == shape ? Layout.ordered(shape, $0.layout.order) : .rowMajor(shape) }
    let result = allocate(layout ?? .rowMajor(shape), for: node.results[0])
    return (Walk([result.layout] + operands.map { $0.layout.expanded(to: shape) }), result)
  }

  /// A comparison of two operands of any types.
  mutating func compare(_ comparison: Comparison, _ node: Graph.Node) throws {
    let dtype = DType.promoted(node.operands.map { types[$0] })
    guard dtype == .float32 else { return try numbers(of: comparison, node) }
    let relation: mk_relation =
      switch comparison {
      case .equal: MK_EQUAL
      case .notEqual: MK_NOT_EQUAL
      case .less: MK_LESS
      case .lessOrEqual: MK_LESS_OR_EQUAL
      case .greater: MK_GREATER
      case .greaterOrEqual: MK_GREATER_OR_EQUAL
      }
    let operands = try node.operands.map { try converted(place($0), to: .float32) }
    let (walk, result) = broadcast(operands, node)
    add(node, comparison.rawValue, "own", reads: operands, writes: [result]) { memory in
      nonisolated(unsafe) let (to, a, b) = (
        memory.pointer(result).assumingMemoryBound(to: UInt8.self), memory.floats(operands[0]),
        memory.floats(operands[1])
      )
      return {
        walk.forEachPlane { starts, plane in
          mk_relate(relation, to + starts[0], a + starts[1], b + starts[2], &plane)
        }
      }
    }
  }

  /// One of two operands of any types, by a condition.
  mutating func select(_ node: Graph.Node) throws {
    let dtype = types[node.results[0]].dtype
    let operands =
      [try converted(place(node.operands[0]), to: .bool)]
      + (try node.operands.dropFirst().map { try converted(place($0), to: dtype) })
    let (walk, result) = broadcast(operands, node)
    let width = dtype.byteWidth ?? 1
    add(node, "select", "own", reads: operands, writes: [result]) { memory in
      nonisolated(unsafe) let to = memory.pointer(result)
      nonisolated(unsafe) let from = operands.map { memory.pointer($0) }
      return {
        walk.forEachPlane { starts, plane in
          mk_choose(
            to + starts[0] * width, from[0].assumingMemoryBound(to: UInt8.self) + starts[1],
            from[1] + starts[2] * width,
            from[2] + starts[3] * width, width, &plane)
        }
      }
    }
  }
}
