import CEngine
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

extension Compiler {
  mutating func unary(_ unary: Unary, _ node: Graph.Node) throws {
    let function = EltwiseFunction(unary)
    let input = try function == nil ? place(node.operands[0]) : stored(node.operands[0])
    let layout = Layout.ordered(input.layout.shape, input.layout.order)
    let source = try dense(input, as: layout)
    let result = allocate(layout, source.dtype, for: node.results[0])
    let count = layout.count
    guard let function, count > 0 else {
      add(node, "\(unary)", "own", reads: [source], writes: [result]) { memory in
        let (from, to) = (memory.floats(source), memory.floats(result))
        return { for index in 0..<count { to[index] = Float(unary(Double(from[index]))) } }
      }
      return
    }
    let flat = try MemoryDescription([count], strides: [1], source.dtype)
    let primitive = try Primitive("function of elements") {
      ce_eltwise(&$0, ce_function(function.function), function.alpha, function.beta, flat.handle, flat.handle)
    }
    add(node, "\(unary)", primitive, [(CE_SRC, source)], [(CE_DST, result)])
  }

  /// Two operands, broadcast.
  mutating func binary(_ function: Binary, _ node: Graph.Node) throws {
    let operands = try node.operands.map { try place($0) }
    let shape = types[node.results[0]].shape
    // The result lies as its larger operand does.
    let model = operands.max { $0.layout.count < $1.layout.count }
    let layout = model.map { $0.layout.shape == shape ? Layout.ordered(shape, $0.layout.order) : .rowMajor(shape) }
    let result = allocate(layout ?? .rowMajor(shape), for: node.results[0])
    let layouts = operands.map { $0.layout.expanded(to: shape) }
    let walk = Walk([result.layout] + layouts)
    add(node, function.rawValue, "own", reads: operands, writes: [result]) { memory in
      let rows = BinaryRows(
        walk: walk, result: memory.floats(result), first: memory.floats(operands[0]), second: memory.floats(operands[1])
      )
      return { rows.run(function) }
    }
  }
}

/// Rows of two operands.
private struct BinaryRows: @unchecked Sendable {
  let walk: Walk
  let result: UnsafeMutablePointer<Float>
  let first: UnsafeMutablePointer<Float>
  let second: UnsafeMutablePointer<Float>

  func run(_ function: Binary) {
    switch function {
    case .add: each { $0 + $1 }
    case .subtract: each { $0 - $1 }
    case .multiply: each { $0 * $1 }
    case .divide: each { $0 / $1 }
    default: each { Float(function(Double($0), Double($1))) }
    }
  }

  @inline(__always)
  private func each(_ function: @Sendable (Float, Float) -> Float) {
    let (count, step, a, b) = (walk.inner, walk.innerStride(0), walk.innerStride(1), walk.innerStride(2))
    walk.forEachRow { row in
      let to = result + walk.start(ofRow: row, 0)
      let (x, y) = (first + walk.start(ofRow: row, 1), second + walk.start(ofRow: row, 2))
      switch (step, a, b) {
      case (1, 1, 1): for index in 0..<count { to[index] = function(x[index], y[index]) }
      case (1, 1, 0): for index in 0..<count { to[index] = function(x[index], y[0]) }
      case (1, 0, 1): for index in 0..<count { to[index] = function(x[0], y[index]) }
      default: for index in 0..<count { to[index * step] = function(x[index * a], y[index * b]) }
      }
    }
  }
}
