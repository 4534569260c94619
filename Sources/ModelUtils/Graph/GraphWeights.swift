import ModelCore
import OrderedCollections

extension Graph: WeightContainer {
  public func namedWeights() -> [NamedWeight] {
    let convolutions = conv2dWeights()
    return weights.map { weight($0.key, $0.value, convolutions) }
  }

  private func weight(_ name: String, _ held: Weight, _ convolutions: Set<String>) -> NamedWeight {
    NamedWeight(
      name: name, tensor: held.tensor, role: held.isBuffer ? .buffer : .parameter(requiresGrad: held.requiresGrad),
      isConv2dWeight: convolutions.contains(name))
  }

  /// The weights that stand as the kernel of a plain convolution over two axes.
  private func conv2dWeights() -> Set<String> {
    var names: Set<String> = []
    for node in nodes {
      guard case .convolution(let convolution) = node.operation, convolution.stride.count == 2,
        !convolution.isTransposed,
        node.operands.count > 1, case .weight(let name) = definitions[node.operands[1].index]
      else { continue }
      names.insert(name)
    }
    return names
  }

  public func stateDict() -> StateDict { StateDict(weights.mapValues(\.tensor)) }

  public func batchNormEps() -> [(path: String, eps: Double)] {
    var found: OrderedDictionary<String, Double> = [:]
    for node in nodes {
      guard case .batchNorm(_, let eps) = node.operation else { continue }
      found[scopes[node.scope].path] = eps
    }
    return found.map { ($0.key, $0.value) }
  }

  public mutating func updateWeights(
    where isChosen: (NamedWeight) -> Bool, change: (inout [NamedTensor]) throws -> Void
  ) throws {
    let convolutions = conv2dWeights()
    var state = StateDict(
      weights.filter { isChosen(weight($0.key, $0.value, convolutions)) }.mapValues(\.tensor))
    let placeholder = try Tensor(.float32, [0])
    for name in state.names { weights[name]?.tensor = placeholder }
    defer {
      for (name, tensor) in state.tensors { weights[name]?.tensor = tensor }
    }
    try state.updateWeights(where: { _ in true }, change: change)
  }

  public mutating func setTensors(_ new: (String) -> Tensor?) {
    for name in weights.keys {
      if let tensor = new(name) { weights[name]?.tensor = tensor }
    }
  }
}
