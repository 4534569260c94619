import ModelCheckpoints
import ModelCore
import ModelGraph

/// Branches and loops.
extension NodeRules {
  static let control: [String: Rule] = [
    "If": { call in try call.branch() },
    "Loop": { _ in throw Unsizable("loops are not followed") },
    "Scan": { _ in throw Unsizable("loops are not followed") },
  ]
}

extension NodeCall {
  /// The branch that a known condition chooses; of one that is computed both, where they give the same types.
  func branch() throws -> [Operand?] {
    guard case .graph(let yes)? = node.attribute("then_branch"), case .graph(let no)? = node.attribute("else_branch")
    else { throw ModelError(.malformed, "has not two branches") }
    let condition = try operand(0)
    if let tensor = condition.tensor {
      guard tensor.count == 1 else { throw ModelError(.mismatch, "has a condition of shape \(condition.shape)") }
      return try tracer.inlineBranch(try tensor.doubles()[0] != 0 ? yes : no, opsets, path: name)
    }
    guard condition.count == 1 else { throw ModelError(.mismatch, "has a condition of shape \(condition.shape)") }
    let first = try tracer.inlineBranch(yes, opsets, path: name)
    let second = try tracer.inlineBranch(no, opsets, path: name)
    guard first.map(\.type) == second.map(\.type) else {
      throw Unsizable("its branches give different shapes, and which of them is taken is computed")
    }
    let chosen = try reshape(condition, [])
    return try zip(first, second).map { try emit(.select, chosen, $0, $1) }
  }
}
