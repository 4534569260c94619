/// A tensor of a layer that is no parameter, but computed from others when the layer runs.
public struct ComputedWeight: Sendable, Codable, Hashable {
  /// Its dotted name.
  public let name: String
  /// What computes it, for a person.
  public let cause: String
  /// Whether it is the weight of a Conv2d, or in a bare state dict of what looks like one.
  public let isConv2dWeight: Bool

  fileprivate static let mask = "a pruning mask"

  /// How to make it a parameter.
  package var advice: String {
    cause == Self.mask
      ? "apply the masks first: mutils prune --amount 0" : "remove the \(cause) in Python before saving"
  }
}

extension WeightContainer {
  public func computedWeights() -> [ComputedWeight] { [] }
}

extension Module {
  public func computedWeights() -> [ComputedWeight] {
    stateDict().computedEntries { name, _ in
      let layer = name.split(separator: ".").dropLast().joined(separator: ".")
      return self[layer]?.layer.isConv2d ?? false
    }
  }
}

extension StateDict {
  public func computedWeights() -> [ComputedWeight] { computedEntries { $1.count == 4 } }

  /// - Parameter isConv2d: whether a tensor of a name and shape is of a layer over two axes.
  fileprivate func computedEntries(_ isConv2d: (String, [Int]) -> Bool) -> [ComputedWeight] {
    tensors.compactMap { entry, tensor in
      guard let (name, cause) = computed(by: entry) else { return nil }
      let isWeight = name == "weight" || name.hasSuffix(".weight")
      return ComputedWeight(name: name, cause: cause, isConv2dWeight: isWeight && isConv2d(name, tensor.shape))
    }
  }

  /// The tensor that is computed from an entry and others, where the entry is the one that has its shape.
  private func computed(by entry: String) -> (name: String, cause: String)? {
    func without(_ suffix: String) -> String? {
      entry.hasSuffix(suffix) ? String(entry.dropLast(suffix.count)) : nil
    }
    if let name = without("_v"), tensors[name + "_g"] != nil { return (name, "weight norm") }
    if let name = without("_orig"), tensors[name] == nil {
      if isMask(name + "_mask") { return (name, ComputedWeight.mask) }
      return tensors[name + "_u"] == nil ? nil : (name, "spectral norm")
    }
    let isPair = entry.hasSuffix(".original1")
    guard let list = without(isPair ? ".original1" : ".original") else { return nil }
    var parts = list.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count >= 2, parts.remove(at: parts.count - 2) == "parametrizations" else { return nil }
    let name = parts.joined(separator: ".")
    if isPair { return (name, "weight norm") }
    return (name, tensors["\(list).0._u"] == nil ? "parametrisation" : "spectral norm")
  }
}

extension Model {
  public func computedWeights() -> [ComputedWeight] {
    switch self {
    case .module(let module): module.computedWeights()
    case .stateDict(let state): state.computedWeights()
    }
  }
}
