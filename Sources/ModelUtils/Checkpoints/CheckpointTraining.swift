import ModelCore

/// What training leaves in a PyTorch file beside the weights that it is for.
extension Checkpoint {
  /// An average that took the place of the model that it averages.
  package struct Promotion: Sendable {
    /// The key under which it stood.
    package let average: String
    /// The key under which it stands now.
    package let model: String
  }

  /// Puts the average of the weights where the model stands that it averages. Nil where the file has none, or nothing
  /// but the average.
  ///
  /// YOLO's `ema` is then None; any other entry is taken out, for the programs that write it read it where it is there.
  /// - Throws: `ModelError` for an average that is not understood, unless the model was chosen by its key.
  package mutating func promoteAverage() throws -> Promotion? {
    guard let torch else { return nil }
    guard let (key, place, step) = average else {
      try refuseUnknownAverage()
      return nil
    }
    let holder = place.path[step]
    guard let target = target(of: holder, step, in: torch), let model = models[key] else { return nil }
    let newKey = target.map(\.key).joined(separator: ".")
    for (other, known) in torch.places where known.path.count > step && known.path[step].isSame(as: holder) {
      drop(other)
    }
    drop(newKey)
    let isYOLO = step == 0 && holder.key == "ema" && place.isModule
    guard let last = target.last, let none = self.torch?.graph.add(.none) else { return nil }
    self.torch?.graph.change([last.key: place.reference], of: last.dictionary)
    let rest: PickleGraph.Reference? = isYOLO ? none : nil
    self.torch?.graph.change([holder.key: rest], of: holder.dictionary)
    var moved = place
    (moved.key, moved.path) = (newKey, target)
    self.torch?.places[newKey] = moved
    models.updateValue(model, forKey: newKey, insertingAt: 0)
    return Promotion(average: key, model: newKey)
  }

  /// Takes out what only training needs: the states of optimizers, schedulers and scalers, further averages. What
  /// YOLO's `strip_optimizer` sets to None is None, and `epoch` -1, where the file has them.
  /// - Parameter kept: the keys of the models that stay.
  /// - Returns: the keys under which something was lost.
  package mutating func dropTrainingState(keeping kept: [String]) -> [String] {
    guard let torch else { return [] }
    let paths = kept.compactMap { torch.places[$0]?.path }
    let onTheWay = Set(paths.joined().map { Entry(dictionary: $0.dictionary, key: $0.key) })
    var dropped: [String] = []
    var seen: Set<PickleGraph.Reference> = []
    for path in paths {
      for (depth, holder) in path.enumerated() where seen.insert(holder.dictionary).inserted {
        let prefix = path[..<depth].map { $0.key + "." }.joined()
        for (name, value) in torch.graph.dictionary(holder.dictionary) ?? [:]
        where !onTheWay.contains(Entry(dictionary: holder.dictionary, key: name)) {
          guard let change = change(of: name, value) else { continue }
          if change != .minusOne, !torch.graph.isPlainValue(value) { dropped.append(prefix + name) }
          let new: PickleGraph.Reference? =
            switch change {
            case .none: self.torch?.graph.add(.none)
            case .minusOne: self.torch?.graph.add(.int(-1))
            case .removed: nil
            }
          self.torch?.graph.change([name: new], of: holder.dictionary)
          let gone = ModelSelection.Holder(dictionary: holder.dictionary, key: name)
          for (key, place) in torch.places where place.path.count > depth && place.path[depth].isSame(as: gone) {
            drop(key)
          }
        }
      }
    }
    return dropped
  }

  /// Says of every tensor of a PyTorch file that it is the processor's, so that it loads on any machine.
  package mutating func moveToCPU() { torch?.graph.moveToCPU() }

  private struct Entry: Hashable {
    let dictionary: PickleGraph.Reference
    let key: String
  }

  /// The preferred average, and where on its way the key stands that says so.
  private var average: (key: String, place: ModelSelection.Place, step: Int)? {
    guard let torch else { return nil }
    for key in models.keys {
      guard let place = torch.places[key] else { continue }
      let step = place.path.firstIndex { holder in
        ModelSelection.averageKeys.contains(holder.key)
          && ModelSelection.keys(of: holder.dictionary, in: torch.graph).contains(holder.key)
      }
      if let step { return (key, place, step) }
    }
    return nil
  }

