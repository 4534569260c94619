import ModelCore
import ModelGraph

/// Recurrent layers.
extension NodeRules {
  static let recurrences: [String: Rule] = [
    "RNN": { call in try RecurrentLayer(call, gates: 1).lowered() },
    "GRU": { call in try RecurrentLayer(call, gates: 3).lowered() },
    "LSTM": { call in try RecurrentLayer(call, gates: 4).lowered() },
  ]
}

/// An RNN, GRU or LSTM of one layer in one or both directions. Those that PyTorch has become its operation; others are
/// written out step by step.
struct RecurrentLayer {
  let call: NodeCall
  let gates: Int
  /// [steps, batch, features].
  private let input: Operand
  private let isBatchFirst: Bool
  private let directions: [Bool]
  private let hidden: Int
  private let weights: Operand
  private let stateWeights: Operand
  private let activations: [Activation]
  private let clip: Double
  /// What is done to states before they are multiplied: rounding in quantised layers.
  private let round: (Operand) throws -> Operand

  /// The most steps that are written out.
  private static let stepLimit = 2048

  struct Activation: Equatable {
    let name: String
    let alpha: Double?
    let beta: Double?
  }

  /// - Parameters:
  ///   - weights: [directions, gates · hidden, features], the second input by default.
  ///   - stateWeights: [directions, gates · hidden, hidden], the third by default.
  init(
    _ call: NodeCall, gates: Int, input: Operand? = nil, weights: Operand? = nil, stateWeights: Operand? = nil,
    round: ((Operand) throws -> Operand)? = nil
  ) throws {
    (self.call, self.gates) = (call, gates)
    self.round = round ?? { $0 }
    let x = try input ?? call.operand(0)
    isBatchFirst = try call.flag("layout")
    let (w, r) = (try weights ?? call.operand(1), try stateWeights ?? call.operand(2))
    guard x.rank == 3, w.rank == 3, r.rank == 3 else {
      throw ModelError(.mismatch, "takes 3 axes, but \(x.shape), \(w.shape) and \(r.shape) come to it")
    }
    self.input = try isBatchFirst ? call.permute(x, [1, 0, 2]) : x
    switch try call.text("direction", "forward").lowercased() {
    case "forward": directions = [false]
    case "reverse": directions = [true]
    case "bidirectional": directions = [false, true]
    case let name: throw ModelError(.malformed, "runs in the direction \(name)")
    }
    hidden = try call.int("hidden_size", r.shape[2])
    guard (1...1 << 31).contains(hidden), w.shape == [directions.count, gates * hidden, x.shape[2]],
      r.shape == [directions.count, gates * hidden, hidden]
    else { throw ModelError(.mismatch, "has weights \(w.shape) and \(r.shape) for \(x.shape)") }
    (self.weights, self.stateWeights) = (w, r)
    clip = try call.float("clip", 0)
    let standard = gates == 1 ? ["Tanh"] : gates == 3 ? ["Sigmoid", "Tanh"] : ["Sigmoid", "Tanh", "Tanh"]
    var names = directions.flatMap { _ in standard }
    if case .strings(let given)? = call.node.attribute("activations"), !given.isEmpty {
      names = given.map { String(decoding: $0, as: UTF8.self) }
    }
    guard names.count == standard.count * directions.count else {
      throw ModelError(.malformed, "has \(names.count) activations")
    }
    var (alphas, betas) = (try call.floats("activation_alpha") ?? [], try call.floats("activation_beta") ?? [])
    activations = names.map { name in
      let takesAlpha = ["affine", "leakyrelu", "thresholdedrelu", "scaledtanh", "hardsigmoid", "elu"]
      let key = name.lowercased()
      return Activation(
        name: key, alpha: takesAlpha.contains(key) && !alphas.isEmpty ? alphas.removeFirst() : nil,
        beta: ["affine", "scaledtanh", "hardsigmoid"].contains(key) && !betas.isEmpty ? betas.removeFirst() : nil)
    }
  }

