import CKernels
import OrderedCollections

/// What `applyMasks` did: a mask for each tensor that had one, by the name that the tensor has now.
///
/// In row-major order a byte for each element: 0 where it is pruned, 1 where it is kept.
public typealias PruningMasks = OrderedDictionary<String, [UInt8]>

// A tensor under `torch.nn.utils.prune` is kept as `weight_orig` and `weight_mask`.
private let (original, mask) = ("_orig", "_mask")

extension WeightContainer {
  public var hasMasks: Bool { false }

  @discardableResult
  public mutating func applyMasks() throws -> PruningMasks { [:] }
}

extension Module {
  public var hasMasks: Bool {
    var found = false
    visitModules { found = found || !$0.maskedNames.isEmpty }
    return found
  }

  @discardableResult
  public mutating func applyMasks() throws -> PruningMasks {
    guard hasMasks else { return [:] }
    var masks: PruningMasks = [:]
    var applied = self
    try applied.updateModules { path, module in
      do { masks.merge(try module.applyOwnMasks(path)) { first, _ in first } } catch let error as ModelError {
        throw error.about(path)
      }
    }
    self = applied
    return masks
  }

  /// The names of the module's own tensors that have a mask, which a hook applies before each forward.
  private var maskedNames: [String] {
    let names = parameters.keys.filter { $0.hasSuffix(original) }.map { String($0.dropLast(original.count)) }
      .filter { name in
        buffers[name + mask].map { $0.shape == parameters[name + original]?.tensor.shape } ?? false
          && parameters[name] == nil && attributes[name]?.tensorValue != nil
      }
    // Each has one hook; what others do is not known.
    return names.count == attributes["_forward_pre_hooks"]?.entriesValue?.count ?? 0 ? names : []
  }

  private mutating func applyOwnMasks(_ path: String) throws -> PruningMasks {
    let names = maskedNames
    guard !names.isEmpty else { return [:] }
    var masks: PruningMasks = [:]
    for name in names {
      let parameter = parameters[name + original]
      let (tensor, bytes) = try masked(parameter?.tensor, by: buffers[name + mask])
      // Another that shares the parameter has a mask of its own.
      parameters[name + original] = Parameter(tensor, requiresGrad: parameter?.requiresGrad ?? true)
      masks[dotted(path, name)] = bytes
      buffers[name + mask] = nil
      nonPersistentBuffers.remove(name + mask)
      attributes[name] = nil
    }
    parameters = parameters.renaming(names)
    // The hooks are gone with what they did.
    attributes["_forward_pre_hooks"] = .orderedDict([])
    return masks
  }
}

extension StateDict {
  public var hasMasks: Bool { !maskedNames.isEmpty }

  private var maskedNames: [String] {
    names.filter { $0.hasSuffix(original) }.map { String($0.dropLast(original.count)) }
      .filter { isMask($0 + mask) && tensors[$0] == nil }
  }

  /// Whether an entry is the mask of another.
  func isMask(_ name: String) -> Bool {
    name.hasSuffix(mask)
      && tensors[name.dropLast(mask.count) + original].map { $0.shape == tensors[name]?.shape } ?? false
  }

  @discardableResult
  public mutating func applyMasks() throws -> PruningMasks {
    var masks: PruningMasks = [:]
    var applied = tensors
    for name in maskedNames {
      do {
        let (tensor, bytes) = try masked(tensors[name + original], by: tensors[name + mask])
        applied[name + original] = tensor
        masks[name] = bytes
      } catch let error as ModelError { throw error.about(name) }
    }
    applied.removeAll { $0.key.hasSuffix(mask) && masks[String($0.key.dropLast(mask.count))] != nil }
    tensors = applied.renaming(Array(masks.keys))
    return masks
  }
}

extension Model {
  public var hasMasks: Bool {
    switch self {
    case .module(let module): module.hasMasks
    case .stateDict(let state): state.hasMasks
    }
  }

  @discardableResult
  public mutating func applyMasks() throws -> PruningMasks {
    try update(module: { try $0.applyMasks() }, stateDict: { try $0.applyMasks() })
  }
}

/// A tensor with its mask applied, and the mask.
private func masked(_ tensor: Tensor?, by mask: Tensor?) throws -> (Tensor, [UInt8]) {
  guard var tensor, let values = try mask?.doubles(), values.allSatisfy({ $0 == 0 || $0 == 1 }) else {
    throw ModelError(.unsupported, "its pruning mask has values other than 0 and 1")
  }
  let bytes: [UInt8] = values.map { $0 == 0 ? 0 : 1 }
  try tensor.zero(where: bytes)
  return (tensor, bytes)
}

extension OrderedDictionary where Key == String {
  /// With the plain names of the masked ones, in their places.
  fileprivate func renaming(_ masked: [String]) -> Self {
    let plain = Dictionary(masked.map { ($0 + original, $0) }, uniquingKeysWith: { first, _ in first })
    return OrderedDictionary(map { (plain[$0.key] ?? $0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
  }
}

extension Tensor {
  /// Zeroes the elements whose mask byte is 0; the mask is in row-major order and as long as the tensor.
  package mutating func zero(where mask: [UInt8]) throws {
    guard let format = dtype.kernelFormat, mask.count == count else {
      throw ModelError(.mismatch, "the mask does not fit")
    }
    try rewrite { destination, source in mk_apply_mask(destination, source, mask, mask.count, format) }
  }
}
