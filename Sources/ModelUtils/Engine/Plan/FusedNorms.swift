import CKernels
import ModelGraph

/// Batch norms in training that are computed with the activation behind them, and perhaps the sum between or behind,
/// in one pass each way: what comes between is never stored.
struct FusedNorms {
  /// What goes with a norm, forward.
  struct Forward {
    var activation = MK_NO_ACTIVATION
    var slope: Float = 0
    var addend: Graph.Value?
    var addsBefore = false
    /// The nodes.
    var parts: Set<Int> = []
    /// What the last of them gives.
    var result: Graph.Value
    /// Where the last of them stands: there the whole is computed.
    var last: Int
  }

  /// What goes with a norm's gradient.
  struct Backward {
    var activation = MK_NO_ACTIVATION
    var slope: Float = 0
    /// The gradient of the activation, a node.
    let function: Int
    /// The gradient of the activation's result.
    var gradient: Graph.Value
    /// The activation's result, by which its derivative is found; nil where it is found by the norm's input.
    var result: Graph.Value?
    /// The gradient of the activation's operand, where others take it too.
    let kept: Graph.Value?
  }

  /// By the norms' nodes.
  private(set) var forward: [Int: Forward] = [:]
  /// By the nodes of the norms' gradients.
  private(set) var backward: [Int: Backward] = [:]
  /// Norms by the last of what is computed with them.
  private(set) var ends: [Int: Int] = [:]
  /// Nodes that are computed with another.
  private(set) var absorbed: Set<Int> = []

  init() {}

  init(_ compiler: Compiler) {
    let graph = compiler.graph
    let users = graph.users().map { $0.filter { compiler.isNeeded[$0] } }
    let outputs = Set(compiler.outputs.map(\.index))
    for (index, node) in graph.nodes.enumerated() where compiler.isNeeded[index] && node.isTrainedNorm(compiler) {
      findForward(index, node, compiler, users, outputs)
    }
    for (index, node) in graph.nodes.enumerated() where compiler.isNeeded[index] {
      findBackward(index, node, compiler, users, outputs)
    }
  }

  private mutating func findForward(
    _ index: Int, _ node: Graph.Node, _ compiler: Compiler, _ users: [[Int]], _ outputs: Set<Int>
  ) {
    let graph = compiler.graph
    var fused = Forward(result: node.results[0], last: index)
    var own: Set<Int> = []
    // A sum before the activation.
    if !outputs.contains(fused.result.index), users[fused.result.index].count == 1,
      let sum = fused.sum(users[fused.result.index][0], compiler), isFree(sum.node, compiler),
      case let result = graph.nodes[sum.node].results[0],
      !outputs.contains(result.index), let function = users[result.index].first,
      users[result.index].count == 1, case .unary(.relu) = graph.nodes[function].operation, isFree(function, compiler)
    {
      (fused.addend, fused.addsBefore) = (sum.addend, true)
      own.insert(sum.node)
      (fused.activation, fused.result, fused.last) = (MK_RELU, graph.nodes[function].results[0], function)
      own.insert(function)
    } else if let function = users[fused.result.index].first, !outputs.contains(fused.result.index),
      case .unary(let unary) = graph.nodes[function].operation, let kind = Activation(unary)
    {
      // Its derivative may go by the norm's own result, which is then found anew: nothing else may take that.
      let result = graph.nodes[function].results[0]
      let others = users[fused.result.index].dropFirst()
      let gradient = gradientOfFunction(unary, operand: fused.result, result: result, graph, users)
      guard others.allSatisfy({ $0 == gradient?.node }) else { return }
      if !others.isEmpty {
        // Its gradient must go with that of the norm.
        guard let gradient, let norm = users[gradient.result.index].first, users[gradient.result.index].count == 1,
          graph.nodes[norm].isGradient(ofNorm: node), graph.nodes[norm].operands[4] == gradient.result,
          !outputs.contains(gradient.result.index)
        else { return }
        backward[norm] = Backward(
          activation: kind.kind, slope: kind.slope, function: gradient.node, gradient: gradient.incoming, result: nil,
          kept: nil)
        absorbed.insert(gradient.node)
      }
      (fused.activation, fused.slope, fused.result, fused.last) = (kind.kind, kind.slope, result, function)
      own.insert(function)
    }
    guard !own.isEmpty else { return }
    fused.parts = own
    forward[index] = fused
    ends[fused.last] = index
    absorbed.formUnion(own)
    absorbed.insert(index)
  }

  /// Whether a node is computed by itself so far: a convolution may have taken it.
  private func isFree(_ node: Int, _ compiler: Compiler) -> Bool {
    !absorbed.contains(node) && compiler.absorbed[node] == nil
  }