  func lowered() throws -> [Operand?] {
    let (steps, batch) = (input.shape[0], input.shape[1])
    guard steps > 0 else { throw ModelError(.mismatch, "takes at least one step") }
    var (all, lasts, cells) = ([Operand](), [Operand](), [Operand]())
    for (index, isReversed) in directions.enumerated() {
      let part = try Part(self, index, steps: steps, batch: batch)
      let results = try recurrence(part, isReversed) ?? writtenOut(part, isReversed)
      all.append(try call.unsqueeze(results[0], 1))
      lasts.append(try call.unsqueeze(results[1], 0))
      if gates == 4 { cells.append(try call.unsqueeze(results[2], 0)) }
    }
    func joined(_ parts: [Operand], _ axis: Int) throws -> Operand {
      parts.count == 1 ? parts[0] : try call.all(.concatenate(axis: axis), parts)[0]
    }
    let order = [1, 0, 2]
    let (y, last) = (try joined(all, 1), try joined(lasts, 0))
    var results = [
      isBatchFirst ? try call.permute(y, [2, 0, 1, 3]) : y, isBatchFirst ? try call.permute(last, order) : last,
    ]
    if gates == 4 {
      let cell = try joined(cells, 0)
      results.append(isBatchFirst ? try call.permute(cell, order) : cell)
    }
    return results
  }

  /// What one direction takes.
  private struct Part {
    let weight: Operand
    let stateWeight: Operand
    let biases: (Operand, Operand)?
    let state: Operand
    let cell: Operand
    let peepholes: Operand?
    let lengths: Operand?
    let activations: ArraySlice<Activation>

    init(_ layer: RecurrentLayer, _ index: Int, steps: Int, batch: Int) throws {
      let (call, hidden) = (layer.call, layer.hidden)
      func part(_ operand: Operand) throws -> Operand {
        guard operand.shape.first == layer.directions.count else {
          throw ModelError(.mismatch, "has \(operand.shape) for \(layer.directions.count) directions")
        }
        return try call.reshape(call.slice(operand, 0, index, index + 1), Array(operand.shape.dropFirst()))
      }
      (weight, stateWeight) = (try part(layer.weights), try part(layer.stateWeights))
      let rows = layer.gates * hidden
      biases = try call.optional(3).map { bias in
        let both = try part(bias)
        guard both.shape == [2 * rows] else { throw ModelError(.mismatch, "has biases \(bias.shape)") }
        return (try call.slice(both, 0, 0, rows), try call.slice(both, 0, rows, 2 * rows))
      }
      func state(_ input: Int) throws -> Operand {
        guard let given = call.optional(input) else {
          return try call.filled(call.scalar(0, layer.input.dtype), [batch, hidden])
        }
        let state = try part(layer.isBatchFirst ? call.permute(given, [1, 0, 2]) : given)
        guard state.shape == [batch, hidden] else { throw ModelError(.mismatch, "has a state \(given.shape)") }
        return state
      }
      self.state = try state(5)
      cell = try layer.gates == 4 ? state(6) : self.state
      peepholes = try layer.gates == 4 ? call.optional(7).map(part) : nil
      let lengths = call.optional(4)
      let areFull = try lengths?.tensor?.integers().allSatisfy { $0 == steps } ?? false
      self.lengths = areFull ? nil : lengths
      let count = layer.activations.count / layer.directions.count
      activations = layer.activations[index * count..<(index + 1) * count]
    }
  }

  // MARK: As PyTorch

