import ModelCore
import ModelGraph

/// Recurrent layers, backwards through their steps.
///
/// The states that the forward gives are known, so that the gates of all steps are made anew at once, and with them what
/// each gate's sum is multiplied by. Only what hands the gradient on from step to step goes step by step.
extension Differentiation {
  /// A recurrent layer's operands by name, and what its backward pass multiplies with.
  private struct Steps {
    let recurrence: Recurrence
    let input, first, fromInput, fromState: Value
    let cell, projection: Value?
    let biases: [Value]
    let length, batch, hidden: Int
    let dtype: DType

    init(_ recurrence: Recurrence, _ node: Graph.Node, _ types: InferredTypes) {
      let operands = node.operands
      let weights = Array(operands.dropFirst(recurrence.kind == .lstm ? 3 : 2))
      let shape = types[operands[0]].shape
      self.recurrence = recurrence
      (input, first, fromInput, fromState) = (operands[0], operands[1], weights[0], weights[1])
      cell = recurrence.kind == .lstm ? operands[2] : nil
      projection = recurrence.isProjected ? weights.last : nil
      biases = recurrence.hasBias ? Array(weights[2..<4]) : []
      (length, batch) = (shape[0], shape[1])
      hidden = types[weights[0]].shape[0] / recurrence.kind.gates
      dtype = types[operands[0]].dtype
    }

    /// The steps in the order that they are taken in.
    var order: [Int] { recurrence.isReversed ? (0..<length).reversed() : Array(0..<length) }
  }

  /// What the sums of the gates get of a state's gradient, of all steps [length, batch, …].
  private struct Factors {
    /// For each gate of the state's side.
    let gates: Value
    /// For each gate of the input's side, where that is another.
    var inputGates: Value?
    /// What of a gradient goes straight to the step before: of the state, or of an LSTM's cell.
    var carried: Value?
    /// What of a state's gradient an LSTM's cell gets, and its states before they are projected.
    var ofCell, unprojected: Value?
  }

  mutating func recurrenceGradients(
    _ recurrence: Recurrence, _ node: Graph.Node, _ incoming: [Value?]
  ) throws -> [Value?] {
    let steps = Steps(recurrence, node, types)
    guard steps.length > 0, steps.batch > 0 else { return [nil] + incoming.dropFirst() }
    let before = try shifted(node.results[0], behind: steps.first, steps)
    let factors = try self.factors(steps, node, before)

    // Backwards: the gradients of the state and the cell that come from the step behind.
    var (state, cell) = (incoming[1], recurrence.kind == .lstm ? incoming[2] : nil)
    var (gates, states): ([Value], [Value]) = ([], [])
    for step in steps.order.reversed() {
      var gradient = try incoming[0].map { try row($0, step) }
      if let state { gradient = try gradient.map { try emit(.binary(.add), $0, state) } ?? state }
      let ofState = try gradient ?? filled(0, like: steps.first)
      states.append(ofState)
      var parts = [Value](repeating: ofState, count: recurrence.kind.gates)
      var carried: Value?
      if let ofCellFactor = factors.ofCell {
        let output = try steps.projection.map { try emit(.matrixProduct, ofState, $0) } ?? ofState
        let through = try emit(.binary(.multiply), output, row(ofCellFactor, step))
        let ofCell = try cell.map { try emit(.binary(.add), through, $0) } ?? through
        parts = [ofCell, ofCell, ofCell, output]
        cell = try factors.carried.map { try emit(.binary(.multiply), ofCell, row($0, step)) }
      } else {
        carried = try factors.carried.map { try emit(.binary(.multiply), ofState, row($0, step)) }
      }
      let whole = parts.count == 1 ? parts[0] : try emitAll(.concatenate(axis: 1), parts)[0]
      gates.append(whole)
      let ofGates = try emit(.binary(.multiply), whole, row(factors.gates, step))
      let back = try emit(.matrixProduct, ofGates, steps.fromState)
      state = try carried.map { try emit(.binary(.add), back, $0) } ?? back
    }
    let all = try together(gates, steps)
    let ofStateSums = try emit(.binary(.multiply), all, factors.gates)
    let ofInputSums = try factors.inputGates.map { try emit(.binary(.multiply), all, $0) } ?? ofStateSums

    var result: [Value?] = [try emit(.matrixProduct, ofInputSums, steps.fromInput), state]
    if recurrence.kind == .lstm { result.append(cell) }
    result.append(try weightGradient(ofInputSums, steps.input, steps))
    result.append(try weightGradient(ofStateSums, before, steps))
    if recurrence.hasBias {
      for sums in [ofInputSums, ofStateSums] {
        result.append(try emit(.reduce(.sum, axes: [0, 1], keepsAxes: false), sums))
      }
    }
    if let unprojected = factors.unprojected {
      result.append(try weightGradient(together(states, steps), unprojected, steps))
    }
    return result
  }

  /// The gates of all steps, and what follows from them.
  private mutating func factors(_ steps: Steps, _ node: Graph.Node, _ before: Value) throws -> Factors {
    let one = try constant(1, steps.dtype)
    if steps.recurrence.kind == .rnnReLU || steps.recurrence.kind == .rnnTanh {
      let states = node.results[0]
      guard steps.recurrence.kind == .rnnTanh else {
        let isOn = try emit(.compare(.greater), states, try constant(0, steps.dtype))
        return Factors(gates: try emit(.convert(steps.dtype), isOn))
      }
      return Factors(gates: try emit(.binary(.subtract), one, try emit(.unary(.square), states)))
    }
    let fromInput = try emitAll(.linear, [steps.input, steps.fromInput] + steps.biases.prefix(1))[0]
    let fromState = try emitAll(.linear, [before, steps.fromState] + steps.biases.dropFirst())[0]
    guard let cell = steps.cell else { return try gruFactors(steps, before, fromInput, fromState, one) }
    return try lstmFactors(steps, try emit(.binary(.add), fromInput, fromState), from: cell, one)
  }

