import ModelCore

/// A bare state dict whose architecture is known: with it come the classes, the order of the layers, and the eps of the
/// batch norms.
public struct RecognizedModel: Sendable {
  /// The built-in architecture whose names and shapes these are.
  public let architecture: Architecture
  /// How many classes the state dict is for, by its shapes.
  public let classes: Int
  /// The prefix that every name in the state dict bears beside the architecture's own name; empty where there is none.
  public let prefix: String
  /// The architecture with the state dict's tensors in it.
  public var module: Module

  /// The module's tensors under the names that the state dict uses; entries that it did not have are left out.
  public func stateDict(like original: StateDict) -> StateDict {
    var tensors: OrderedDictionary<String, Tensor> = [:]
    let names = Dictionary(
      original.names.map { (StateDict.nameToday($0), $0) }, uniquingKeysWith: { first, _ in first })
    let hasCounts = original.names.contains { $0.hasSuffix(StateDict.batchCount) }
    for (name, tensor) in module.stateDict().tensors where hasCounts || !name.hasSuffix(StateDict.batchCount) {
      tensors[names[prefix + name] ?? prefix + name] = tensor
    }
    return StateDict(tensors, metadata: original.metadata)
  }
}

extension StateDict {
  fileprivate static let batchCount = ".num_batches_tracked"

  /// The built-in architecture whose names and shapes are exactly these, behind whatever prefix all of them bear; nil where
  /// there is none.
  ///
  /// The number of classes follows from the shapes. Types do not matter, and files from before batch norms counted
  /// their batches are recognised as well, and torchvision's older names, and those with the counters that thop leaves.
  /// YOLOv6's `yolov6l_base` differs from `yolov6l` in its activations alone, which a state dict does not hold: it is
  /// taken for the latter.
  public func recognized() -> RecognizedModel? {
    var plain = withoutOlderNames()
    let counters = Set(plain.names.filter(plain.isCounter))
    if !counters.isEmpty { plain.tensors.removeAll { counters.contains($0.key) } }
    return plain.recognized(among: Architecture.names(ofEntries:)) { $0 }
  }

  /// The same for another form of the architectures, such as the fused one.
  /// - Parameters:
  ///   - candidates: the architectures whose state dict in that form has a number of entries, batch counts left out.
  ///   - form: makes it of an architecture's module.
  package func recognized(
    among candidates: (Int) -> [String], in form: (Module) throws -> Module
  ) -> RecognizedModel? {
    let names = Array(names.filter { !$0.hasSuffix(Self.batchCount) })
    let candidates = candidates(names.count)
    guard !candidates.isEmpty else { return nil }
    for prefix in commonPrefixes {
      for name in candidates {
        guard let architecture = try? Architecture(named: name),
          let found = matched(architecture, names: names, prefix: prefix, form)
        else { continue }
        return found
      }
    }
    return nil
  }

  private func matched(
    _ architecture: Architecture, names: [String], prefix: String, _ form: (Module) throws -> Module
  ) -> RecognizedModel? {
    func made(_ classes: Int? = nil) -> Module? { try? form(architecture.module(classes: classes)) }
    guard let usual = made() else { return nil }
    var shapes: OrderedDictionary<String, [Int]> = [:]
    for (name, tensor) in usual.stateDict().tensors where !name.hasSuffix(Self.batchCount) {
      shapes[name] = tensor.shape
    }
    guard shapes.count == names.count, shapes.keys.allSatisfy({ tensors[prefix + $0] != nil }) else { return nil }
    var (module, classes) = (usual, architecture.defaultClasses)
    if let other = shapes.first(where: { tensors[prefix + $0.key]?.shape != $0.value }) {
      // Only the number of classes may differ: it follows from how this shape grows with it.
      guard let wanted = tensors[prefix + other.key]?.shape, wanted.count == other.value.count,
        let more = made(classes + 1)?.stateDict()[other.key]?.shape,
        let axis = wanted.indices.first(where: { more[$0] != other.value[$0] })
      else { return nil }
      let (step, gap) = (more[axis] - other.value[axis], wanted[axis] - other.value[axis])
      guard gap % step == 0, let rebuilt = made(classes + gap / step) else { return nil }
      (module, classes) = (rebuilt, classes + gap / step)
      guard
        rebuilt.stateDict().tensors.allSatisfy({ name, tensor in
          name.hasSuffix(Self.batchCount) || tensors[prefix + name]?.shape == tensor.shape
        })
      else { return nil }
    }
    module.setTensors { tensors[prefix + $0] }
    module.setEvaluating()
    return RecognizedModel(architecture: architecture, classes: classes, prefix: prefix, module: module)
  }
}

extension Module {
  fileprivate mutating func setEvaluating() { updateModules { $1.isTraining = false } }
}