  /// Nil for what PyTorch's layers do not do.
  private func recurrence(_ part: Part, _ isReversed: Bool) throws -> [Operand]? {
    let names = part.activations.map(\.name)
    let kind: Recurrent.Kind
    switch (gates, names) {
    case (1, ["tanh"]): kind = .rnnTanh
    case (1, ["relu"]): kind = .rnnReLU
    case (3, ["sigmoid", "tanh"]): kind = .gru
    case (4, ["sigmoid", "tanh", "tanh"]): kind = .lstm
    default: return nil
    }
    guard clip == 0, part.peepholes == nil, part.lengths == nil, try !call.flag("input_forget"),
      try gates != 3 || call.flag("linear_before_reset"), call.node.domain.isEmpty || call.node.isStandard
    else { return nil }
    // Update, reset, new; input, output, forget, cell.
    let order = gates == 3 ? [1, 0, 2] : gates == 4 ? [0, 2, 3, 1] : [0]
    func arranged(_ operand: Operand) throws -> Operand {
      if gates == 1 { return operand }
      let parts = try order.map { try call.slice(operand, 0, $0 * hidden, ($0 + 1) * hidden) }
      return try call.all(.concatenate(axis: 0), parts)[0]
    }
    var operands = [input, part.state] + (gates == 4 ? [part.cell] : [])
    operands += [try arranged(part.weight), try arranged(part.stateWeight)]
    if let biases = part.biases { operands += [try arranged(biases.0), try arranged(biases.1)] }
    return try call.all(
      .recurrence(Recurrence(kind, isReversed: isReversed, hasBias: part.biases != nil)), operands)
  }

  // MARK: Step by step

  private func writtenOut(_ part: Part, _ isReversed: Bool) throws -> [Operand] {
    let (steps, batch) = (input.shape[0], input.shape[1])
    guard steps <= Self.stepLimit else { throw ModelError(.limit, "runs \(steps) steps of a kind that is written out") }
    let linearBeforeReset = try call.flag("linear_before_reset")
    var fromInput = try call.emit(.linear, input, part.weight)
    if let biases = part.biases {
      fromInput = try call.binary(.add, fromInput, biases.0)
      // What is added to both together, but for a GRU's new state.
      if gates != 3 { fromInput = try call.binary(.add, fromInput, biases.1) }
    }
    let peepholes = try part.peepholes.map { try call.all(.split(axis: 0, .equal(3)), [$0]) }
    let lengths = try part.lengths.map { try call.reshape(call.convert($0, .int64), [batch, 1]) }
    let zero = try call.scalar(0, input.dtype)
    var (state, cell) = (part.state, part.cell)
    var outputs = [Operand?](repeating: nil, count: steps)
    for index in 0..<steps {
      let step = isReversed ? steps - 1 - index : index
      let x = try call.reshape(call.slice(fromInput, 0, step, step + 1), [batch, gates * hidden])
      var (next, nextCell) = (state, cell)
      switch gates {
      case 1: next = try activated(part, 0, call.binary(.add, x, call.emit(.linear, round(state), part.stateWeight)))
      case 3: next = try gru(part, x, state, linearBeforeReset)
      default: (next, nextCell) = try lstm(part, x, state, cell, peepholes)
      }
      var output = next
      if let lengths {
        let runs = try call.compare(.greater, lengths, call.constant([step], []))
        output = try call.emit(.select, runs, next, zero)
        next = try call.emit(.select, runs, next, state)
        nextCell = try call.emit(.select, runs, nextCell, cell)
      }
      (state, cell) = (next, nextCell)
      outputs[step] = output
    }
    let all = try call.all(.stack(axis: 0), outputs.compactMap { $0 })[0]
    return gates == 4 ? [all, state, cell] : [all, state]
  }

