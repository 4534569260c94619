import ModelCore

/// A tensor of a model with its dotted name.
struct NamedTensor {
  let name: String
  var tensor: Tensor
}

extension Module {
  /// Takes chosen parameters out of the tree, lets `change` work on them, and puts them back; while they are out,
  /// memory that nobody else holds can be changed in place. A parameter or tensor that stands in several places is
  /// changed once, for all of them. When `change` throws, all are put back as they were.
  mutating func updateWeights(
    _ isChosen: (_ name: String, _ module: Module, _ parameter: String) -> Bool,
    change: (inout [NamedTensor]) throws -> Void
  ) throws {
    var weights: [NamedTensor] = []
    var positions: [Tensor.Identity: Int] = [:]
    var places: [Identity: [(parameter: String, position: Int)]] = [:]
    let placeholder = try Tensor(.float32, [0])
    updateModules { path, module in
      for (index, parameter) in module.parameters.keys.enumerated() {
        let name = path.isEmpty ? parameter : "\(path).\(parameter)"
        guard isChosen(name, module, parameter) else { continue }
        let tensor = module.parameters.values[index].tensor
        let position = positions[tensor.identity] ?? weights.count
        if position == weights.count {
          positions[tensor.identity] = position
          weights.append(NamedTensor(name: name, tensor: tensor))
        }
        module.parameters.values[index].tensor = placeholder
        places[module.identity, default: []].append((parameter, position))
      }
    }
    defer {
      updateModules { _, module in
        for place in places[module.identity] ?? [] {
          module.parameters[place.parameter]?.tensor = weights[place.position].tensor
        }
      }
    }
    try weights.update(change)
  }
}

extension StateDict {
  /// The same for the entries of a state dict.
  mutating func updateWeights(
    _ isChosen: (_ name: String, _ tensor: Tensor) -> Bool, change: (inout [NamedTensor]) throws -> Void
  ) throws {
    var weights: [NamedTensor] = []
    var positions: [Tensor.Identity: Int] = [:]
    var places: [(name: String, position: Int)] = []
    let placeholder = try Tensor(.float32, [0])
    for index in tensors.values.indices where isChosen(tensors.keys[index], tensors.values[index]) {
      let tensor = tensors.values[index]
      let position = positions[tensor.identity] ?? weights.count
      if position == weights.count {
        positions[tensor.identity] = position
        weights.append(NamedTensor(name: tensors.keys[index], tensor: tensor))
      }
      tensors.values[index] = placeholder
      places.append((tensors.keys[index], position))
    }
    defer {
      for place in places { tensors[place.name] = weights[place.position].tensor }
    }
    try weights.update(change)
  }
}

extension [NamedTensor] {
  /// Changes the tensors, or leaves them as they were where that throws.
  ///
  /// Only a read can fail, so tensors in memory are changed in place unless others are not in memory.
  fileprivate mutating func update(_ change: (inout [NamedTensor]) throws -> Void) throws {
    let originals = allSatisfy(\.tensor.isInMemory) ? nil : self
    do { try change(&self) } catch {
      if let originals { self = originals }
      throw error
    }
  }
}
