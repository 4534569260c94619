import ModelCore
import ModelGraph

/// Activations that exporters spell out, found where their last product stands. What they are spelled out in stays in
/// the graph, where nothing asks for it.
extension NodeCall {
  /// A product; of a tensor with its sigmoid it is SiLU, with its hard sigmoid the hard swish, and with half of one and
  /// the error function of itself GELU.
  func multiplied() throws -> Operand {
    let (a, b) = (try operand(0), try legacyOperand())
    for (x, gate) in [(a, b), (b, a)] {
      guard case .value(let value) = x.source, case .value(let gate) = gate.source else { continue }
      if arguments(of: .unary(.sigmoid), gate) == [value] { return try unary(.silu, x) }
      if arguments(of: .unary(.hardsigmoid), gate) == [value] { return try unary(.hardswish, x) }
    }
    if let x = gelu(a, b), a.shape == x.shape || b.shape == x.shape { return try unary(.gelu(isApproximate: false), x) }
    return try binary(.multiply, a, b)
  }

  /// What an operation was given that makes a value; nil where another makes it.
  private func arguments(of operation: Operation, _ value: Graph.Value) -> [Graph.Value]? {
    guard let node = tracer.graph.producer(of: value), tracer.graph.nodes[node].operation == operation else {
      return nil
    }
    return tracer.graph.nodes[node].operands
  }

  /// A factor of a product: a value, or one number.
  private enum Factor {
    case value(Graph.Value)
    case number(Double)
  }

  private func number(_ tensor: Tensor) -> Double? { tensor.count == 1 ? try? tensor.doubles()[0] : nil }

  private func factor(_ value: Graph.Value) -> Factor {
    switch tracer.graph.definitions[value.index] {
    case .constant(let tensor): number(tensor).map { .number($0) } ?? .value(value)
    case .weight(let path): (tracer.graph.weights[path]?.tensor).flatMap(number).map { .number($0) } ?? .value(value)
    case .input, .result: .value(value)
    }
  }

  private func factors(_ operand: Operand) -> [Factor] {
    if let tensor = operand.tensor { return number(tensor).map { [.number($0)] } ?? [] }
    guard case .value(let value) = operand.source else { return [] }
    return arguments(of: .binary(.multiply), value)?.map(factor) ?? [.value(value)]
  }

  /// The x of x · ½ · (1 + erf(x / √2)), in whatever order it is multiplied.
  private func gelu(_ a: Operand, _ b: Operand) -> Operand? {
    guard !a.dtype.isInteger else { return nil }
    let all = factors(a) + factors(b)
    guard all.count == 3, all.contains(where: { if case .number(0.5) = $0 { true } else { false } }) else { return nil }
    let values = all.compactMap { if case .value(let value) = $0 { value } else { nil } }
    guard values.count == 2 else { return nil }
    for (x, gate) in [(values[0], values[1]), (values[1], values[0])] where isErrorGate(gate, of: x) {
      for operand in [a, b] {
        if case .value(x) = operand.source { return operand }
      }
      // It stands in the inner product, of the same type.
      let whole = a.tensor == nil ? a : b
      return Operand(whole.type, x)
    }
    return nil
  }

  /// Whether a value is 1 + erf(x / √2).
  private func isErrorGate(_ gate: Graph.Value, of x: Graph.Value) -> Bool {
    guard let sum = arguments(of: .binary(.add), gate) else { return false }
    for (one, erf) in [(sum[0], sum[1]), (sum[1], sum[0])] {
      guard case .number(1) = factor(one), let argument = arguments(of: .unary(.erf), erf)?.first else { continue }
      if let quotient = arguments(of: .binary(.divide), argument), quotient[0] == x,
        case .number(let root) = factor(quotient[1]), abs(root - 2.0.squareRoot()) < 1e-4
      {
        return true
      }
      guard let product = arguments(of: .binary(.multiply), argument) else { continue }
      for (value, root) in [(product[0], product[1]), (product[1], product[0])] where value == x {
        if case .number(let root) = factor(root), abs(root - 0.5.squareRoot()) < 1e-4 { return true }
      }
    }
    return false
  }
}