  /// Where the model stands that an entry averages; `model` for YOLO's where there is none.
  private func target(
    of average: ModelSelection.Holder, _ step: Int, in torch: TorchSource
  ) -> [ModelSelection.Holder]? {
    let entries = torch.graph.dictionary(average.dictionary) ?? [:]
    let usual = Self.averaged[average.key] ?? "model"
    let way = torch.places.values.first { $0.path.indices.contains(step) && $0.path[step].isSame(as: average) }?.path
    for name in [usual] + ModelSelection.plainKeys {
      guard let value = entries[name], !torch.graph.isPlainValue(value) else { continue }
      let holder = ModelSelection.Holder(dictionary: average.dictionary, key: name)
      let inside = models.keys.lazy.compactMap { torch.places[$0]?.path }
        .first { $0.count > step && $0[step].isSame(as: holder) }
      return inside ?? (way ?? [])[..<step] + [holder]
    }
    let isFree = entries["model"].map { torch.graph.isNone($0) } ?? true
    guard average.key == "ema", isFree else { return nil }
    return (way ?? [])[..<step] + [.init(dictionary: average.dictionary, key: "model")]
  }

  private static let averaged = [
    "ema": "model", "model_ema": "model", "state_dict_ema": "state_dict", "ema_state_dict": "state_dict",
    "params_ema": "params", "g_ema": "g",
  ]

  private func refuseUnknownAverage() throws {
    guard let torch, !torch.isChosen else { return }
    for holder in models.keys.compactMap({ torch.places[$0] }).flatMap(\.path) {
      let known = ModelSelection.keys(of: holder.dictionary, in: torch.graph)
      for name in ModelSelection.averageKeys where known.contains(name) {
        guard let value = torch.graph.value(forKey: name, of: holder.dictionary), torch.graph.holdsTensors(value)
        else { continue }
        throw ModelError(
          .unsupported, "holds an average that is not understood, beside a model that is", file: self.name,
          subject: name, advice: "say with --key which object is the model")
      }
    }
  }

  private mutating func drop(_ key: String) {
    torch?.places[key] = nil
    models[key] = nil
  }

  private enum Change { case none, minusOne, removed }

  /// What becomes of an entry; nil for one that stays.
  private func change(of name: String, _ value: PickleGraph.Reference) -> Change? {
    guard let graph = torch?.graph else { return nil }
    if ["optimizer", "best_fitness", "ema", "updates"].contains(name) { return Change.none }
    if name == "epoch" { return graph.int(value) == nil ? nil : .minusOne }
    if graph.isPlainValue(value) { return nil }
    // Some callbacks keep weights of their own; most keep a few numbers.
    if name == "callbacks" { return graph.holdsTensors(value, where: { !$0.shape.isEmpty }) ? nil : .removed }
    return ModelSelection.averageKeys.contains(name) || Self.isTrainingState(name) ? .removed : nil
  }

  private static func isTrainingState(_ name: String) -> Bool {
    let name = name.lowercased()
    return ["optimizer", "scheduler", "scaler", "mixedprecision"].contains { name.contains($0) }
      || ["_optim", "_optims", "_sched", "amp_scaling_state"].contains { name.hasSuffix($0) }
      || ["optim", "optims", "sched", "amp", "loops"].contains(name) || name.hasPrefix("optim_")
      // Lightning's WeightAveraging saves the average as the state dict, and the trained weights beside it.
      || ["current_model_state", "averaging_state"].contains(name)
  }
}

extension ModelSelection.Holder {
  fileprivate func isSame(as other: Self) -> Bool { dictionary == other.dictionary && key == other.key }
}

extension PickleGraph {
  /// Whether an object is None, a flag, a number or text.
  fileprivate func isPlainValue(_ reference: Reference) -> Bool {
    switch nodes[reference] {
    case .none, .bool, .int, .bigInt, .double, .string, .surrogateString, .python2String: true
    default: false
    }
  }

  /// Whether there is a tensor among an object's parts.
  func holdsTensors(_ reference: Reference, where isMeant: (Tensor) -> Bool = { _ in true }) -> Bool {
    var pending = [reference]
    var seen: Set<Reference> = [reference]
    while let next = pending.popLast() {
      if isTensor(next) {
        guard let tensor = try? tensor(next).tensor, !isMeant(tensor) else { return true }
        continue
      }
      for part in parts(of: next) where seen.insert(part).inserted { pending.append(part) }
    }
    return false
  }

  /// The objects that an object holds, without the keys of its dicts.
  func parts(of reference: Reference) -> [Reference] {
    switch nodes[reference] {
    case .tuple(let items), .list(let items), .set(let items), .frozenSet(let items): items
    case .dict(let entries): entries.map(\.value)
    case .call(let index):
      [calls[index].arguments] + calls[index].items + calls[index].entries.map(\.value) + calls[index].states
    default: []
    }
  }
}