  /// The gradient of a ReLU, which is found by its result, where that of a norm is the first to take it.
  private mutating func findBackward(
    _ index: Int, _ node: Graph.Node, _ compiler: Compiler, _ users: [[Int]], _ outputs: Set<Int>
  ) {
    guard case .gradient(.unary(.relu)) = node.operation, case let gradient = node.results[0],
      compiler.types[gradient].dtype == .float32, !outputs.contains(gradient.index),
      compiler.destination(of: gradient) == nil, !absorbed.contains(index),
      let first = users[gradient.index].first, backward[first] == nil
    else { return }
    let norm = compiler.graph.nodes[first]
    guard case .gradient(.batchNorm) = norm.operation, norm.operands[4] == gradient else { return }
    backward[first] = Backward(
      activation: MK_RELU, function: index, gradient: node.operands[1], result: node.operands[0],
      kept: users[gradient.index].count > 1 ? gradient : nil)
    absorbed.insert(index)
  }

  private func gradientOfFunction(
    _ unary: Unary, operand: Graph.Value, result: Graph.Value, _ graph: Graph, _ users: [[Int]]
  ) -> (node: Int, result: Graph.Value, incoming: Graph.Value)? {
    let known = unary.derivesFromResult ? result : operand
    return users[known.index].lazy.compactMap { user in
      guard case .gradient(.unary(unary)) = graph.nodes[user].operation, graph.nodes[user].operands[0] == known else {
        return nil
      }
      return (user, graph.nodes[user].results[0], graph.nodes[user].operands[1])
    }.first
  }
}

extension FusedNorms {
  /// The same where it is computed anew.
  /// - Parameter copies: of nodes those that compute them anew.
  mutating func `repeat`(in copies: [Int: Int], _ compiler: Compiler) {
    let graph = compiler.graph
    let users = graph.users()
    for (norm, fused) in forward {
      guard let copy = copies[norm], compiler.isNeeded[copy] else { continue }
      guard let last = copies[fused.last], compiler.isNeeded[last] else {
        // What is kept is not computed anew; the gradient of an activation asks for the norm's input alone.
        let takers = graph.nodes[copy].results.flatMap { users[$0.index] }.filter { compiler.isNeeded[$0] }
        if takers.allSatisfy(absorbed.contains) { absorbed.insert(copy) }
        continue
      }
      var own = fused
      (own.result, own.last, own.parts) = (
        graph.nodes[last].results[0], last, Set(fused.parts.compactMap { copies[$0] })
      )
      for part in fused.parts {
        guard let addend = fused.addend, let place = graph.nodes[part].operands.firstIndex(of: addend),
          let again = copies[part]
        else { continue }
        own.addend = graph.nodes[again].operands[place]
      }
      forward[copy] = own
      ends[last] = copy
      absorbed.formUnion(own.parts)
      absorbed.insert(copy)
    }
    for (norm, fused) in backward {
      let operands = graph.nodes[fused.function].operands
      backward[norm]?.gradient = operands[1]
      if fused.result != nil { backward[norm]?.result = operands[0] }
    }
  }
}

/// An activation that goes with a norm.
private struct Activation {
  let kind: mk_activation
  var slope: Float = 0

  init?(_ unary: Unary) {
    switch unary {
    case .relu: kind = MK_RELU
    case .leakyReLU(let slope): (kind, self.slope) = (MK_LEAKY_RELU, Float(slope))
    case .silu: kind = MK_SILU
    case .hardswish: kind = MK_HARDSWISH
    default: return nil
    }
  }
}

extension FusedNorms.Forward {
  /// The sum of the result and another value of its type.
  fileprivate func sum(_ node: Int, _ compiler: Compiler) -> (node: Int, addend: Graph.Value)? {
    guard case .binary(.add) = compiler.graph.nodes[node].operation else { return nil }
    let operands = compiler.graph.nodes[node].operands
    guard let other = operands.first(where: { $0 != result }), compiler.types[other] == compiler.types[result] else {
      return nil
    }
    return (node, other)
  }
}

extension Graph.Node {
  /// Whether it is a batch norm in training of float32.
  fileprivate func isTrainedNorm(_ compiler: Compiler) -> Bool {
    guard case .batchNorm(.training, _) = operation else { return false }
    return operands.prefix(5).allSatisfy { compiler.types[$0].dtype == .float32 }
      && !compiler.types[operands[0]].shape.contains(0)
  }

  fileprivate func isGradient(ofNorm norm: Graph.Node) -> Bool {
    guard case .gradient(.batchNorm) = operation else { return false }
    return operands[0] == norm.operands[0] && operands[2] == norm.results[3]
  }
}
