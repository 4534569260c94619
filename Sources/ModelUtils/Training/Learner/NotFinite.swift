import ModelCore
import ModelEngine
import ModelGraph

/// Where a loss stopped being a number.
extension Learner {
  /// What is said of a loss that is not finite: the first weight that is not either, or else the first module that gave
  /// such numbers.
  func notFinite(_ loss: Double, _ inputs: [Tensor]) -> ModelError {
    let path = variables.paths.first { path in
      guard let tensor = variables[path], let values = try? tensor.floats() else { return false }
      return values.contains { !$0.isFinite }
    }
    var reason = path.map { "\($0) is not finite" } ?? "all weights are finite"
    if path == nil {
      // What cannot be looked at, for want of memory, leaves it at that.
      let origin = try? firstNotFinite(Array(inputs.prefix(networkInputs)))
      reason += origin.map { ", but not what \($0)" } ?? ""
    }
    return ModelError(
      .invalid, "the loss of step \(updates + 1) is \(loss), where \(reason)",
      advice: "look at these pictures, or take a lower learning rate")
  }

  /// Runs the forward once more, giving what every module gives.
  /// - Returns: the first that is not finite, in words; nil where all is.
  private func firstNotFinite(_ inputs: [Tensor]) throws -> String? {
    if try inputs.contains(where: { try !$0.isFinite }) { return "the network is given" }
    let types = inputs.map { TensorType($0.dtype, $0.shape) }
    let forward = TrainingForward(try Graph(module, inputs: types, mode: .training), isCut: false)
    var graph = forward.graph
    for path in variables.paths {
      if let tensor = variables[path] { graph.weights[path]?.tensor = tensor }
    }
    let draws = forward.seed == nil ? [] : [try Tensor([Int64(bitPattern: seed), Int64(updates)])]
    let all = inputs + draws
    let known = try graph.types(of: all.map { TensorType($0.dtype, $0.shape) })
    // In the order in which they are made; of modules that give the same the innermost.
    var givers: [Graph.Value: Graph.Scope] = [:]
    for scope in graph.scopes {
      for value in scope.outputs where graph.producer(of: value) != nil && known[value].dtype == .float32 {
        givers[value] = scope
      }
    }
    let values = givers.keys.sorted { $0.index < $1.index }
    let plan = try Plan(
      graph, for: all.map { TensorType($0.dtype, $0.shape) }, giving: values)
    for (value, tensor) in zip(values, try Session(plan).run(all)) {
      if try !tensor.isFinite, let scope = givers[value] {
        return scope.path.isEmpty ? "the network gives" : "\(scope.path) gives"
      }
    }
    return nil
  }
}

extension Tensor {
  /// Whether every element is; whole numbers are.
  var isFinite: Bool {
    get throws { try !dtype.isFloatingPoint || floats().allSatisfy(\.isFinite) }
  }
}