  private mutating func gruFactors(
    _ steps: Steps, _ before: Value, _ fromInput: Value, _ fromState: Value, _ one: Value
  ) throws -> Factors {
    func of(_ value: Value, _ gate: Int) throws -> Value { try self.gate(value, gate, steps) }
    let reset = try emit(.unary(.sigmoid), try emit(.binary(.add), of(fromInput, 0), of(fromState, 0)))
    let update = try emit(.unary(.sigmoid), try emit(.binary(.add), of(fromInput, 1), of(fromState, 1)))
    let candidate = try of(fromState, 2)
    let new = try emit(
      .unary(.tanh), try emit(.binary(.add), of(fromInput, 2), try emit(.binary(.multiply), reset, candidate)))
    let ofNew = try emit(
      .binary(.multiply), try emit(.binary(.subtract), one, update),
      try emit(.binary(.subtract), one, try emit(.unary(.square), new)))
    let ofUpdate = try emit(
      .binary(.multiply), try emit(.binary(.subtract), before, new), try sigmoidSlope(update, one))
    let ofReset = try emit(
      .binary(.multiply), try emit(.binary(.multiply), ofNew, candidate), try sigmoidSlope(reset, one))
    let onState = try emit(.binary(.multiply), ofNew, reset)
    return Factors(
      gates: try emitAll(.concatenate(axis: 2), [ofReset, ofUpdate, onState])[0],
      inputGates: try emitAll(.concatenate(axis: 2), [ofReset, ofUpdate, ofNew])[0], carried: update)
  }

  private mutating func lstmFactors(
    _ steps: Steps, _ sums: Value, from first: Value, _ one: Value
  ) throws -> Factors {
    func of(_ gate: Int) throws -> Value { try self.gate(sums, gate, steps) }
    let input = try emit(.unary(.sigmoid), of(0))
    let forget = try emit(.unary(.sigmoid), of(1))
    let new = try emit(.unary(.tanh), of(2))
    let output = try emit(.unary(.sigmoid), of(3))
    // The cells are no results of the forward.
    let added = try emit(.binary(.multiply), input, new)
    var (cells, cell): ([Value], Value) = ([], first)
    for step in steps.order {
      let kept = try emit(.binary(.multiply), try row(forget, step), cell)
      cell = try emit(.binary(.add), kept, try row(added, step))
      cells.append(cell)
    }
    let all = try together(cells.reversed(), steps)
    let before = try shifted(all, behind: first, steps)
    let shown = try emit(.unary(.tanh), all)
    let gates = [
      try emit(.binary(.multiply), new, try sigmoidSlope(input, one)),
      try emit(.binary(.multiply), before, try sigmoidSlope(forget, one)),
      try emit(.binary(.multiply), input, try emit(.binary(.subtract), one, try emit(.unary(.square), new))),
      try emit(.binary(.multiply), shown, try sigmoidSlope(output, one)),
    ]
    let ofCell = try emit(
      .binary(.multiply), output, try emit(.binary(.subtract), one, try emit(.unary(.square), shown)))
    return Factors(
      gates: try emitAll(.concatenate(axis: 2), gates)[0], carried: forget, ofCell: ofCell,
      unprojected: steps.projection == nil ? nil : try emit(.binary(.multiply), output, shown))
  }

  // MARK: Of steps

  /// y (1 - y), which the derivative of a sigmoid y is.
  private mutating func sigmoidSlope(_ value: Value, _ one: Value) throws -> Value {
    try emit(.binary(.multiply), value, try emit(.binary(.subtract), one, value))
  }

  /// One gate's part of [length, batch, gates · hidden].
  private mutating func gate(_ value: Value, _ gate: Int, _ steps: Steps) throws -> Value {
    try emit(.slice(axis: 2, start: gate * steps.hidden, end: (gate + 1) * steps.hidden, step: 1), value)
  }

  /// One step of [length, batch, …].
  private mutating func row(_ value: Value, _ step: Int) throws -> Value {
    try emit(.flatten(Flatten(start: 0, end: 1)), try slice(value, step, step + 1))
  }

  private mutating func slice(_ value: Value, _ start: Int, _ end: Int) throws -> Value {
    try emit(.slice(axis: 0, start: start, end: end, step: 1), value)
  }

  /// Of each step what stood before it.
  private mutating func shifted(_ all: Value, behind first: Value, _ steps: Steps) throws -> Value {
    let first = try reshaped(first, to: [1] + shape(first))
    guard steps.length > 1 else { return first }
    return steps.recurrence.isReversed
      ? try emit(.concatenate(axis: 0), try slice(all, 1, steps.length), first)
      : try emit(.concatenate(axis: 0), first, try slice(all, 0, steps.length - 1))
  }

  /// What was made backwards, from the last step that was taken to the first, as one [length, batch, …].
  private mutating func together(_ values: [Value], _ steps: Steps) throws -> Value {
    try emitAll(.stack(axis: 0), steps.recurrence.isReversed ? values : values.reversed())[0]
  }

  /// The sum over steps and batch of the products of a gradient's features and a value's.
  private mutating func weightGradient(_ gradient: Value, _ value: Value, _ steps: Steps) throws -> Value {
    let rows = try emit(.permute([1, 0]), try emit(.flatten(Flatten(start: 0, end: 1)), gradient))
    return try emit(.matrixProduct, rows, try emit(.flatten(Flatten(start: 0, end: 1)), value))
  }
}
