/// A tensor of a model with its dotted name, taken out of the model to be changed.
public struct NamedTensor: Sendable {
  /// Its first dotted name.
  public let name: String
  /// The tensor, to be changed.
  public var tensor: Tensor

  /// A tensor and its name.
  public init(name: String, tensor: Tensor) {
    self.name = name
    self.tensor = tensor
  }
}

/// A tensor of a model and what it is there.
public struct NamedWeight: Sendable {
  /// What a tensor is in its model.
  public enum Role: Sendable, Hashable {
    /// Trained; with whether it requires a gradient.
    case parameter(requiresGrad: Bool)
    /// Kept beside the parameters, such as a running mean.
    case buffer
  }

  /// Its first dotted name.
  public let name: String
  /// The tensor.
  public let tensor: Tensor
  /// What it is there.
  public let role: Role
  /// Whether it is the weight of a Conv2d, or in a bare state dict of what looks like one: what pruning takes.
  public let isConv2dWeight: Bool

  /// Whether it is no buffer.
  public var isParameter: Bool { role != .buffer }

  /// A tensor and what it is in its model.
  public init(name: String, tensor: Tensor, role: Role, isConv2dWeight: Bool) {
    self.name = name
    self.tensor = tensor
    self.role = role
    self.isConv2dWeight = isConv2dWeight
  }
}

/// Holds a model's weights: a `Module`, a `StateDict`, a `Graph`, or a `Model` that is one of them.
///
/// What is done to weights alone (pruning, counting zeros, converting, transferring, checking) is written once, for
/// all of them.
public protocol WeightContainer: Sendable {
  /// Every distinct weight once, in order: shared parameters have one identity in a module, tied entries one tensor in
  /// a state dict. Buffers that a state dict leaves out are among them.
  func namedWeights() -> [NamedWeight]

  /// All names and tensors as PyTorch's `state_dict()` gives them: what stands in two places is there twice.
  func stateDict() -> StateDict

  /// The eps of every batch norm by its dotted path, as far as they are known: a bare state dict knows none.
  func batchNormEps() -> [(path: String, eps: Double)]

  /// The tensors that weight norm, spectral norm, masks and other parametrisations compute when the model runs.
  func computedWeights() -> [ComputedWeight]

  /// Whether there are masks that `applyMasks` would apply.
  var hasMasks: Bool { get }

  /// Applies the masks that `torch.nn.utils.prune` keeps beside its tensors, and leaves the tensors alone, as its `remove`
  /// does. Masked elements become +0 (the original's product leaves -0 for negatives).
  /// - Returns: the masks that were there.
  /// - Throws: `ModelError` for a mask of other values than 0 and 1, and when a tensor cannot be read; all is then as it
  ///   was.
  @discardableResult
  mutating func applyMasks() throws -> PruningMasks

  /// Takes the chosen weights out, lets `change` work on them, and puts them back in every place where they stood; while
  /// they are out, memory that nobody else holds can be changed in place.
  /// - Parameter change: keeps the number and order of the tensors. When it throws, all are put back as they were.
  mutating func updateWeights(
    where isChosen: (NamedWeight) -> Bool, change: (inout [NamedTensor]) throws -> Void
  ) throws

  /// Replaces tensors by the names of `stateDict()`, in every place where they stand; nil leaves one as it is.
  mutating func setTensors(_ new: (_ name: String) -> Tensor?)
}

extension [NamedTensor] {
  /// Changes the tensors, or leaves them as they were where that throws.
  ///
  /// Only a read can fail, so tensors in memory are changed in place unless others are not in memory.
  mutating func updateOrRestore(_ change: (inout [NamedTensor]) throws -> Void) throws {
    let originals = allSatisfy(\.tensor.isInMemory) ? nil : self
    do { try change(&self) } catch {
      if let originals { self = originals }
      throw error
    }
  }
}

// MARK: Module

extension Module: WeightContainer {
  public func namedWeights() -> [NamedWeight] {
    var weights: [NamedWeight] = []
    var parametersSeen: Set<Identity> = []
    var buffersSeen: Set<Tensor.Identity> = []
    forEachModule { path, module in
      for (name, parameter) in module.parameters where parametersSeen.insert(parameter.identity).inserted {
        weights.append(
          NamedWeight(
            name: dotted(path, name), tensor: parameter.tensor,
            role: .parameter(requiresGrad: parameter.requiresGrad),
            isConv2dWeight: name == "weight" && module.layer.isConv2d))
      }
      for (name, buffer) in module.buffers where buffer.count == 0 || buffersSeen.insert(buffer.identity).inserted {
        weights.append(
          NamedWeight(
            name: dotted(path, name), tensor: buffer, role: .buffer, isConv2dWeight: false))
      }
    }
    return weights
  }