  private func gru(_ part: Part, _ x: Operand, _ state: Operand, _ linearBeforeReset: Bool) throws -> Operand {
    let sizes = Operation.split(axis: 1, .equal(3))
    let xs = try call.all(sizes, [x])
    func rows(_ operand: Operand, _ start: Int, _ end: Int) throws -> Operand {
      try call.slice(operand, 0, start * hidden, end * hidden)
    }
    func product(_ state: Operand, _ start: Int, _ end: Int) throws -> Operand {
      let result = try call.emit(.linear, round(state), rows(part.stateWeight, start, end))
      return try part.biases.map { try call.binary(.add, result, rows($0.1, start, end)) } ?? result
    }
    let both = try call.all(.split(axis: 1, .equal(2)), [product(state, 0, 2)])
    let update = try activated(part, 0, call.binary(.add, xs[0], both[0]))
    let reset = try activated(part, 0, call.binary(.add, xs[1], both[1]))
    let fromState =
      try linearBeforeReset
      ? call.binary(.multiply, reset, product(state, 2, 3)) : product(call.binary(.multiply, reset, state), 2, 3)
    let new = try activated(part, 1, call.binary(.add, xs[2], fromState))
    let rest = try call.binary(.subtract, call.scalar(1, x.dtype), update)
    return try call.binary(.add, call.binary(.multiply, rest, new), call.binary(.multiply, update, state))
  }

  private func lstm(
    _ part: Part, _ x: Operand, _ state: Operand, _ cell: Operand, _ peepholes: [Operand]?
  ) throws -> (Operand, Operand) {
    let sum = try call.binary(.add, x, call.emit(.linear, round(state), part.stateWeight))
    var sums = try call.all(.split(axis: 1, .equal(4)), [sum])
    func looked(_ gate: Int, _ cell: Operand, _ peephole: Int) throws -> Operand {
      guard let peepholes else { return sums[gate] }
      return try call.binary(.add, sums[gate], call.binary(.multiply, peepholes[peephole], cell))
    }
    let input = try activated(part, 0, looked(0, cell, 0))
    let forget =
      try call.flag("input_forget")
      ? call.binary(.subtract, call.scalar(1, x.dtype), input) : activated(part, 0, looked(2, cell, 2))
    let candidate = try activated(part, 1, sums[3])
    let next = try call.binary(.add, call.binary(.multiply, forget, cell), call.binary(.multiply, input, candidate))
    sums[1] = try looked(1, next, 1)
    let output = try activated(part, 0, sums[1])
    return (try call.binary(.multiply, output, activated(part, 2, next, clips: false)), next)
  }

  private func activated(_ part: Part, _ index: Int, _ x: Operand, clips: Bool = true) throws -> Operand {
    let activation = part.activations[part.activations.startIndex + index]
    let x = try clip > 0 && clips ? call.unary(.clip(minimum: -clip, maximum: clip), x) : x
    func scaled(_ x: Operand, _ factor: Double, _ addend: Double = 0) throws -> Operand {
      try call.binary(
        .add, call.binary(.multiply, x, call.scalar(factor, x.dtype)), call.scalar(addend, x.dtype))
    }
    switch activation.name {
    case "relu": return try call.unary(.relu, x)
    case "tanh": return try call.unary(.tanh, x)
    case "sigmoid": return try call.unary(.sigmoid, x)
    case "softsign": return try call.unary(.softsign, x)
    case "softplus": return try call.unary(.softplus(beta: 1, threshold: .infinity), x)
    case "affine": return try scaled(x, activation.alpha ?? 1, activation.beta ?? 0)
    case "leakyrelu": return try call.unary(.leakyReLU(slope: activation.alpha ?? 0.01), x)
    case "thresholdedrelu": return try call.unary(.threshold(activation.alpha ?? 1, value: 0), x)
    case "elu": return try call.unary(.elu(alpha: activation.alpha ?? 1), x)
    case "hardsigmoid":
      return try call.unary(
        .clip(minimum: 0, maximum: 1), scaled(x, activation.alpha ?? 0.2, activation.beta ?? 0.5))
    case "scaledtanh":
      let inner = try call.unary(.tanh, scaled(x, activation.beta ?? 1))
      return try scaled(inner, activation.alpha ?? 1)
    case let name: throw ModelError(.unsupported, "has an activation \(name)")
    }
  }
}
