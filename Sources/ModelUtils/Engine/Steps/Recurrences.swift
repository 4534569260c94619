import CEngine
import CKernels
import ModelCore
import ModelGraph

extension Compiler {
  /// A recurrent layer in one direction: what the gates take of the input is one product over all steps; then step
  /// after step the product with the last state, and the gates.
  mutating func recurrence(_ recurrence: Recurrence, _ node: Graph.Node) throws -> Bool {
    let isLSTM = recurrence.kind == .lstm
    let (length, batch) = (types[node.operands[0]].shape[0], types[node.operands[0]].shape[1])
    let input = try rowMajor(node.operands[0])
    let first = try rowMajor(node.operands[1])
    let memory = isLSTM ? try rowMajor(node.operands[2]) : nil
    let weights = Array(node.operands.dropFirst(isLSTM ? 3 : 2))
    let rows = types[weights[0]].shape[0]
    let (hidden, width) = (rows / recurrence.kind.gates, types[node.operands[1]].shape[1])
    let biases = recurrence.hasBias ? [weights[2], weights[3]] : []
    let fromInput = try Gates(self, rows: length * batch, weights[0], bias: biases.first)
    let fromState = try Gates(self, rows: batch, weights[1], bias: biases.last)
    let projection = try weights.last.flatMap {
      recurrence.isProjected ? try Gates(self, rows: batch, $0, bias: nil) : nil
    }
    var reads = [input, first] + (memory.map { [$0] } ?? [])
    let inputParts = try fromInput.place(&self)
    let stateParts = try fromState.place(&self)
    let projectionParts = try projection?.place(&self)
    reads += [inputParts, stateParts].flatMap { $0.map(\.1) } + (projectionParts?.map(\.1) ?? [])
    let states = allocate(.rowMajor([length, batch, width]), for: node.results[0])
    let last = allocate(.rowMajor([batch, width]), for: node.results[1])
    let cell = isLSTM ? allocate(.rowMajor([batch, hidden]), for: node.results[2]) : nil
    let all = try scratch(.rowMajor([length, batch, rows]))
    let each = try scratch(.rowMajor([batch, rows]))
    let wide = recurrence.isProjected ? try scratch(.rowMajor([batch, hidden])) : nil
    let kernel: mk_cell =
      switch recurrence.kind {
      case .rnnTanh: MK_RNN_TANH
      case .rnnReLU: MK_RNN_RELU
      case .lstm: MK_LSTM
      case .gru: MK_GRU
      }
    let isReversed = recurrence.isReversed
    let writes = [states, last, all, each] + [cell, wide].compactMap { $0 }
    add(
      graph.scopes[node.scope].path, recurrence.kind.rawValue, fromInput.primitive.implementation, reads: reads,
      writes: writes,
      scratchBytes: [fromInput, fromState, projection].compactMap { $0?.primitive.scratchBytes }.max() ?? 0
    ) { bound in
      let product = try fromInput.bind(inputParts, input, all, bound)
      let step = try fromState.bind(stateParts, last, each, bound)
      let narrow = try projection.flatMap { projection in
        try wide.flatMap { try projection.bind(projectionParts ?? [], $0, last, bound) }
      }
      nonisolated(unsafe) let (state, gates, parts) = (bound.floats(last), bound.floats(all), bound.floats(each))
      nonisolated(unsafe) let (begin, output) = (bound.floats(first), bound.floats(states))
      nonisolated(unsafe) let content = cell.map { bound.floats($0) }
      nonisolated(unsafe) let given = memory.map { bound.floats($0) }
      nonisolated(unsafe) let next = wide.map { bound.floats($0) } ?? state
      return {
        try product.run()
        state.update(from: begin, count: batch * width)
        if let content, let given { content.update(from: given, count: batch * hidden) }
        for index in 0..<length {
          let place = isReversed ? length - 1 - index : index
          try step.run()
          Parallel.forEachRange(batch, of: 16 * rows) { range in
            for entry in range {
              mk_gates(
                kernel, next + entry * hidden, content.map { $0 + entry * hidden },
                gates + (place * batch + entry) * rows, parts + entry * rows, next + entry * hidden, hidden)
            }
          }
          try narrow?.run()
          (output + place * batch * width).update(from: state, count: batch * width)
        }
      }
    }
    return true
  }
}

/// The product of rows with a stored weight [out, in], and a bias.
private struct Gates: @unchecked Sendable {
  let primitive: Primitive
  private let weight: Graph.Value
  private let bias: Graph.Value?
  private let packed: (shape: [Int], strides: [Int])

  init(_ compiler: Compiler, rows: Int, _ weight: Graph.Value, bias: Graph.Value?) throws {
    let shape = compiler.types[weight].shape
    (self.weight, self.bias) = (weight, bias)
    packed = ([shape[1], shape[0]], [1, shape[1]])
    let (a, c) = (
      try MemoryDescription(.rowMajor([rows, shape[1]])), try MemoryDescription(.rowMajor([rows, shape[0]]))
    )
    let free = try MemoryDescription(packed.shape, strides: nil)
    let line = try bias.map { _ in try MemoryDescription(.rowMajor([1, shape[0]])) }
    primitive = try Primitive("product") { ce_matmul(&$0, a.handle, free.handle, line?.handle, c.handle, 0, nil) }
  }

  /// Puts the weight and the bias where the product takes them.
  func place(_ compiler: inout Compiler) throws -> [(ce_argument, Placed)] {
    let weights = try compiler.packed(weight, packed, for: primitive)
    return [(CE_WEIGHTS, weights)] + (try bias.map { [(CE_BIAS, try compiler.rowMajor($0))] } ?? [])
  }

  func bind(
    _ parts: [(ce_argument, Placed)], _ source: Placed, _ result: Placed, _ memory: Memory
  ) throws -> Primitive.Binding {
    var arguments = (parts + [(CE_SRC, source), (CE_DST, result)]).map { (Int32($0.0.rawValue), memory.pointer($0.1)) }
    if primitive.scratchBytes > 0 { arguments.append((Int32(CE_SCRATCHPAD.rawValue), memory.scratch)) }
    return try primitive.bind(arguments)
  }
}
