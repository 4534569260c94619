import ModelCheckpoints
import ModelCore
import ModelGraph

/// Branches and loops.
extension NodeRules {
  static let control: [String: Rule] = [
    "If": { call in try call.branch() },
    "Loop": { _ in throw Unsizable("loops are not followed") },
    "Scan": { _ in throw Unsizable("loops are not followed") },
    "NonMaxSuppression": { _ in throw Unsizable("how many boxes it keeps is computed") },
    "Unique": { _ in throw Unsizable("its size depends on what is computed") },
    "RandomNormalLike": { call in [try call.random(like: call.operand(0))] },
    "RandomUniformLike": { call in [try call.random(like: call.operand(0))] },
    "Bernoulli": { call in [try call.random(like: call.operand(0))] },
    "RandomNormal": { call in [try call.random(nil)] },
    "RandomUniform": { call in [try call.random(nil)] },
  ]
}

extension NodeCall {
  /// Random numbers in the shape of a tensor, or the one that is said: their size is known, and nothing else.
  fileprivate func random(like x: Operand) throws -> Operand { try random(x) }

  fileprivate func random(_ x: Operand?) throws -> Operand {
    guard let shape = try x?.shape ?? ints("shape") else { throw ModelError(.malformed, "says no shape") }
    let dtype = try int("dtype").map { try self.dtype($0) } ?? x?.dtype ?? .float32
    return try unknown("draws random numbers", TensorType(dtype, shape))
  }

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
    let computed = "which of its branches is taken depends on \(node.inputs[0]), which is computed"
    let noted = tracer.unsized.count
    let branches: [[Operand]]
    do {
      branches = try [yes, no].map { try tracer.inlineBranch($0, opsets, path: name) }
    } catch let error as Unsizable {
      // What does not fit in a branch that may not be taken is no cause.
      tracer.unsized.removeSubrange(noted...)
      throw Unsizable("\(computed); \(error.reason)")
    }
    guard branches[0].map(\.type) == branches[1].map(\.type) else {
      throw Unsizable("\(computed), and they give different shapes")
    }
    let chosen = try reshape(condition, [])
    return try zip(branches[0], branches[1]).map { try emit(.select, chosen, $0, $1) }
  }
}
