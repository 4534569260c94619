import ModelCheckpoints
import ModelCore
import ModelGraph

/// Graphs within: branches, and functions where they are called.
extension ONNXTracer {
  /// What a branch gives, its nodes being part of the graph now.
  func inlineBranch(_ branch: ONNXGraph, _ opset: Opsets, path: String) throws -> [Operand] {
    scopes.append([:])
    defer { scopes.removeLast() }
    bindInitializers(of: branch)
    try lower(branch.nodes, opset: opset, valueInfo: branch.declared, path: path)
    return try branch.outputs.map { try result($0.name) }
  }

  /// What a call of a function gives.
  func inline(
    _ function: ONNXModel.Function, _ node: ONNXNode, _ operands: [Operand?], path: String
  ) throws -> [Operand?] {
    let key = "\(function.domain)\0\(function.name)\0\(function.overload)"
    guard !calls.contains(key), calls.count < 64 else { throw Unsizable("the function calls itself") }
    calls.append(key)
    // A function sees its inputs alone.
    let outer = scopes
    scopes = [[:]]
    defer {
      calls.removeLast()
      scopes = outer
    }
    for (index, input) in function.inputs.enumerated() where index < operands.count {
      if let operand = operands[index] { bind(input, .operand(operand)) }
    }
    let nodes = function.nodes.map { $0.resolved(in: node, function) }
    var opsets = Opsets(function.opsets)
    if opsets.standard == 1 { opsets.standard = Opsets(model.opsets).standard }
    try lower(nodes, opset: opsets, valueInfo: [:], path: path)
    return try function.outputs.map { try result($0) }
  }

  private func result(_ name: String) throws -> Operand {
    switch lookUp(name) {
    case .operand(let operand): return operand
    case .unsized(let cause): throw Unsizable("\(name) follows from \(cause)")
    case nil: throw ModelError(.malformed, "gives \(name), which nothing makes")
    }
  }
}