  public mutating func updateWeights(
    where isChosen: (NamedWeight) -> Bool, change: (inout [NamedTensor]) throws -> Void
  ) throws {
    var taken: [NamedTensor] = []
    var positions: [Tensor.Identity: Int] = [:]
    func position(of name: String, _ tensor: Tensor) -> Int {
      if let known = positions[tensor.identity], tensor.count > 0 { return known }
      positions[tensor.identity] = taken.count
      taken.append(NamedTensor(name: name, tensor: tensor))
      return taken.count - 1
    }
    var places: [Identity: (parameters: [(index: Int, position: Int)], buffers: [(index: Int, position: Int)])] = [:]
    let placeholder = try Tensor(.float32, [0])
    updateModules { path, module in
      func full(_ name: String) -> String { dotted(path, name) }
      for index in module.parameters.values.indices {
        let (name, parameter) = module.parameters.elements[index]
        let weight = NamedWeight(
          name: full(name), tensor: parameter.tensor, role: .parameter(requiresGrad: parameter.requiresGrad),
          isConv2dWeight: name == "weight" && module.layer.isConv2d)
        guard isChosen(weight) else { continue }
        places[module.identity, default: ([], [])].parameters.append((index, position(of: weight.name, weight.tensor)))
      }
      for index in module.buffers.values.indices {
        let (name, buffer) = module.buffers.elements[index]
        guard isChosen(NamedWeight(name: full(name), tensor: buffer, role: .buffer, isConv2dWeight: false)) else {
          continue
        }
        places[module.identity, default: ([], [])].buffers.append((index, position(of: full(name), buffer)))
      }
      for place in places[module.identity]?.parameters ?? [] {
        module.parameters.values[place.index].tensor = placeholder
      }
      for place in places[module.identity]?.buffers ?? [] { module.buffers.values[place.index] = placeholder }
    }
    defer {
      updateModules { _, module in
        for place in places[module.identity]?.parameters ?? [] {
          module.parameters.values[place.index].tensor = taken[place.position].tensor
        }
        for place in places[module.identity]?.buffers ?? [] {
          module.buffers.values[place.index] = taken[place.position].tensor
        }
      }
    }
    try taken.updateOrRestore(change)
  }

  public mutating func setTensors(_ new: (String) -> Tensor?) { setTensors(includesNonPersistent: false, new) }

  public func batchNormEps() -> [(path: String, eps: Double)] {
    var found: [(path: String, eps: Double)] = []
    forEachModule { path, module in
      if case .batchNorm(let norm) = module.layer { found.append((path, norm.eps)) }
    }
    return found
  }
}

extension Layer {
  /// A plain convolution over two axes.
  var isConv2d: Bool {
    if case .convolution(let convolution) = self { convolution.rank == 2 && !convolution.isTransposed } else { false }
  }
}

// MARK: StateDict

extension StateDict: WeightContainer {
  public func stateDict() -> StateDict { self }

  public func batchNormEps() -> [(path: String, eps: Double)] { [] }

  /// A bare state dict does not say which entries are parameters, require gradients or are a Conv2d's: floating ones
  /// that are no running statistics, masks or the like count as parameters, and entries named `weight` of four axes as a Conv2d's.
  public func namedWeights() -> [NamedWeight] {
    var seen: Set<Tensor.Identity> = []
    return tensors.filter { $0.value.count == 0 || seen.insert($0.value.identity).inserted }.map(weight)
  }

  private func weight(_ name: String, _ tensor: Tensor) -> NamedWeight {
    NamedWeight(
      name: name, tensor: tensor, role: isParameter(name) ? .parameter(requiresGrad: true) : .buffer,
      isConv2dWeight: tensor.dtype.isFloatingPoint
        && (conv2dWeights?.contains(name) ?? StateDict.looksLikeConv2dWeight(name, tensor)))
  }

  private static func looksLikeConv2dWeight(_ name: String, _ tensor: Tensor) -> Bool {
    (name == "weight" || name.hasSuffix(".weight")) && tensor.shape.count == 4
  }

  public mutating func updateWeights(
    where isChosen: (NamedWeight) -> Bool, change: (inout [NamedTensor]) throws -> Void
  ) throws {
    var taken: [NamedTensor] = []
    var positions: [Tensor.Identity: Int] = [:]
    var places: [(index: Int, position: Int)] = []
    let placeholder = try Tensor(.float32, [0])
    for index in tensors.values.indices {
      let (name, tensor) = tensors.elements[index]
      guard isChosen(weight(name, tensor)) else { continue }
      let position = tensor.count == 0 ? taken.count : positions[tensor.identity] ?? taken.count
      if position == taken.count {
        positions[tensor.identity] = position
        taken.append(NamedTensor(name: name, tensor: tensor))
      }
      places.append((index, position))
    }
    for place in places { tensors.values[place.index] = placeholder }
    defer {
      for place in places { tensors.values[place.index] = taken[place.position].tensor }
    }
    try taken.updateOrRestore(change)
  }

  public mutating func setTensors(_ new: (String) -> Tensor?) {
    for index in tensors.values.indices {
      if let tensor = new(tensors.keys[index]) { tensors.values[index] = tensor }
    }
  }
}

// MARK: Model

extension Model: WeightContainer {
  public func namedWeights() -> [NamedWeight] {
    switch self {
    case .module(let module): module.namedWeights()
    case .stateDict(let state): state.namedWeights()
    }
  }

  public func stateDict() -> StateDict {
    switch self {
    case .module(let module): module.stateDict()
    case .stateDict(let state): state
    }
  }

  public func batchNormEps() -> [(path: String, eps: Double)] { module?.batchNormEps() ?? [] }

  public mutating func updateWeights(
    where isChosen: (NamedWeight) -> Bool, change: (inout [NamedTensor]) throws -> Void
  ) throws {
    try update(
      module: { try $0.updateWeights(where: isChosen, change: change) },
      stateDict: { try $0.updateWeights(where: isChosen, change: change) })
  }

  public mutating func setTensors(_ new: (String) -> Tensor?) {
    update(module: { $0.setTensors(new) }, stateDict: { $0.setTensors(new) })
  }
}
